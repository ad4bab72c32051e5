//! The states of a stream, and what holds in each of them.
//!
//! Deliberately absent: the way from one state to the next, which [`machine`](crate::cenc::machine) is.

use alloc::boxed::Box;

use crate::cenc::boxes::{self, FourCc};
use crate::cenc::error::Error;
use crate::cenc::flow::Flow;
use crate::cenc::tail::MediaWatch;

/// What comes next in a stream. "Held" are the bytes that came and are not final.
#[derive(Debug)]
pub(super) enum State {
    /// The held bytes, if there are any, begin with a box of which nothing is final. Either its header is not whole, or it
    /// is a `moov` or a `moof` that is not whole.
    AtBox,
    /// A box that is neither decrypted nor read is going by. Nothing is held.
    Passing {
        this: StreamBox,
        /// How many bytes of the box are still to come; `u64::MAX` at first for a box up to the end of the stream.
        left: u64,
        /// Looks for media in a box of a type that nobody knows: it may be none.
        watch: Option<MediaWatch>,
    },
    /// The held bytes begin with a whole `moof`. Its samples are not known to be complete.
    Fragment(Gathered),
    /// The `moof` of this `mdat` was read and has all that its samples need. What is held is part of one sample.
    FragmentMedia(Box<Flow>, Media),
    /// The `moov` listed the samples of this `mdat`, and the stream has them. What is held is part of one sample.
    TableMedia(Media),
    /// An error was returned, or the caller ended the stream. No bytes behind it are looked at.
    Failed,
}

/// A box of the stream whose first bytes are not held any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamBox {
    pub(super) kind: FourCc,
    /// The position in the file of its first byte.
    pub(super) at: u64,
    /// Its size in bytes; `None`: up to the end of the stream.
    pub(super) size: Option<u64>,
}

/// An `mdat` that goes out while it comes in, with the boxes before it that are not out yet. Positions count from where
/// those of the samples do: the start of the fragment, or of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Media {
    pub(super) mdat: StreamBox,
    /// The position of the first byte that is not out.
    pub(super) gone: usize,
    /// The position where the `mdat` ends.
    pub(super) end: usize,
}

/// A `moof` and the boxes behind it, and what was tried with them in vain: a second attempt waits until there is more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gathered {
    /// The held bytes up to here are whole boxes of this fragment.
    pub(super) parsed: usize,
    /// Where the last `mdat` begins that could not go out while it comes in.
    pub(super) not_flowing: Option<usize>,
    /// How many times the boxes were taken for a whole fragment.
    pub(super) attempts: u32,
    /// How many bytes the boxes had at the last of these attempts.
    pub(super) attempted: usize,
}

impl StreamBox {
    /// The error that the stream ends when `missing` bytes of the box are still to come.
    pub(super) fn cut_short(&self, missing: u64) -> Error {
        let (at, size) = (usize::try_from(self.at).unwrap_or(usize::MAX), self.size.unwrap_or(0));
        let rest = usize::try_from(size.saturating_sub(missing)).unwrap_or(usize::MAX);
        boxes::Error::Size { kind: self.kind, at, size, rest }.into()
    }
}

impl Media {
    /// How many bytes are not out, if `held` of them are there.
    pub(super) fn missing(&self, held: usize) -> usize {
        self.end.saturating_sub(self.gone).saturating_sub(held)
    }
}
