//! A whole file in memory, decrypted in one call.

use alloc::vec::Vec;

use crate::cenc::error::Error;
use crate::cenc::init::Init;
use crate::cenc::keys::Keys;
use crate::cenc::notes::Note;

/// Decrypts a file that holds its `moov` and all of its samples, in place. No byte moves: the boxes about protection
/// become `free` boxes, and `encv` and `enca` get back their original types. Returns what is worth saying of the film.
///
/// ```
/// use reelkey_client::cenc::{Keys, decrypt_file};
/// use reelkey_client::key::ContentKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4");
/// let mut film = std::fs::read(path)?;
/// let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
/// let content_key = ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?;
/// decrypt_file(&Keys::from_iter([(kid, content_key)]), &mut film)?;
/// assert!(film.windows(4).all(|kind| kind != b"encv"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Error`]; the file is then as it was.
pub fn decrypt_file(keys: &Keys, file: &mut [u8]) -> Result<Vec<Note>, Error> {
    let mut init = Init::parse(file)?;
    let mut notes = init.leave_tracks_without_keys(keys);
    let plan = init.plan(file)?;
    notes.extend(plan.decrypt(keys, file)?);
    init.clear(file);
    notes.extend(plan.notes().iter().cloned());
    notes.extend(plan.judge(file));
    Ok(notes)
}
