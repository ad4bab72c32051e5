//! Writing a clear film to a file or to standard output. A file has its name once the film in it is whole.

use std::fs::{self, File};
use std::io::{self, BufRead, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use reelkey_client::cenc::{Init, Keys, Reader, Stream};
use tempfile::NamedTempFile;

use crate::cli::decrypt::report::{Done, progress};
use crate::cli::decrypt::standard::is_standard;
use crate::cli::decrypt::transfer::Transfer;
use crate::cli::decrypt::way::Way;
use crate::cli::decrypt::whole::Whole;
use crate::cli::terminal::output::Failure;

/// An encrypted film.
pub(super) struct Film<'a> {
    /// The initialization segment of media segments that come without it.
    pub(super) init: Option<&'a Path>,
    pub(super) input: &'a Path,
    /// How many parts of it are decrypted at once.
    pub(super) jobs: NonZeroUsize,
}

/// Decrypts `film` and writes it to the file at `path`, or to standard output.
///
/// # Errors
/// [`Failure`]; then no file has the name `path` that had not before.
pub(super) fn write_clear_film(keys: &Keys, film: &Film<'_>, path: &Path) -> Result<Done, Failure> {
    let init = film.init.map(read).transpose()?;
    let mut target = Target::open(path)?;
    let done = target.fill(keys, init, film).map_err(|e| e.during(film.input.display()))?;
    target.finish(path)?;
    Ok(done)
}

/// Where the clear film goes.
enum Target {
    Standard(io::StdoutLock<'static>),
    /// A file without a name, in the folder where it gets one.
    File(NamedTempFile),
}

impl Target {
    fn open(path: &Path) -> Result<Self, Failure> {
        if is_standard(path) {
            return Ok(Self::Standard(io::stdout().lock()));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let aside = NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")));
        Ok(Self::File(aside.map_err(|error| Failure::from(error).during(path.display()))?))
    }

    /// Takes in the whole film.
    fn fill(
        &mut self,
        keys: &Keys,
        init: Option<Vec<u8>>,
        film: &Film<'_>,
    ) -> Result<Done, Failure> {
        let (stream, head) = match init {
            None if is_standard(film.input) => (Stream::new(keys), Vec::new()),
            None => return self.fill_from_file(keys, film),
            Some(mut bytes) => {
                let init = Init::parse(&bytes)?;
                init.clear(&mut bytes);
                (Stream::with_init(keys, init), bytes)
            }
        };
        // A media segment is of no use without its initialization segment, so both come out.
        self.write(&head)?;
        let mut done = match is_standard(film.input) {
            true => self.pour(stream, &mut io::stdin().lock(), 0)?,
            false => {
                let mut input = File::open(film.input)?;
                let length = input.metadata()?.len();
                self.pour(stream, &mut input, length)?
            }
        };
        done.bytes = done.bytes.saturating_add(u64::try_from(head.len()).unwrap_or(u64::MAX));
        Ok(done)
    }

    fn fill_from_file(&mut self, keys: &Keys, film: &Film<'_>) -> Result<Done, Failure> {
        let input = Arc::new(File::open(film.input)?);
        let meta = input.metadata()?;
        if !meta.is_file() {
            return self.pour(Stream::new(keys), &mut &*input, 0);
        }
        match (Way::find(keys, &input, film.jobs)?, &self) {
            (Way::Whole, _) => {
                let Whole { clear, done } = Whole::decrypt(keys, &input)?;
                self.write(&clear)?;
                Ok(done)
            }
            (Way::InOrder(stream, _), Self::Standard(_)) => {
                self.pour(*stream, &mut &*input, meta.len())
            }
            (Way::InOrder(stream, layout), Self::File(output)) => {
                let (output, bar) = (output.as_file(), progress(meta.len()));
                let transfer = Transfer { keys, input: &input, output: Some(output), bar: &bar };
                let done = transfer.decrypt(*stream, &layout, film.jobs);
                bar.finish_and_clear();
                done
            }
        }
    }

    /// Reads, decrypts and writes the bytes as they come. `length` is for the progress bar alone.
    fn pour(
        &mut self,
        stream: Stream<&Keys>,
        input: &mut dyn Read,
        length: u64,
    ) -> Result<Done, Failure> {
        let (bar, mut bytes) = (progress(length), 0_u64);
        let mut reader = Reader::from_stream(input, stream);
        loop {
            let clear = reader.fill_buf()?;
            let length = clear.len();
            if length == 0 {
                break;
            }
            self.write(clear)?;
            reader.consume(length);
            bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            bar.set_position(bytes);
        }
        bar.finish_and_clear();
        Ok(Done { samples: reader.stream().samples(), bytes })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match self {
            Self::Standard(out) => out.write_all(bytes),
            Self::File(file) => file.as_file_mut().write_all(bytes),
        };
        written.map_err(|error| Failure::from(error).during("writing"))
    }

    /// The film is whole: gives the file its name.
    fn finish(self, path: &Path) -> Result<(), Failure> {
        match self {
            Self::Standard(mut out) => Ok(out.flush()?),
            Self::File(file) => {
                file.persist(path).map_err(|error| Failure::from(error).during(path.display()))?;
                Ok(())
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::from(error).during(path.display()))
}
