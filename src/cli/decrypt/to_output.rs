//! Writing a clear film to a file or to standard output. A file has its name once the film in it is whole.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use reelkey_client::cenc::{Init, Keys, Reader, Stream};

use crate::cli::aside::AsideFile;
use crate::cli::decrypt::report::{Done, progress};
use crate::cli::decrypt::transfer::Transfer;
use crate::cli::decrypt::way::Way;
use crate::cli::decrypt::whole::Whole;
use crate::cli::source::{self, is_standard, standard_input};
use crate::cli::terminal::output::Failure;

/// An encrypted film.
pub(super) struct Film<'a> {
    /// The initialization segment of media segments that come without it.
    pub(super) init: Option<&'a Path>,
    pub(super) input: &'a Path,
    /// How many parts of it are decrypted at once.
    pub(super) jobs: NonZeroUsize,
}

/// Decrypts `film` and writes it to the file at `path`, or to standard output. A file that is there is replaced only if
/// `overwrite`.
///
/// # Errors
/// [`Failure`]; then no file has the name `path` that had not before.
pub(super) fn write_clear_film(
    keys: &Keys,
    film: &Film<'_>,
    path: &Path,
    overwrite: bool,
) -> Result<Done, Failure> {
    let init = film.init.map(read).transpose()?;
    let mut target = Target::open(path, overwrite)?;
    let done = target.fill(keys, init, film).map_err(|e| e.during(film.input.display()))?;
    target.finish()?;
    Ok(done)
}

/// Where the clear film goes.
enum Target {
    Standard(io::StdoutLock<'static>),
    /// A file without a name, in the folder where it gets one.
    File(AsideFile),
}

impl Target {
    fn open(path: &Path, overwrite: bool) -> Result<Self, Failure> {
        match is_standard(path) {
            true => Ok(Self::Standard(io::stdout().lock())),
            false => AsideFile::create(path, overwrite).map(Self::File),
        }
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
            true => self.pour(stream, &mut standard_input()?, 0)?,
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
            (Way::InOrder(stream, layout), Self::File(output)) if output.takes_any_order() => {
                let (output, bar) = (output.file(), progress(meta.len()));
                let transfer = Transfer { keys, input: &input, output: Some(output), bar: &bar };
                let done = transfer.decrypt(*stream, &layout, film.jobs);
                bar.finish_and_clear();
                done
            }
            (Way::InOrder(stream, _), _) => self.pour(*stream, &mut &*input, meta.len()),
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
            Self::File(file) => file.write_all(bytes),
        };
        written.map_err(|error| Failure::from(error).during("writing"))
    }

    /// The film is whole: gives the file its name.
    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Standard(mut out) => Ok(out.flush()?),
            // What can be decrypted again need not be on disk yet.
            Self::File(file) => file.finish(false),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = source::open(path).and_then(|mut input| input.read_to_end(&mut bytes));
    read.map_err(|error| Failure::from(error).during(path.display()))?;
    Ok(bytes)
}
