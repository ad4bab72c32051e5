//! A film from a pipe, which cannot be read twice: it is decrypted while it comes in if its boxes come before its media, and
//! is written to a temporary file otherwise.
//!
//! The temporary file has no name and holds what came in, encrypted. Deliberately absent: decryption.

use std::fs::File;
use std::io::{self, Chain, Cursor, Read, Seek, Write};
use std::path::Path;

use reelkey_client::cenc::stream::{PushError, append_to};
use reelkey_client::cenc::{Error, Keys, Stream};

use crate::cli::terminal::output::Failure;

/// As many bytes are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// At most so many bytes are kept until the boxes before the media are there.
const BEGUN_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How a film from a pipe is read.
pub(super) enum Pipe<R> {
    /// As it comes in.
    InOrder(Chain<Cursor<Vec<u8>>, R>),
    /// From a temporary file.
    Spooled(File),
}

impl<R: Read> Pipe<R> {
    /// Reads the boxes before the first media. A temporary file is made in `folder`, or where the system has such files.
    ///
    /// # Errors
    /// [`Failure`] if reading or writing fails, or the film cannot be decrypted in any way.
    pub(super) fn begin(keys: &Keys, mut input: R, folder: Option<&Path>) -> Result<Self, Failure> {
        let (mut trial, mut clear) = (Stream::new(keys), Vec::new());
        let mut begun = Vec::new();
        while begun.len() < BEGUN_BYTES_MAX {
            let from = begun.len();
            let piece = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
            let read = input.by_ref().take(piece).read_to_end(&mut begun)?;
            let pushed = trial.push(begun.get(from..).unwrap_or_default(), append_to(&mut clear));
            clear.clear();
            match pushed {
                Err(PushError::Media(error)) if needs_file(&error) => {
                    return Self::spool(&begun, input, folder);
                }
                // Another error comes again when the film is decrypted.
                Err(_) => break,
                Ok(()) if read == 0 || trial.init().is_some() => break,
                Ok(()) => {}
            }
        }
        Ok(Self::InOrder(Cursor::new(begun).chain(input)))
    }

    fn spool(begun: &[u8], mut input: R, folder: Option<&Path>) -> Result<Self, Failure> {
        let mut spooled = || -> io::Result<File> {
            let mut file = match folder {
                Some(folder) => tempfile::tempfile_in(folder)?,
                None => tempfile::tempfile()?,
            };
            file.write_all(begun)?;
            io::copy(&mut input, &mut file)?;
            file.rewind()?;
            Ok(file)
        };
        spooled().map(Self::Spooled).map_err(|error| {
            Failure::from(error)
                .during("writing the film to a temporary file, which its order needs")
        })
    }
}

/// Whether a file can be decrypted that cannot be as a stream.
fn needs_file(error: &Error) -> bool {
    match error {
        Error::MediaFirst { kind, .. } => kind.0 == *b"mdat",
        Error::NotInOrder | Error::TableAndFragments => true,
        Error::Within { source, .. } => needs_file(source),
        _ => false,
    }
}
