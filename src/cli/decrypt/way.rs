//! The way in which a file is read: in order with little memory where that can be, as a whole otherwise.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::Range;

use reelkey_client::cenc::{Keys, Stream};

use crate::cli::decrypt::layout::Layout;
use crate::cli::decrypt::part::Part;
use crate::cli::terminal::output::Failure;

/// The longest `moov` that is read by itself.
const MOOV_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How a file is read.
pub(super) enum Way<'k> {
    /// From its start to its end: what a sample needs comes before it, or is at hand already.
    InOrder(Box<Stream<&'k Keys>>, Layout),
    /// As a whole, in memory.
    Whole,
}

impl<'k> Way<'k> {
    /// Finds the way that needs least memory. With `is_partial` the file may break off.
    ///
    /// # Errors
    /// [`Failure`] if the file cannot be read, or the samples in its `moov` cannot be decrypted.
    pub(super) fn find(
        keys: &'k Keys,
        file: &File,
        jobs: NonZeroUsize,
        is_partial: bool,
    ) -> Result<Self, Failure> {
        let layout = Layout::read(file, jobs.get() > 1)?;
        if layout.is_in_order || is_partial && layout.has_moov_first {
            // Of a file no more can be held than is there.
            let stream = Stream::new(keys).holding_at_most(usize::MAX);
            return Ok(Self::InOrder(Box::new(stream), layout));
        }
        let layout = Layout::read(file, true)?;
        let is_short = |moov: &Range<u64>| moov.end.saturating_sub(moov.start) <= MOOV_BYTES_MAX;
        let Some(range) = layout.table.clone().filter(is_short) else { return Ok(Self::Whole) };
        let mut moov = Vec::new();
        Part::new(file, None, range).read_to_end(&mut moov)?;
        let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let bodies = layout.mdat_bodies.iter();
        let bodies = bodies.map(|body| position(body.start)..position(body.end));
        let stream = Stream::with_table(keys, &moov, &bodies.collect::<Vec<_>>())?;
        Ok(stream.map_or(Self::Whole, |stream| Self::InOrder(Box::new(stream), layout)))
    }
}
