//! Why a film cannot be inspected to its end.
//!
//! Deliberately absent: broken rules of protection, which a film shows as they are.

use core::fmt;

use crate::cenc::boxes::{self, FourCc};

/// The file is damaged, or no MP4. What was seen before is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another container, recognized by its first bytes.
    #[error("this is {0}, not MP4 (ISO/IEC 14496-12)")]
    Foreign(Container),
    /// A box in a `moov` or `moof` is damaged. Offsets in `source` count from the start of that box.
    #[error("in the {kind} at byte {at}: {source}")]
    Within {
        /// The type of the box.
        kind: FourCc,
        /// Where it begins in the file.
        at: u64,
        /// The damage.
        source: boxes::Error,
    },
    /// A box is shorter than its header (ISO/IEC 14496-12:2022, 4.2.2).
    #[error("box {kind} at byte {at} has a size of {size} (ISO/IEC 14496-12, 4.2.2)")]
    Size {
        /// Its type.
        kind: FourCc,
        /// Where it begins in the file.
        at: u64,
        /// Its size as its header states it, in bytes.
        size: u64,
    },
    /// The file ends in the middle of a box.
    #[error("the file ends in the box {kind} at byte {at}: {missing} bytes are missing")]
    CutShort {
        /// Its type.
        kind: FourCc,
        /// Where it begins in the file.
        at: u64,
        /// How many bytes of it are not there.
        missing: u64,
    },
    /// The box has to be held to be read, and is longer than is allowed.
    #[error("box {kind} is longer than {max} bytes, the most that is held")]
    TooLong {
        /// Its type.
        kind: FourCc,
        /// The limit, in bytes.
        max: usize,
    },
    /// There is neither a `moov` nor a `moof`.
    #[error("there is neither a moov nor a moof box (ISO/IEC 14496-12, 8.2.1 and 8.8.4)")]
    NoFilm,
    /// An error was returned before. The bytes behind it are not looked at.
    #[error("the inspection ended with an error before and cannot go on")]
    Failed,
}

/// A container that is not MP4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Container {
    /// Matroska and WebM: EBML.
    WebM,
    /// MPEG-2 transport stream (ISO/IEC 13818-1).
    TransportStream,
    /// A playlist of HLS (RFC 8216).
    HlsPlaylist,
    /// XML, such as a manifest of DASH.
    Xml,
    /// Anything else.
    Unknown,
}

impl Container {
    /// Recognizes the first bytes of a file that is no MP4.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        let kind = start.get(4..8).unwrap_or_default();
        match start {
            [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Self::WebM),
            _ if start.starts_with(b"#EXTM3U") => Some(Self::HlsPlaylist),
            [b'<', ..] | [0xef, 0xbb, 0xbf, b'<', ..] => Some(Self::Xml),
            // A packet is 188 bytes long: a box that begins with the same byte would be longer than a gigabyte.
            [0x47, ..] if kind.iter().any(|byte| !is_of_a_type(*byte)) => {
                Some(Self::TransportStream)
            }
            _ if kind.iter().any(|byte| !is_of_a_type(*byte)) => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// Box types are printable; Apple's may have the copyright sign.
fn is_of_a_type(byte: u8) -> bool {
    byte == 0xa9 || byte == b' ' || byte.is_ascii_graphic()
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebM => "a WebM or Matroska file",
            Self::TransportStream => "an MPEG-2 transport stream",
            Self::HlsPlaylist => "an HLS playlist",
            Self::Xml => "XML, perhaps a DASH manifest",
            Self::Unknown => "another kind of file",
        })
    }
}
