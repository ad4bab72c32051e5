//! Reading a film for its inspection: a file with few reads, a pipe from its start to its end. Memory use does not depend on
//! the length of either.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use reelkey_client::cenc::inspect::{Error, Film, Inspector};

use crate::cli::source::{is_standard, standard_input};
use crate::cli::terminal::output::Failure;

/// As many bytes of a file are read at once at least: the boxes of a fragment and little of the media behind them.
const PIECE_BYTES: usize = 4096;

/// As many bytes are read at once at most, which counts for a long `moov`, and of a pipe always.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// What was seen of a film, and the damage that ended the inspection early.
pub(crate) struct Seen {
    pub(crate) film: Film,
    pub(crate) damage: Option<Error>,
}

/// Inspects the file at `path`, after the initialization segment if there is one.
///
/// # Errors
/// A file cannot be read, or the initialization segment is damaged.
pub(crate) fn read_film(init: Option<&Path>, path: &Path) -> Result<Seen, Failure> {
    let mut inspector = Inspector::new();
    if let Some(init) = init {
        let read = read_file(&mut inspector, init)?.and_then(|()| inspector.next_file());
        read.map_err(|error| Failure::from(error).during(init.display()))?;
    }
    let read = read_file(&mut inspector, path)?.and_then(|()| inspector.finish());
    Ok(Seen { film: inspector.film(), damage: read.err() })
}

/// Inspects a film that is in memory.
pub(crate) fn seen_in(film: &[u8]) -> Seen {
    let mut inspector = Inspector::new();
    let read = inspector.push(film).and_then(|()| inspector.finish());
    Seen { film: inspector.film(), damage: read.err() }
}

/// Gives the inspector a whole file. The inner result is what it says of the file.
fn read_file(inspector: &mut Inspector, path: &Path) -> Result<Result<(), Error>, Failure> {
    let read = match is_standard(path) {
        true => standard_input().and_then(|mut input| read_pipe(inspector, &mut input)),
        false => File::open(path).and_then(|mut file| match file.metadata()?.is_file() {
            true => read_parts(inspector, &file),
            false => read_pipe(inspector, &mut file),
        }),
    };
    read.map_err(|error| Failure::from(error).during(path.display()))
}

fn read_pipe(inspector: &mut Inspector, from: &mut dyn Read) -> io::Result<Result<(), Error>> {
    let mut piece = vec![0; PIECE_BYTES_MAX];
    loop {
        let read = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(Ok(()));
        }
        if let Err(error) = inspector.push(piece.get(..read).unwrap_or_default()) {
            return Ok(Err(error));
        }
    }
}

/// Reads the parts of a file that the inspector wants.
fn read_parts(inspector: &mut Inspector, file: &File) -> io::Result<Result<(), Error>> {
    let length = file.metadata()?.len();
    let mut piece = vec![0; PIECE_BYTES_MAX];
    let mut at = 0_u64;
    loop {
        let missing = usize::try_from(inspector.missing()).unwrap_or(usize::MAX);
        let wanted = missing.clamp(PIECE_BYTES, PIECE_BYTES_MAX);
        let piece = piece.get_mut(..wanted).unwrap_or_default();
        let read = match file.read_at(piece, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(Ok(()));
        }
        if let Err(error) = inspector.push(piece.get(..read).unwrap_or_default()) {
            return Ok(Err(error));
        }
        at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        at = at.saturating_add(inspector.skip(length.saturating_sub(at)));
    }
}
