//! A file that has to be in memory, because its samples come before the boxes that describe them.

use std::fs::File;
use std::io::Read;

use reelkey_client::cenc::{Init, Keys};

use crate::cli::decrypt::report::Done;
use crate::cli::terminal::output::Failure;

/// A film that was decrypted in memory.
pub(super) struct Whole {
    /// All of its bytes, clear.
    pub(super) clear: Vec<u8>,
    pub(super) done: Done,
}

impl Whole {
    /// Reads the file to its end and decrypts it.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be read or decrypted.
    pub(super) fn decrypt(keys: &Keys, mut input: &File) -> Result<Self, Failure> {
        let mut media = Vec::new();
        input.read_to_end(&mut media)?;
        let mut init = Init::parse(&media)?;
        let mut notes = init.leave_tracks_without_keys(keys);
        let plan = init.plan(&media)?;
        notes.extend(plan.notes().iter().cloned());
        notes.extend(plan.decrypt(keys, &mut media)?);
        init.clear(&mut media);
        notes.extend(plan.judge(&media));
        let bytes = u64::try_from(media.len()).unwrap_or(u64::MAX);
        let samples = plan.samples().count();
        Ok(Self { clear: media, done: Done { samples, bytes, notes, ..Done::default() } })
    }
}
