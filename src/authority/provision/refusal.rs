//! Why a content or a key is not changed.

use reelkey_client::key::KeyId;

use crate::authority::stop::{Remedy, Stop};
use crate::domain::content::ContentId;

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioned {
    /// It is done, and on disk.
    Done,
    /// It was done before.
    Already,
}

/// A change is refused; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The content is there with other policies.
    #[error("{0} exists with other policies")]
    OtherPolicies(ContentId),
    /// There is no such content.
    #[error("there is no content {0}")]
    NoContent(ContentId),
    /// There is no such key.
    #[error("there is no key {0}")]
    NoKey(KeyId),
    /// A policy that is not in force.
    #[error("there is no policy {0:?}")]
    NoPolicy(String),
    /// A policy named twice.
    #[error("policy {0:?} is named twice")]
    RepeatedPolicy(String),
    /// The content has keys that are given out.
    #[error("{content} has {active} active keys")]
    ActiveKeys {
        /// Which content.
        content: ContentId,
        /// How many.
        active: usize,
    },
    /// The content has no key of that kind to rotate.
    #[error("{0} has no such key")]
    NothingToRotate(ContentId),
    /// The KID belongs to another content.
    #[error("key {0} belongs to {1}; a KID belongs to one content")]
    OtherContent(KeyId, ContentId),
    /// The KID has another track type.
    #[error("key {0} exists with another track type")]
    OtherTrack(KeyId),
    /// The KID has another key.
    #[error("key {0} exists with another value")]
    OtherKey(KeyId),
    /// The same key was retired.
    #[error("key {0} is retired and stays so")]
    Retired(KeyId),
    /// Not a key, or not a KID.
    #[error("a key is 32 hexadecimal digits, a key ID that or a UUID")]
    Malformed,
}

/// Why a content or a key was not changed.
pub type Stopped = Stop<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Remedy for Refusal {
    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NoContent(content) => {
                format!("add it first with `reelkey content add {content} --policy NAME`")
            }
            Self::NoKey(_) => "see `reelkey key list`".into(),
            Self::NoPolicy(_) => {
                "see `reelkey policy list`, and restart the service for a new one".into()
            }
            Self::ActiveKeys { .. } => "retire them first with `reelkey key retire KID`".into(),
            Self::NothingToRotate(content) => {
                format!("make one with `reelkey key generate {content} --track TYPE`")
            }
            Self::OtherKey(_) | Self::Retired(_) => "use a new KID".into(),
            Self::OtherPolicies(_)
            | Self::RepeatedPolicy(_)
            | Self::OtherContent(..)
            | Self::OtherTrack(_)
            | Self::Malformed => return None,
        })
    }
}
