//! Looking through a file before it is decrypted where it lies: every box, every key, and none of the media.

use std::convert::Infallible;
use std::fs::File;
use std::io::Read;

use reelkey_client::cenc::{Keys, Stream};

use crate::cli::decrypt::layout::Layout;
use crate::cli::decrypt::part::Part;
use crate::cli::terminal::output::Failure;

/// As many bytes are read at once: the boxes of a fragment, and little of the media behind them.
const PIECE_BYTES: usize = 4096;

/// Reads every box and looks for every key. Writes nothing.
///
/// # Errors
/// [`Failure`] if the file cannot be decrypted.
pub(super) fn check(keys: &Keys, file: &File, layout: &Layout) -> Result<(), Failure> {
    if !layout.is_in_order {
        // Its samples are in a table, which was checked before the stream began.
        return Ok(());
    }
    let nowhere = |_: &[u8]| Ok::<_, Infallible>(());
    let mut from = Part::whole(file)?;
    let mut stream = Stream::new(keys).holding_at_most(usize::MAX);
    let mut piece = [0; PIECE_BYTES];
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            break;
        }
        stream.push(piece.get(..read).unwrap_or_default(), nowhere)?;
        from.skip(stream.skip(from.rest()));
    }
    stream.finish(nowhere)?;
    Ok(())
}
