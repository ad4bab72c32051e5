//! Why a film cannot be decrypted: the errors of all readers of boxes in one type.
//!
//! Each reader has an error of its own beside its code. Deliberately absent: the errors of sinks, which
//! [`stream`](crate::cenc::stream) has.

use alloc::boxed::Box;

use crate::cenc::boxes::{self, FourCc};
use crate::cenc::foreign::Foreign;
use crate::cenc::keys::MissingKey;
use crate::cenc::{aux_info, fragment, init, table};
use crate::key::KeyId;

/// The film cannot be decrypted. Nothing of a file was changed; of a stream, nothing of the fragment came out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box lies about its size or ends too early (ISO/IEC 14496-12:2022, 4.2).
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// The `moov` is missing or unreadable (14496-12, 8.2 to 8.5), or breaks a rule of protection (8.12; ISO/IEC
    /// 23001-7:2023, 8.2 and 9).
    #[error(transparent)]
    Init(#[from] init::Error),
    /// A fragment is unreadable, or contradicts the rest (14496-12, 8.8; groups: 8.9).
    #[error(transparent)]
    Fragment(#[from] fragment::Error),
    /// A sample table is unreadable, or contradicts the rest (14496-12, 8.5 to 8.7).
    #[error(transparent)]
    Table(#[from] table::Error),
    /// The samples' auxiliary information is missing or unreadable (23001-7, 7; 14496-12, 8.7.8 and 8.7.9).
    #[error(transparent)]
    AuxInfo(#[from] aux_info::Error),
    /// An error in one part of a stream. The offsets in `source` count from the start of that part.
    #[error("in what begins at byte {at}: {source}")]
    Within {
        /// Where the part begins, in bytes from the start of the stream.
        at: u64,
        /// The error in the part.
        source: Box<Self>,
    },
    /// The stream cannot go on before the box is whole, and until then it would hold more bytes than is allowed.
    #[error(
        "box {kind}: more than {max} bytes would be held of the stream; read it as a file, or allow more"
    )]
    TooLong {
        /// The type of the box.
        kind: FourCc,
        /// The limit, in bytes.
        max: usize,
    },
    /// The `moov` lists samples and there are fragments too, which a stream cannot tell apart in time.
    #[error("there are samples in the moov and in fragments; read it as a file")]
    TableAndFragments,
    /// There is no key for protected samples.
    #[error(transparent)]
    MissingKey(#[from] MissingKey),
    /// A key was given for the only KID, and the film has several.
    #[error("the film has several KIDs ({0} and {1}): say for which the key is")]
    SeveralKids(KeyId, KeyId),
    /// This is no MP4 at all.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// Media comes before the `moov` that it needs, or no `moov` comes at all (14496-12, 8.2.1).
    #[error(
        "the {kind} at byte {at} comes before any moov: a media segment needs its initialization segment, and a film whose moov comes last has to be read as a file"
    )]
    MediaFirst {
        /// `moof` or `mdat`.
        kind: FourCc,
        /// Where it begins.
        at: u64,
    },
    /// The samples that a `moov` lists cannot be decrypted in the order in which they come.
    #[error(
        "the samples are not in the order of the file, or what is said of them is elsewhere; read it as a file"
    )]
    NotInOrder,
    /// The bytes are not those that were planned for.
    #[error("the plan is for other bytes than these")]
    OtherBytes,
    /// The stream returned an error before, or was ended. It does not go on.
    #[error("the stream returned an error before, or was ended, and cannot go on")]
    Failed,
}

impl Error {
    /// Adds where the part begins that the error is about, in bytes from the start of the stream.
    pub(super) fn within(self, at: u64) -> Self {
        match self {
            Self::MissingKey(_)
            | Self::SeveralKids(..)
            | Self::Foreign(_)
            | Self::MediaFirst { .. }
            | Self::OtherBytes
            | Self::Failed => self,
            _ if at == 0 => self,
            source => Self::Within { at, source: Box::new(source) },
        }
    }
}
