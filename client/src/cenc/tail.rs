//! The boxes that a file consists of, and the bytes behind the last one that are none: padding, or what a program wrote
//! behind the film. People have such files, and players play them.
//!
//! Bytes are a tail only if no box of a known type begins them and no media follows: a film that is damaged in the middle is
//! an error, and its rest is never copied as it is.

use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, Boxes, Header};
use crate::cenc::foreign::{self, is_known_box};
use crate::cenc::moov;

/// The boxes of a whole file or segment.
#[derive(Debug)]
pub(super) struct FileBoxes<'a> {
    boxes: Vec<BoxRef<'a>>,
    /// Where the bytes begin that are no box.
    pub(super) tail_at: Option<usize>,
}

impl<'a> FileBoxes<'a> {
    /// The first box that is as `wanted`.
    pub(super) fn find(&self, wanted: impl Fn(&BoxRef<'a>) -> bool) -> Option<BoxRef<'a>> {
        self.boxes.iter().copied().find(wanted)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = BoxRef<'a>> {
        self.boxes.iter().copied()
    }
}

/// The boxes of a file or segment that is there as a whole.
///
/// # Errors
/// [`moov::Error::Foreign`] if it is no MP4, or [`moov::Error::Box`] if a box is damaged.
pub(super) fn boxes_of(file: &[u8]) -> Result<FileBoxes<'_>, moov::Error> {
    if let Some(foreign) = foreign::recognize(file) {
        return Err(foreign.into());
    }
    let mut found = FileBoxes { boxes: Vec::new(), tail_at: None };
    let mut rest = Boxes::of(file);
    loop {
        let tail_at = found.boxes.last().map_or(0, BoxRef::end);
        match rest.next() {
            None => return Ok(found),
            Some(Ok(this)) if is_known_box(&this.kind.0) || !goes_to_end(file, tail_at) => {
                found.boxes.push(this);
            }
            Some(this) => {
                let tail = file.get(tail_at..).unwrap_or_default();
                if found.boxes.is_empty() || !may_be_tail(tail) || MediaWatch::default().sees(tail)
                {
                    let header = Header::parse(tail);
                    let error = header.map(|header| wrong_size(&header, tail_at, tail.len()));
                    return Err(this.err().or(error).map_or(moov::Error::NoMoov, Into::into));
                }
                found.tail_at = Some(tail_at);
                return Ok(found);
            }
        }
    }
}

/// Whether the box at this position has no size of its own: it goes on to the end of the file.
fn goes_to_end(file: &[u8], at: usize) -> bool {
    let header = file.get(at..).and_then(Header::parse);
    header.is_some_and(|header| header.size.is_none())
}

/// Whether `bytes`, which begin where a box should, may be no box at all. `bytes` that end within the type of a known box
/// are that box, cut short.
pub(super) fn may_be_tail(bytes: &[u8]) -> bool {
    let kind = bytes.get(4..bytes.len().min(8)).unwrap_or_default();
    match kind.first_chunk() {
        Some(kind) => !is_known_box(kind),
        None => !foreign::begins_known_box(kind),
    }
}

/// Whether this is the header of no box: of a type that nobody knows, and with a size that is too small, or none.
pub(super) fn is_no_header(header: &Header) -> bool {
    !is_known_box(&header.kind.0) && header.size.is_none_or(|size| size < header.length.into())
}

/// Looks for boxes of media in bytes that come in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MediaWatch {
    /// The last bytes of the piece before, the last one at the end.
    last: [u8; 3],
    /// Whether a box of media began in the bytes so far.
    has_seen: bool,
}

impl MediaWatch {
    /// Whether a box of media began in the bytes so far.
    pub(super) fn has_seen(&self) -> bool {
        self.has_seen
    }

    /// Looks at the next bytes. Returns whether a box of media began in those so far.
    pub(super) fn sees(&mut self, bytes: &[u8]) -> bool {
        let is_media = |kind: &[u8]| matches!(kind, b"moof" | b"mdat" | b"moov");
        let mut seam = Vec::from(self.last);
        seam.extend(bytes.iter().take(3));
        let found = bytes.windows(4).any(is_media) || seam.windows(4).any(is_media);
        if let Some(last) = bytes.last_chunk() {
            self.last = *last;
        } else if let Some(last) = seam.last_chunk() {
            self.last = *last;
        }
        self.has_seen |= found;
        self.has_seen
    }
}

/// The error of a box whose header this is, and which is not as long as it says.
pub(super) fn wrong_size(header: &Header, at: usize, rest: usize) -> boxes::Error {
    boxes::Error::Size { kind: header.kind, at, size: header.size.unwrap_or(0), rest }
}
