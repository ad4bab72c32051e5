//! Encrypted bytes from one reader, read as clear ones from another: a [`Stream`] between two of `std::io`.
//!
//! Deliberately absent: seeking. To begin in the middle of a file, give a stream that starts there
//! ([`Stream::starting_at`]).

use core::borrow::Borrow;
use core::mem;
use std::io::{self, BufRead, ErrorKind, Read};

use crate::cenc::error::Error;
use crate::cenc::keys::Keys;
use crate::cenc::stream::{PIECE_BYTES_MAX, Stream};

/// Reads a clear film from a reader of an encrypted one.
///
/// It has a buffer of its own, so `R` needs none and a `read` may ask for few bytes; [`BufRead::fill_buf`] gives the clear
/// bytes without a copy. It holds what [`Stream`] holds: part of a sample as a rule, at most one fragment.
///
/// ```
/// use std::fs::File;
/// use std::io;
/// use reelkey_client::cenc::{Keys, Reader};
/// use reelkey_client::key::ContentKey;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4");
/// # let mut player = Vec::new();
/// let mut keys = Keys::default();
/// let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
/// keys.insert(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
///
/// let mut film = Reader::new(File::open(path)?, keys);
/// io::copy(&mut film, &mut player)?;
/// assert_eq!(film.stream().samples(), 75);
/// # assert!(player.windows(4).all(|kind| kind != b"encv"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// An error of the inner reader is passed on, and reading may then be tried again; only [`ErrorKind::Interrupted`] is not,
/// the read is repeated at once. Media that cannot be decrypted is [`ErrorKind::InvalidData`], after all clear bytes
/// before it were read, and the [`Error`] is inside:
///
/// ```
/// use std::io::Read;
/// use reelkey_client::cenc::{Error, Keys, Reader};
///
/// let truncated = b"\0\0\0\x09free";
/// let error = Reader::new(&truncated[..], Keys::default()).read_to_end(&mut Vec::new()).unwrap_err();
/// let error = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
/// assert!(matches!(error, Some(Error::Box(_))));
/// ```
#[derive(Debug)]
pub struct Reader<R, K = Keys> {
    inner: R,
    stream: Stream<K>,
    rest: Rest,
}

/// What follows the bytes that are ready.
#[derive(Debug)]
enum Rest {
    /// Whatever the inner reader has.
    Unread,
    /// Nothing: the inner reader and the stream are at their end.
    Nothing,
    /// This error. It is returned once; then it is [`Error::Failed`].
    Error(Error),
}

impl<R: Read, K: Borrow<Keys>> Reader<R, K> {
    /// Reads a film that begins with its initialization segment. It takes the keys, or borrows them.
    #[must_use]
    pub fn new(inner: R, keys: K) -> Self {
        Self::from_stream(inner, Stream::new(keys))
    }

    /// Reads a film that `stream` describes, where [`new`](Self::new) is not enough: media segments after their
    /// initialization segment, or a file whose `moov` lists its samples.
    ///
    /// ```
    /// # use std::io::{self, Read};
    /// # use reelkey_client::cenc::{Init, Keys, Reader, Stream};
    /// # fn read(init: Init, keys: &Keys, segments: impl Read) -> io::Result<Vec<u8>> {
    /// let stream = Stream::with_init(keys, init);
    /// let mut clear = Vec::new();
    /// Reader::from_stream(segments, stream).read_to_end(&mut clear)?;
    /// # Ok(clear)
    /// # }
    /// ```
    #[must_use]
    pub fn from_stream(inner: R, stream: Stream<K>) -> Self {
        Self { inner, stream, rest: Rest::Unread }
    }

    /// The stream between both readers: what its `moov` says, how many samples came out.
    #[must_use]
    pub fn stream(&self) -> &Stream<K> {
        &self.stream
    }

    /// Gives the inner reader back. Bytes that were read from it and not yet handed on are lost.
    #[must_use]
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Reads once from the inner reader, and decrypts what came.
    fn read_more(&mut self) -> io::Result<()> {
        // Up to a position where memory pages end.
        let past = usize::try_from(self.stream.position()).unwrap_or(0) % PIECE_BYTES_MAX;
        let wanted = PIECE_BYTES_MAX - past;
        let read = loop {
            match self.inner.read(self.stream.room(wanted)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        // A reader may claim more than there was room for.
        self.stream.fill(read.min(wanted));
        let decrypted = match read {
            0 => self.stream.end().map(|()| Rest::Nothing),
            _ => self.stream.advance().map(|()| Rest::Unread),
        };
        self.rest = decrypted.unwrap_or_else(Rest::Error);
        Ok(())
    }
}

impl<R: Read, K: Borrow<Keys>> BufRead for Reader<R, K> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.stream.ready().is_empty() {
            match &mut self.rest {
                Rest::Unread => self.read_more()?,
                Rest::Nothing => break,
                Rest::Error(error) => {
                    let error = mem::replace(error, Error::Failed);
                    return Err(io::Error::new(ErrorKind::InvalidData, error));
                }
            }
        }
        Ok(self.stream.ready())
    }

    fn consume(&mut self, amount: usize) {
        self.stream.consume(amount);
    }
}

impl<R: Read, K: Borrow<Keys>> Read for Reader<R, K> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
