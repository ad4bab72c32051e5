//! A film that is inspected while its bytes come in.
//!
//! Only `ftyp`, `styp`, `moov` and `moof` are held and read; every other box passes. Deliberately absent: what those boxes
//! say, which `moov.rs` and `moof.rs` read.

use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, FourCc, Header};
use crate::cenc::foreign::{self, Foreign, TELLING_BYTES, is_known_box};
use crate::cenc::inspect::error::Error;
use crate::cenc::inspect::film::{Film, FilmKind};
use crate::cenc::inspect::moof::read_moof;
use crate::cenc::inspect::moov::read_moov;
use crate::cenc::inspect::tally::Tally;
use crate::cenc::tail::is_no_header;

/// The most bytes of a box that are held, unless [`Inspector::holding_at_most`] sets another limit.
const HELD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The longest header of a box. So many bytes are taken before a box is looked at.
const HEADER_BYTES: usize = 16;

/// A list of more brands is cut.
const BRANDS_MAX: usize = 64;

/// Takes the bytes of a film and remembers what it is.
#[derive(Debug)]
pub struct Inspector {
    tally: Tally,
    file: FileFacts,
    state: State,
    /// The first bytes of the box at hand, or all of them.
    held: Vec<u8>,
    held_max: usize,
    /// The position in the file of the first byte that is held, or that comes next.
    at: u64,
    /// Whether no more bytes come.
    is_end: bool,
}

/// What was seen of one file.
#[derive(Debug, Default)]
struct FileFacts {
    major_brand: Option<FourCc>,
    compatible_brands: Vec<FourCc>,
    has_moov: bool,
    fragments: u64,
    /// Whether the last `moov` announces fragments (`mvex`).
    has_mvex: bool,
    trailing_bytes: u64,
}

#[derive(Debug)]
enum State {
    /// A box begins.
    AtBox,
    /// A box is going by, of which so many bytes are to come; `None`: up to the end of the file.
    Passing { kind: FourCc, at: u64, left: Option<u64> },
    /// An error was returned.
    Failed,
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
    }
}

impl Inspector {
    /// At the start of a file.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tally: Tally::default(),
            file: FileFacts::default(),
            state: State::AtBox,
            held: Vec::new(),
            held_max: HELD_BYTES_MAX,
            at: 0,
            is_end: false,
        }
    }

    /// Holds at most `bytes` of a `moov` or `moof`. The default is 256 MiB.
    #[must_use]
    pub fn holding_at_most(mut self, bytes: usize) -> Self {
        self.held_max = bytes;
        self
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`Error`]; then every later call is one too. What was seen before, [`film`](Self::film) has.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        let advanced = self.advance(&mut rest);
        if advanced.is_err() {
            self.state = State::Failed;
        }
        advanced
    }

    /// Leaves out the next bytes of the file, at most `rest`, as far as nothing that is read is among them. Returns how
    /// many bytes the caller must not push.
    ///
    /// ```
    /// # use reelkey_client::cenc::inspect::Inspector;
    /// let mut inspector = Inspector::new();
    /// inspector.push(b"\0\0\0\x01mdat\0\0\0\x02\0\0\0\0").unwrap(); // eight gigabytes
    /// assert_eq!(inspector.skip(u64::MAX), (8 << 30) - 16);
    /// assert_eq!(inspector.skip(u64::MAX), 0);
    /// ```
    pub fn skip(&mut self, rest: u64) -> u64 {
        let State::Passing { left, .. } = &mut self.state else { return 0 };
        let skipped = left.unwrap_or(u64::MAX).min(rest);
        if let Some(left) = left {
            *left -= skipped;
            if *left == 0 {
                self.state = State::AtBox;
            }
        }
        self.at = self.at.saturating_add(skipped);
        skipped
    }

    /// How many bytes of the box at hand are missing, so that a caller can read them in one piece; 0 if none is held.
    #[must_use]
    pub fn missing(&self) -> u64 {
        match (&self.state, Header::parse(&self.held)) {
            (State::AtBox, Some(Header { size: Some(size), .. })) => {
                size.saturating_sub(u64::try_from(self.held.len()).unwrap_or(u64::MAX))
            }
            _ => 0,
        }
    }

    /// Ends the file and begins another one: media segments, if the first was their initialization segment.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn next_file(&mut self) -> Result<(), Error> {
        self.finish()?;
        self.file = FileFacts::default();
        (self.state, self.at, self.is_end) = (State::AtBox, 0, false);
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`Error`] if it ends in the middle of a box, or no film was in it.
    pub fn finish(&mut self) -> Result<(), Error> {
        let ended = self.end();
        if ended.is_err() {
            self.state = State::Failed;
        }
        ended
    }

    /// What was seen so far, also after an error.
    #[must_use]
    pub fn film(&self) -> Film {
        let (tally, file) = (&self.tally, &self.file);
        let tracks = tally.film_tracks();
        let lists_samples = tracks.iter().any(|track| track.samples > 0);
        let kind = match (file.has_moov, file.fragments > 0) {
            (false, _) => FilmKind::MediaSegment,
            (true, true) => FilmKind::Fragmented,
            (true, false) if file.has_mvex && !lists_samples => FilmKind::InitializationSegment,
            (true, false) => FilmKind::Progressive,
        };
        Film {
            kind,
            major_brand: file.major_brand,
            compatible_brands: file.compatible_brands.clone(),
            duration_ms: tally.duration_ms(),
            fragments: file.fragments,
            tracks,
            keys: tally.needed_keys(),
            pssh: tally.pssh(),
            pssh_unreadable: tally.pssh_unreadable,
            left_out: tally.left_out,
            refusal: tally.refusal,
            trailing_bytes: file.trailing_bytes,
        }
    }

    fn advance(&mut self, rest: &mut &[u8]) -> Result<(), Error> {
        loop {
            match &self.state {
                State::Failed => return Err(Error::Failed),
                State::Passing { .. } => {
                    let there = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                    let passed = usize::try_from(self.skip(there)).unwrap_or(usize::MAX);
                    *rest = rest.get(passed..).unwrap_or_default();
                    if rest.is_empty() {
                        return Ok(());
                    }
                }
                State::AtBox => {
                    if !self.begin_box(rest)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Takes bytes of the box at hand. Returns whether more can be done with those that are there.
    fn begin_box(&mut self, rest: &mut &[u8]) -> Result<bool, Error> {
        if self.held.len() < HEADER_BYTES {
            self.hold(HEADER_BYTES - self.held.len(), rest);
        }
        if self.at == 0 && !self.is_end && foreign::is_untold(&self.held) {
            let before = self.held.len();
            self.hold(TELLING_BYTES - before, rest);
            return Ok(self.held.len() > before);
        }
        if let Some(foreign) = self.foreign() {
            return Err(foreign.into());
        }
        let Some(header) = Header::parse(&self.held) else {
            return Ok(!rest.is_empty());
        };
        let Header { kind, size, length, .. } = header;
        if self.has_film() && is_no_header(&header) {
            self.pass(kind, None);
            return Ok(true);
        }
        if let Some(size) = size.filter(|size| *size < length.into()) {
            return Err(Error::Size { kind, at: self.at, size });
        }
        if !is_read(kind) {
            self.pass(kind, size);
            return Ok(true);
        }
        let whole = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let too_long = Error::TooLong { kind, max: self.held_max };
        if size.is_some() && whole > self.held_max {
            return Err(too_long);
        }
        self.hold(whole.saturating_sub(self.held.len()).min(self.held_max), rest);
        if self.held.len() > self.held_max {
            return Err(too_long);
        }
        if self.held.len() < whole {
            return Ok(false);
        }
        self.read(kind, length, whole)?;
        Ok(true)
    }

    /// Holds at most `wanted` more bytes.
    fn hold(&mut self, wanted: usize, rest: &mut &[u8]) {
        let (taken, following) = rest.split_at(wanted.min(rest.len()));
        self.held.extend_from_slice(taken);
        *rest = following;
    }

    /// The held bytes begin a box that is not read. There may be bytes of the next one behind it.
    fn pass(&mut self, kind: FourCc, size: Option<u64>) {
        let held = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
        let (at, gone) = (self.at, size.unwrap_or(u64::MAX).min(held));
        self.held.drain(..usize::try_from(gone).unwrap_or(usize::MAX).min(self.held.len()));
        self.at = self.at.saturating_add(gone);
        let left = size.map(|size| size - gone);
        if left != Some(0) {
            self.state = State::Passing { kind, at, left };
        }
    }

    /// The first `whole` held bytes are a box, with a header of `length` bytes.
    fn read(&mut self, kind: FourCc, length: u8, whole: usize) -> Result<(), Error> {
        let held = core::mem::take(&mut self.held);
        let (bytes, following) = held.split_at(whole.min(held.len()));
        let body_at = usize::from(length);
        let body = bytes.get(body_at..).unwrap_or_default();
        let this = BoxRef { kind, at: 0, body_at, body };
        let read = match &kind.0 {
            b"moov" => {
                self.file.has_moov = true;
                self.file.has_mvex = this
                    .children(0)
                    .and_then(|all| all.find(b"mvex"))
                    .is_ok_and(|found| found.is_some());
                read_moov(&mut self.tally, bytes, &this)
            }
            b"moof" => {
                self.file.fragments += 1;
                read_moof(&mut self.tally, &this)
            }
            _ => self.file.read_brands(&this),
        };
        read.map_err(|source| Error::Within { kind, at: self.at, source })?;
        self.at = self.at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.held.extend_from_slice(following);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        // Bytes may be held that did not tell what the file is.
        self.is_end = true;
        self.advance(&mut &[][..])?;
        match self.state {
            State::Failed => return Err(Error::Failed),
            State::Passing { kind, at, .. } if self.has_film() && !is_known_box(&kind.0) => {
                self.file.trailing_bytes = self.at.saturating_sub(at);
            }
            State::Passing { kind, at, left: Some(missing) } => {
                return Err(self.or_foreign(Error::CutShort { kind, at, missing }));
            }
            State::Passing { left: None, .. } => {}
            State::AtBox => match Header::parse(&self.held) {
                None => {
                    self.file.trailing_bytes = u64::try_from(self.held.len()).unwrap_or(u64::MAX);
                    self.held.clear();
                }
                // A box up to the end of the file.
                Some(Header { kind, size: None, length, .. }) => {
                    self.read(kind, length, self.held.len())?;
                }
                Some(Header { kind, size: Some(_), .. }) => {
                    let missing = self.missing();
                    return Err(Error::CutShort { kind, at: self.at, missing });
                }
            },
        }
        match self.has_film() {
            true => Ok(()),
            false => Err(self.or_foreign(Error::NoFilm)),
        }
    }

    /// What the file is if it is no MP4, as far as the held bytes tell.
    fn foreign(&self) -> Option<Foreign> {
        match self.at {
            0 => foreign::recognize(&self.held),
            _ => None,
        }
    }

    fn has_film(&self) -> bool {
        self.file.has_moov || self.file.fragments > 0
    }

    /// The error, or that the file is no MP4 if nothing in it was.
    fn or_foreign(&self, error: Error) -> Error {
        match &self.state {
            State::Passing { kind, at: 0, .. } if !is_known_box(&kind.0) => Foreign::Unknown.into(),
            _ => error,
        }
    }
}

/// Whether a box is held and read.
fn is_read(kind: FourCc) -> bool {
    matches!(&kind.0, b"ftyp" | b"styp" | b"moov" | b"moof")
}

impl FileFacts {
    /// `ftyp` (4.3) or `styp` (8.16.2). The first one of a file counts.
    fn read_brands(&mut self, this: &BoxRef<'_>) -> Result<(), boxes::Error> {
        let mut fields = this.fields();
        let (major, _minor_version) = (FourCc(fields.array()?), fields.u32()?);
        if self.major_brand.is_none() {
            self.major_brand = Some(major);
            let (brands, _) = fields.bytes(fields.remaining())?.as_chunks::<4>();
            self.compatible_brands.extend(brands.iter().copied().map(FourCc).take(BRANDS_MAX));
        }
        Ok(())
    }
}
