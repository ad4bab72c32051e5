//! Writing a clear film to a file or to standard output. A file has its name once the film in it is whole.

use std::fs::{self, File};
use std::io::{self, BufRead, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use reelkey_client::cenc::{Init, Keys, Reader, Stream};

use crate::cli::aside::AsideFile;
use crate::cli::decrypt::next_step::with_next_step;
use crate::cli::decrypt::pipe::Pipe;
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
    /// Whether what is whole of it is kept if it breaks off.
    pub(super) is_partial: bool,
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
    refuse_same_file(film.input, path)?;
    let mut head_done = Done::default();
    let init = film.init.map(|path| read_init(keys, path, &mut head_done)).transpose()?;
    let mut target = match is_standard(path) {
        true => Target::standard(film.is_partial),
        false => Target::file(path, overwrite, film.is_partial)?,
    };
    if let Some((_, clear)) = &init {
        // A media segment is of no use without its initialization segment, so both come out.
        target.write(clear)?;
        target.head = u64::try_from(clear.len()).unwrap_or(u64::MAX);
        head_done.bytes = target.head;
    }
    let init = init.as_ref().map(|(init, _)| init);
    let done = target.fill(keys, init, film.input, film.jobs);
    let done = done.map_err(|e| with_next_step(e, film.init).during(film.input.display()))?;
    target.finish()?;
    head_done.add(done);
    Ok(head_done)
}

/// Reads an initialization segment: what it says, and its bytes as those of a clear one.
///
/// # Errors
/// [`Failure`].
pub(super) fn read_init(
    keys: &Keys,
    path: &Path,
    done: &mut Done,
) -> Result<(Init, Vec<u8>), Failure> {
    let mut bytes = Vec::new();
    let during = |error: Failure| error.during(path.display());
    let read = source::open(path).and_then(|mut input| input.read_to_end(&mut bytes));
    read.map_err(|error| during(error.into()))?;
    let mut init = Init::parse(&bytes).map_err(|error| during(error.into()))?;
    done.notes.extend(init.leave_tracks_without_keys(keys));
    init.clear(&mut bytes);
    Ok((init, bytes))
}

/// Refuses a file that would be written over itself: what fails half-way would have lost it.
///
/// # Errors
/// [`Failure`].
pub(super) fn refuse_same_file(input: &Path, output: &Path) -> Result<(), Failure> {
    if is_standard(input) || is_standard(output) {
        return Ok(());
    }
    let (Ok(one), Ok(other)) = (fs::metadata(input), fs::metadata(output)) else { return Ok(()) };
    if one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()) {
        return Err(Failure::new("the input would be its own output")
            .during(input.display())
            .remedy("name another output, or decrypt the file where it lies with --in-place"));
    }
    Ok(())
}

/// Where the clear film goes.
pub(super) struct Target {
    place: TargetPlace,
    /// Whether what is whole of a film that breaks off is kept.
    is_partial: bool,
    /// How many bytes were written before the film's own.
    head: u64,
}

enum TargetPlace {
    Standard(io::StdoutLock<'static>),
    /// A file without a name, in the folder where it gets one.
    File(AsideFile),
}

impl Target {
    /// Standard output.
    fn standard(is_partial: bool) -> Self {
        Self { place: TargetPlace::Standard(io::stdout().lock()), is_partial, head: 0 }
    }

    /// A file, which gets its name at the end.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn file(path: &Path, overwrite: bool, is_partial: bool) -> Result<Self, Failure> {
        let file = AsideFile::create_public(path, overwrite)?;
        Ok(Self { place: TargetPlace::File(file), is_partial, head: 0 })
    }

    /// Takes in the whole film at `input`, whose initialization segment is `init` unless it has its own.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn fill(
        &mut self,
        keys: &Keys,
        init: Option<&Init>,
        input: &Path,
        jobs: NonZeroUsize,
    ) -> Result<Done, Failure> {
        if is_standard(input) {
            return self.fill_from_pipe(keys, init, standard_input()?);
        }
        let file = Arc::new(File::open(input)?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return self.fill_from_pipe(keys, init, &*file);
        }
        if meta.len() == 0 {
            return Err(Failure::new("the file is empty"));
        }
        match init {
            Some(init) => {
                let stream = Stream::with_init(keys, init.clone());
                self.pour(stream, &mut &*file, meta.len())
            }
            None => self.fill_from_file(keys, &file, jobs),
        }
    }

    fn fill_from_pipe(
        &mut self,
        keys: &Keys,
        init: Option<&Init>,
        input: impl Read,
    ) -> Result<Done, Failure> {
        if let Some(init) = init {
            let stream = Stream::with_init(keys, init.clone());
            return self.pour(stream, &mut { input }, 0);
        }
        let folder = match &self.place {
            TargetPlace::Standard(_) => None,
            TargetPlace::File(file) => Some(file.folder()),
        };
        match Pipe::begin(keys, input, folder)? {
            Pipe::InOrder(mut bytes) => self.pour(Stream::new(keys), &mut bytes, 0),
            Pipe::Spooled(file) => {
                let mut done = self.fill_from_file(keys, &Arc::new(file), NonZeroUsize::MIN)?;
                done.was_spooled = true;
                Ok(done)
            }
        }
    }

    fn fill_from_file(
        &mut self,
        keys: &Keys,
        input: &Arc<File>,
        jobs: NonZeroUsize,
    ) -> Result<Done, Failure> {
        let length = input.metadata()?.len();
        match (Way::find(keys, input, jobs, self.is_partial)?, &self.place) {
            (Way::Whole, _) => {
                let Whole { clear, done } = Whole::decrypt(keys, input)?;
                self.write(&clear)?;
                Ok(done)
            }
            (Way::InOrder(stream, layout), TargetPlace::File(output))
                if output.takes_any_order() && !self.is_partial =>
            {
                let (output, bar) = (output.file(), progress(length));
                let transfer = Transfer { keys, input, output: Some(output), bar: &bar };
                let done = transfer.decrypt(*stream, &layout, jobs);
                bar.finish_and_clear();
                done
            }
            (Way::InOrder(stream, _), _) => self.pour(*stream, &mut &**input, length),
        }
    }

    /// Reads, decrypts and writes the bytes as they come. `length` is for the progress bar alone.
    fn pour(
        &mut self,
        stream: Stream<&Keys>,
        input: &mut dyn Read,
        length: u64,
    ) -> Result<Done, Failure> {
        let (bar, mut done) = (progress(length), Done::default());
        let mut reader = Reader::from_stream(input, stream);
        loop {
            let clear = match reader.fill_buf() {
                Ok(clear) => clear,
                Err(error) => {
                    let failure = Failure::from(error);
                    if !self.is_partial || reader.stream().samples() == 0 {
                        return Err(failure);
                    }
                    done.bytes = self.keep(reader.stream().whole(), done.bytes)?;
                    done.stopped = Some(failure);
                    break;
                }
            };
            let length = clear.len();
            if length == 0 {
                break;
            }
            self.write(clear)?;
            reader.consume(length);
            done.bytes = done.bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            bar.set_position(done.bytes);
        }
        bar.finish_and_clear();
        done.samples = reader.stream().samples();
        done.notes = reader.stream().notes();
        Ok(done)
    }

    /// Keeps the first `whole` bytes of a film of which `written` are there: fragments that are whole. What went to
    /// standard output stays there. Returns how many bytes of it are there.
    fn keep(&self, whole: u64, written: u64) -> Result<u64, Failure> {
        match &self.place {
            TargetPlace::File(file) if file.takes_any_order() => {
                file.file().set_len(self.head.saturating_add(whole))?;
                Ok(whole)
            }
            _ => Ok(written),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.place {
            TargetPlace::Standard(out) => out.write_all(bytes),
            TargetPlace::File(file) => file.write_all(bytes),
        };
        written.map_err(|error| Failure::from(error).during("writing"))
    }

    /// The film is whole: gives the file its name.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.place {
            TargetPlace::Standard(mut out) => Ok(out.flush()?),
            // What can be decrypted again need not be on disk yet.
            TargetPlace::File(file) => file.finish(false),
        }
    }
}
