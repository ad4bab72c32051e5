//! Why a film cannot be inspected to its end.
//!
//! Deliberately absent: broken rules of protection, which a film shows as they are.

use crate::cenc::boxes::{self, FourCc};
use crate::cenc::foreign::Foreign;

/// The file is damaged, or no MP4. What was seen before is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No MP4: its first bytes are those of something else, or there are none.
    #[error(transparent)]
    Foreign(#[from] Foreign),
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
