//! Decrypting a file where it lies. Every box is read and every key found before the first byte is written.

use std::fs::OpenOptions;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use reelkey_client::cenc::Keys;

use crate::cli::decrypt::check::check;
use crate::cli::decrypt::lock::lock;
use crate::cli::decrypt::report::{Done, progress};
use crate::cli::decrypt::transfer::Transfer;
use crate::cli::decrypt::way::Way;
use crate::cli::decrypt::whole::Whole;
use crate::cli::source::is_standard;
use crate::cli::terminal::output::Failure;

/// Decrypts the file at `path`, `jobs` parts of it at once.
///
/// # Errors
/// [`Failure`], whose remedy says so if the file is clear in part.
pub(super) fn decrypt_in_place(
    keys: &Keys,
    path: &Path,
    jobs: NonZeroUsize,
) -> Result<Done, Failure> {
    if is_standard(path) {
        return Err(Failure::new("standard input is nowhere").remedy("name a file"));
    }
    let film = Arc::new(OpenOptions::new().read(true).write(true).open(path)?);
    lock(&film)?;
    let bar = progress(film.metadata()?.len());
    let done = match Way::find(keys, &film, jobs, false)? {
        Way::InOrder(stream, layout) => {
            check(keys, &film, &layout)?;
            let transfer = Transfer { keys, input: &film, output: None, bar: &bar };
            transfer.decrypt(*stream, &layout, jobs)
        }
        Way::Whole => {
            let Whole { clear, done } = Whole::decrypt(keys, &film)?;
            film.write_all_at(&clear, 0).map(|()| done).map_err(Failure::from)
        }
    };
    bar.finish_and_clear();
    done.map_err(|failure| {
        failure.remedy("the file is clear in part now: take the encrypted one from where it came")
    })
}
