//! Decrypting a film that comes in pieces, one fragment at a time.
//!
//! A fragmented file or a live stream is pushed in pieces of any size. Where a `moof` and what comes before it describe
//! all of its samples, they come out as they come in; otherwise as soon as the fragment is whole, so that at most one
//! fragment is held. A file whose `moov` lists the samples is a stream for a caller that has that box at hand
//! ([`Stream::with_table`]). Where samples come before the `moof` that describes them the whole file has to be there:
//! [`decrypt_file`](crate::cenc::decrypt_file) does that.
//!
//! Deliberately absent: reading and writing. Bytes are pushed in, and clear ones go to a sink that the caller has; a
//! [`Reader`](crate::cenc::reader::Reader) does both for `std`.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::convert::Infallible;
use core::ops::Range;

use crate::cenc::aux_info;
use crate::cenc::cipher::Ciphers;
use crate::cenc::error::Error;
use crate::cenc::flow::Flow;
use crate::cenc::init::Init;
use crate::cenc::keys::Keys;
use crate::cenc::machine::Machine;
use crate::cenc::notes::{Note, Notes};

/// The most bytes that a stream holds, unless [`Stream::holding_at_most`] sets another limit.
const HELD_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The most bytes that are taken at once. With less, more time goes into each step; with more, bytes have left the CPU's
/// second cache when it is their turn.
pub(super) const PIECE_BYTES_MAX: usize = 128 * 1024;

/// A film under decryption that comes in pieces.
///
/// The clear bytes go to a sink, which is any `FnMut(&[u8]) -> Result<(), E>`: a closure that writes to a file or a
/// socket, or [`append_to`] a vector.
///
/// ```
/// use std::io::{Read, Write};
/// use reelkey_client::cenc::{Keys, Stream};
/// use reelkey_client::key::ContentKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cenc/video.mp4");
/// # let (mut input, mut output) = (std::fs::File::open(path)?, Vec::new());
/// let mut keys = Keys::default();
/// let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
/// keys.insert(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
///
/// let mut stream = Stream::new(keys);
/// let mut piece = [0; 16 * 1024];
/// loop {
///     let length = input.read(&mut piece)?;
///     if length == 0 {
///         break;
///     }
///     stream.push(&piece[..length], |clear| output.write_all(clear))?;
/// }
/// let samples = stream.finish(|clear| output.write_all(clear))?;
/// assert_eq!(samples, 75);
/// # assert!(output.windows(4).all(|kind| kind != b"encv"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stream<K = Keys> {
    keys: K,
    machine: Machine,
}

/// A stream cannot go on: the media is at fault, or the sink that takes the clear bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError<S> {
    /// The media cannot be decrypted. The sink has all clear bytes before the fragment that is at fault.
    #[error(transparent)]
    Media(#[from] Error),
    /// The sink returned this error.
    #[error(transparent)]
    Sink(S),
}

/// A sink that cannot fail leaves the media's errors.
impl From<PushError<Infallible>> for Error {
    fn from(error: PushError<Infallible>) -> Self {
        match error {
            PushError::Media(error) => error,
            PushError::Sink(never) => match never {},
        }
    }
}

/// A sink that appends the clear bytes to `film`, and cannot fail.
///
/// ```
/// use reelkey_client::cenc::stream::append_to;
/// use reelkey_client::cenc::{Error, Keys, Stream};
///
/// fn decrypt(keys: &Keys, pieces: &[&[u8]]) -> Result<Vec<u8>, Error> {
///     let (mut stream, mut film) = (Stream::new(keys), Vec::new());
///     for piece in pieces {
///         stream.push(piece, append_to(&mut film))?;
///     }
///     stream.finish(append_to(&mut film))?;
///     Ok(film)
/// }
/// # let film = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4"));
/// # let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse().unwrap();
/// # let key = reelkey_client::key::ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0").unwrap();
/// # let keys = Keys::from_iter([(kid, key)]);
/// # assert_eq!(decrypt(&keys, &[&film[..70], &film[70..]]).unwrap().len(), film.len());
/// # assert!(decrypt(&keys, &[b"\0\0\0\x09fr"]).is_err());
/// ```
pub fn append_to(film: &mut Vec<u8>) -> impl FnMut(&[u8]) -> Result<(), Infallible> {
    |clear| {
        film.extend_from_slice(clear);
        Ok(())
    }
}

impl<K: Borrow<Keys>> Stream<K> {
    /// A stream that begins with its initialization segment. It takes the keys, or borrows them.
    #[must_use]
    pub fn new(keys: K) -> Self {
        Self { keys, machine: Machine::new(None, HELD_BYTES_MAX) }
    }

    /// A stream of media segments, whose initialization segment came before.
    ///
    /// ```
    /// # use reelkey_client::cenc::stream::append_to;
    /// # use reelkey_client::cenc::{Init, Keys, Stream};
    /// # use reelkey_client::key::ContentKey;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let film = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4"));
    /// # let moof = film.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    /// # let (init_segment, media_segment) = film.split_at(moof);
    /// # let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
    /// # let keys = Keys::from_iter([(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?)]);
    /// # let mut clear = Vec::new();
    /// let init = Init::parse(init_segment)?;
    /// let mut stream = Stream::with_init(&keys, init);
    /// stream.push(media_segment, append_to(&mut clear))?;
    /// stream.finish(append_to(&mut clear))?;
    /// # assert_eq!(clear.len(), media_segment.len());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_init(keys: K, init: Init) -> Self {
        Self { keys, machine: Machine::new(Some(init), HELD_BYTES_MAX) }
    }

    /// A file whose `moov` lists its samples, which is then pushed from its start on. `moov` is that box with its header,
    /// wherever it is in the file. `mdat_bodies` says where the bodies of the file's `mdat` boxes are: of each the
    /// positions of its first byte and of the byte behind its last, in bytes from the start of the file, in order.
    ///
    /// Returns `None` if the file cannot be decrypted from its start to its end: a track's samples are in another order
    /// than the file's, or the `moov` does not have all that is said of them.
    ///
    /// ```
    /// # use reelkey_client::cenc::stream::append_to;
    /// # use reelkey_client::cenc::boxes::Boxes;
    /// # use reelkey_client::cenc::{Error, Keys, Stream};
    /// fn decrypt(keys: &Keys, film: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    ///     let (mut moov, mut mdat_bodies) = (&[][..], Vec::new());
    ///     for this in Boxes::of(film) {
    ///         let this = this?;
    ///         match &this.kind.0 {
    ///             b"moov" => moov = &film[this.at..this.end()],
    ///             b"mdat" => mdat_bodies.push(this.body_at..this.end()),
    ///             _ => {}
    ///         }
    ///     }
    ///     let Some(mut stream) = Stream::with_table(keys, moov, &mdat_bodies)? else {
    ///         return Ok(None);
    ///     };
    ///     let mut clear = Vec::new();
    ///     stream.push(film, append_to(&mut clear))?;
    ///     stream.finish(append_to(&mut clear))?;
    ///     Ok(Some(clear))
    /// }
    /// # assert!(decrypt(&Keys::default(), b"\0\0\0\x08mdat").is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error`] if the `moov` is damaged or a key is missing.
    pub fn with_table(
        keys: K,
        moov: &[u8],
        mdat_bodies: &[Range<usize>],
    ) -> Result<Option<Self>, Error> {
        let (mut init, mut notes) = (Init::parse(moov)?, Notes::default());
        init.leave_tracks(keys.borrow(), &mut notes);
        let plan = match init.plan_table(moov, mdat_bodies) {
            Err(Error::AuxInfo(aux_info::Error::Offset(_))) => return Ok(None),
            planned => planned?,
        };
        let mut ciphers = Ciphers::default();
        ciphers.bind_only_of(&init, keys.borrow())?;
        let table = Flow::begin(plan, &mut ciphers, keys.borrow())?;
        let machine = table.map(|table| Machine::with_table(table, ciphers, HELD_BYTES_MAX));
        Ok(machine.map(|machine| Self { keys, machine }))
    }

    /// For a stream that begins at position `at` of its file, in bytes: some offsets in a `moof` count from the start of
    /// the file.
    ///
    /// ```
    /// # use reelkey_client::cenc::{Init, Keys, Stream};
    /// # fn seek(keys: Keys, init: Init, moof_position: u64) -> Stream {
    /// Stream::with_init(keys, init).starting_at(moof_position)
    /// # }
    /// ```
    #[must_use]
    pub fn starting_at(mut self, at: u64) -> Self {
        self.machine.at = at;
        self
    }

    /// Holds at most `bytes` of a fragment, or of a `moov`, that cannot be handed on before it is whole. The default is
    /// 256 MiB.
    ///
    /// ```
    /// # use reelkey_client::cenc::stream::{PushError, append_to};
    /// # use reelkey_client::cenc::{Error, Keys, Stream};
    /// let mut stream = Stream::new(Keys::default()).holding_at_most(1024 * 1024);
    /// // A moov of two gigabytes is refused as soon as it is too long.
    /// stream.push(b"\x7f\xff\xff\xffmoov", append_to(&mut Vec::new())).unwrap();
    /// let refused = stream.push(&vec![0; 1024 * 1024], append_to(&mut Vec::new()));
    /// assert!(matches!(refused, Err(PushError::Media(Error::TooLong { .. }))));
    /// ```
    #[must_use]
    pub fn holding_at_most(mut self, bytes: usize) -> Self {
        self.machine.held_max = bytes;
        self
    }

    /// The last `moov` that came, or the one that the stream was given.
    #[must_use]
    pub fn init(&self) -> Option<&Init> {
        self.machine.init.as_ref()
    }

    /// What is worth saying of the film so far.
    ///
    /// ```
    /// # use reelkey_client::cenc::Stream;
    /// # fn report(stream: &Stream) {
    /// for note in stream.notes() {
    ///     eprintln!("note: {note}");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.machine.notes().into_all()
    }

    /// The position up to which all boxes and fragments are whole and clear, in bytes from the start of the file: after an
    /// error, what comes before it can be kept.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.machine.whole()
    }

    /// How many samples have come out.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.machine.samples
    }

    /// Leaves out the next bytes of the stream, at most `rest`, as far as nothing that follows depends on them: media whose
    /// `moof` was read and whose keys are there. Returns how many bytes the caller must not push. This checks a file
    /// without reading its media.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use reelkey_client::cenc::{Error, Keys, Stream};
    /// /// Whether the film could be decrypted, found in a fraction of the time.
    /// fn check(keys: &Keys, film: &[u8]) -> Result<(), Error> {
    ///     let (mut stream, mut rest) = (Stream::new(keys), film);
    ///     let nowhere = |_: &[u8]| Ok::<_, Infallible>(());
    ///     while !rest.is_empty() {
    ///         let (piece, following) = rest.split_at(rest.len().min(4096));
    ///         stream.push(piece, nowhere)?;
    ///         let skipped = stream.skip(following.len() as u64);
    ///         rest = &following[skipped as usize..];
    ///     }
    ///     stream.finish(nowhere)?;
    ///     Ok(())
    /// }
    /// # let film = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4"));
    /// # assert!(matches!(check(&Keys::default(), film), Err(Error::MissingKey(_))));
    /// # let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse().unwrap();
    /// # let key = reelkey_client::key::ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0").unwrap();
    /// # check(&Keys::from_iter([(kid, key)]), film).unwrap();
    /// ```
    pub fn skip(&mut self, rest: u64) -> u64 {
        self.machine.skip(rest)
    }

    /// Takes the next bytes of the stream, as many as there are. The bytes that are clear by then go to `sink`, in order.
    ///
    /// # Errors
    /// [`PushError`]: the media is at fault, or `sink` returned an error. The stream cannot go on; what `sink` took before
    /// is right.
    pub fn push<E>(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        for piece in bytes.chunks(PIECE_BYTES_MAX) {
            self.room(piece.len()).copy_from_slice(piece);
            self.fill(piece.len());
            let advanced = self.advance();
            self.hand_on(&mut sink)?;
            advanced?;
        }
        Ok(())
    }

    /// Ends the stream, which takes no bytes from then on. The last clear bytes go to `sink`. Returns how many samples came
    /// out. Afterwards [`notes`](Self::notes) has what is worth saying of the whole film, for example that a key does not
    /// seem to fit.
    ///
    /// # Errors
    /// As [`push`](Self::push), also where the stream ends in the middle of a box.
    pub fn finish<E>(
        &mut self,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<usize, PushError<E>> {
        let ended = self.end();
        self.hand_on(&mut sink)?;
        self.machine.close();
        ended?;
        Ok(self.samples())
    }

    /// Gives the bytes that are ready to a sink.
    fn hand_on<E>(
        &mut self,
        sink: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        let handed = match self.ready() {
            [] => return Ok(()),
            ready => sink(ready),
        };
        // Nobody knows how many of them a sink took that failed, so none is given to it again.
        self.consume(usize::MAX);
        handed.map_err(|error| {
            self.machine.fail();
            PushError::Sink(error)
        })
    }

    /// Room for the next `length` bytes of the stream.
    pub(super) fn room(&mut self, length: usize) -> &mut [u8] {
        self.machine.held.room(length, self.machine.at)
    }

    /// The first `length` bytes of the room were written.
    pub(super) fn fill(&mut self, length: usize) {
        self.machine.held.fill(length);
    }

    /// Decrypts what was filled, as far as it can be: it is ready then.
    pub(super) fn advance(&mut self) -> Result<(), Error> {
        self.machine.advance(self.keys.borrow())
    }

    /// No bytes follow: what is held is ready then.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        self.machine.end(self.keys.borrow())
    }

    /// The clear bytes that were not consumed.
    pub(super) fn ready(&self) -> &[u8] {
        self.machine.held.ready()
    }

    /// The first `length` of the ready bytes, or all of them if those are fewer, were handed on.
    pub(super) fn consume(&mut self, length: usize) {
        let length = length.min(self.ready().len());
        self.machine.held.consume(length, self.machine.at);
    }

    /// The position in the file of the next byte that comes in.
    #[cfg(feature = "std")]
    pub(super) fn position(&self) -> u64 {
        let held = u64::try_from(self.machine.held.len()).unwrap_or(0);
        self.machine.at.wrapping_add(held)
    }
}
