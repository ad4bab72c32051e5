//! Files, which can be read and written at any place: looked through before the first byte is written, decrypted where
//! they lie, several parts at once.
//!
//! A clear film has every byte at the place where the encrypted one has it, so a part needs to know nothing of the
//! others.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indicatif::ProgressBar;
use reelkey_client::cenc::stream::ReadError;
use reelkey_client::cenc::{Init, Keys, Stream};

use crate::cli::decrypt::window::Window;
use crate::cli::terminal::output::Failure;

/// A part is as many fragments as have this many bytes, so that starting one costs little.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// To check a film takes its boxes, and not the media between them.
const CHECK_BYTES: usize = 4096;

/// What came out.
pub(super) struct Done {
    pub(super) samples: usize,
    pub(super) bytes: u64,
}

/// The longest `moov` that is read by itself.
const MOOV_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How a file is laid out, as far as it was looked at.
pub(super) struct Layout {
    /// Whether it can be read in one go: before its first `mdat` there are a `moov` and a `moof`.
    is_in_order: bool,
    /// Where each `moof` begins, if one `moov` is for all of them.
    moofs: Vec<u64>,
    /// The one `moov`, if it lists all samples: there are no fragments.
    table: Option<Range<u64>>,
    /// The bodies of the `mdat`s.
    media: Vec<Range<u64>>,
}

/// How a file is read.
pub(super) enum Way<'k> {
    /// From its start on: what a sample needs comes before it, or is at hand already.
    InOrder(Box<Stream<&'k Keys>>, Layout),
    /// All at once.
    Whole,
}

impl Layout {
    /// Looks at the headers alone; up to the first `mdat`, or at all of them.
    fn read(file: &File, wants_all: bool) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let (mut at, mut moovs, mut mdat_in_order) = (0_u64, Vec::new(), None);
        let (mut moofs, mut is_one_film, mut media) = (Vec::new(), true, Vec::new());
        while at.saturating_add(8) <= length && (wants_all || mdat_in_order.is_none()) {
            let mut header = [0; 16];
            let read = Part { file, window: None, range: at..length }.read(&mut header)?;
            let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = header;
            let (size, header_bytes) = match u32::from_be_bytes([a, b, c, d]) {
                0 => (length - at, 8),
                1 if read == 16 => {
                    let [_, _, _, _, _, _, _, _, large @ ..] = header;
                    (u64::from_be_bytes(large), 16)
                }
                size => (size.into(), 8),
            };
            let end = at.saturating_add(size).min(length);
            match &kind {
                b"moov" => {
                    is_one_film &= moofs.is_empty();
                    moovs.push(at..end);
                }
                b"moof" => moofs.push(at),
                b"mdat" => {
                    mdat_in_order.get_or_insert(!moovs.is_empty() && !moofs.is_empty());
                    media.push(at.saturating_add(header_bytes)..end);
                }
                _ => {}
            }
            // What a header lies about is for the decryption to say.
            at = at.saturating_add(size.max(8));
        }
        let table = moovs.pop().filter(|_| moovs.is_empty() && moofs.is_empty());
        moofs.retain(|_| is_one_film);
        Ok(Self { is_in_order: mdat_in_order.unwrap_or(true), moofs, table, media })
    }

    /// What comes before the first `moof`, and parts that begin with one.
    fn parts(&self, length: u64) -> (Range<u64>, Vec<Range<u64>>) {
        let mut cuts: Vec<u64> = Vec::new();
        for moof in &self.moofs {
            if cuts.last().is_none_or(|cut| moof - cut >= PART_BYTES) {
                cuts.push(*moof);
            }
        }
        let ends = cuts.iter().skip(1).copied().chain([length]);
        let parts = cuts.iter().copied().zip(ends).map(|(from, to)| from..to).collect();
        (0..cuts.first().copied().unwrap_or(length), parts)
    }
}

/// Some bytes of a file, to be read in order. It leaves the file's own position alone.
struct Part<'a> {
    file: &'a File,
    /// The file's, if it is read through one.
    window: Option<&'a RefCell<Window>>,
    range: Range<u64>,
}

impl Part<'_> {
    fn rest(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.rest()).unwrap_or(usize::MAX);
        let length = length.min(buffer.len());
        let (buffer, at) = (buffer.get_mut(..length).unwrap_or_default(), self.range.start);
        let read = match self.window {
            Some(window) => window.borrow_mut().read_at(buffer, at)?,
            None => self.file.read_at(buffer, at)?,
        };
        self.range.start = self.range.start.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

impl<'k> Way<'k> {
    /// Finds the way that takes least.
    pub(super) fn find(keys: &'k Keys, file: &File, jobs: NonZeroUsize) -> Result<Self, Failure> {
        let layout = Layout::read(file, jobs.get() > 1)?;
        if layout.is_in_order {
            // Of a file no more can be held than is there.
            let stream = Stream::new(keys).holding_at_most(usize::MAX);
            return Ok(Self::InOrder(Box::new(stream), layout));
        }
        let layout = Layout::read(file, true)?;
        let short = |moov: &Range<u64>| moov.end.saturating_sub(moov.start) <= MOOV_BYTES_MAX;
        let Some(moov) = layout.table.clone().filter(short) else { return Ok(Self::Whole) };
        let mut table = Vec::new();
        Part { file, window: None, range: moov }.read_to_end(&mut table)?;
        let position = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let media = layout.media.iter().map(|body| position(body.start)..position(body.end));
        let stream = Stream::with_table(keys, &table, &media.collect::<Vec<_>>())?;
        Ok(stream.map_or(Self::Whole, |stream| Self::InOrder(Box::new(stream), layout)))
    }
}

/// From one file to another, or to itself.
pub(super) struct Between<'a> {
    pub(super) keys: &'a Keys,
    pub(super) input: &'a Arc<File>,
    /// `None`: where it lies.
    pub(super) output: Option<&'a File>,
    pub(super) bar: &'a ProgressBar,
}

impl Between<'_> {
    /// Decrypts a file that can be read in one go, from its start on.
    pub(super) fn decrypt(
        &self,
        stream: Stream<&Keys>,
        layout: &Layout,
        jobs: NonZeroUsize,
    ) -> Result<Done, Failure> {
        let length = self.input.metadata()?.len();
        let (head, parts) = match jobs.get() {
            1 => (0..length, Vec::new()),
            _ => layout.parts(length),
        };
        let (mut samples, init) = self.part(stream, head)?;
        if let (Some(init), false) = (init, parts.is_empty()) {
            samples += self.all(&init, &parts, jobs)?;
        }
        Ok(Done { samples, bytes: length })
    }

    /// As many parts at once as there are jobs. The first failure ends them all.
    fn all(&self, init: &Init, parts: &[Range<u64>], jobs: NonZeroUsize) -> Result<usize, Failure> {
        let next = AtomicUsize::new(0);
        let job = || {
            let mut samples = 0;
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let stream = Stream::with_init(self.keys, init.clone())
                    .starting_at(part.start)
                    .holding_at_most(usize::MAX);
                match self.part(stream, part.clone()) {
                    Ok((count, _)) => samples += count,
                    Err(failure) => {
                        next.store(parts.len(), Ordering::Relaxed);
                        return Err(failure);
                    }
                }
            }
            Ok(samples)
        };
        thread::scope(|scope| {
            let jobs = jobs.get().min(parts.len());
            let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(job)).collect();
            let ended = jobs.into_iter().map(thread::ScopedJoinHandle::join);
            ended
                .map(|ended| ended.unwrap_or_else(|_| Err(Failure::new("a job ended early"))))
                .sum()
        })
    }

    /// Decrypts one part to the place where it was. Answers how many samples it had, and what its `moov` said.
    fn part(
        &self,
        mut stream: Stream<&Keys>,
        part: Range<u64>,
    ) -> Result<(usize, Option<Init>), Failure> {
        let mut to = part.start;
        let window = match self.output {
            Some(_) => None,
            None => Window::onto(self.input).map(RefCell::new),
        };
        let write_at = |bytes: &[u8], at| match &window {
            Some(window) => window.borrow().write_all_at(bytes, at),
            None => self.output.unwrap_or(self.input).write_all_at(bytes, at),
        };
        let mut write = |bytes: &[u8], written: &mut io::Result<()>| {
            if written.is_ok() {
                *written = write_at(bytes, to);
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                to = to.saturating_add(length);
                self.bar.inc(length);
            }
        };
        let mut written = Ok(());
        let mut from = Part { file: self.input, window: window.as_ref(), range: part };
        // What cannot be written need not be read.
        while written.is_ok()
            && stream
                .read_from(&mut from, &mut |bytes| write(bytes, &mut written))
                .map_err(failure)?
        {}
        written.map_err(|error| Failure::from(error).during("writing"))?;
        let init = stream.init().cloned();
        let mut written = Ok(());
        let samples = stream.finish(&mut |bytes| write(bytes, &mut written))?;
        written.map_err(|error| Failure::from(error).during("writing"))?;
        Ok((samples, init))
    }
}

/// Reads every box and looks for every key, and writes nothing.
pub(super) fn check(keys: &Keys, file: &File, layout: &Layout) -> Result<(), Failure> {
    if !layout.is_in_order {
        // To begin with a table is to check it.
        return Ok(());
    }
    let mut from = Part { file, window: None, range: 0..file.metadata()?.len() };
    let mut stream = Stream::new(keys).holding_at_most(usize::MAX);
    let mut piece = [0; CHECK_BYTES];
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            break;
        }
        stream.push(piece.get(..read).unwrap_or_default(), &mut |_| {})?;
        from.range.start = from.range.start.saturating_add(stream.skip(from.rest()));
    }
    stream.finish(&mut |_| {})?;
    Ok(())
}

/// What a stream says of what it read.
pub(super) fn failure(error: ReadError) -> Failure {
    match error {
        ReadError::Stream(error) => Failure::from(error),
        ReadError::Io(error) => Failure::from(error),
    }
}
