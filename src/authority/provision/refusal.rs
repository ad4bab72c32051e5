//! Why a change of a content or a key is refused.

use reelkey_client::key::KeyId;

use crate::authority::stop::{Remedy, Stop};
use crate::domain::content::ContentId;

/// The result of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioned {
    /// It was made, and is on disk.
    Done,
    /// It had been made before.
    Already,
}

/// A change is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The content exists with other policies.
    #[error("{0} exists with other policies")]
    OtherPolicies(ContentId),
    /// The content does not exist.
    #[error("there is no content {0}")]
    NoContent(ContentId),
    /// The key does not exist.
    #[error("there is no key {0}")]
    NoKey(KeyId),
    /// The policy is not in force.
    #[error("there is no policy {0:?}")]
    NoPolicy(String),
    /// The policy is named twice.
    #[error("policy {0:?} is named twice")]
    RepeatedPolicy(String),
    /// The content has active keys.
    #[error("{content} has {active} active keys")]
    ActiveKeys {
        /// The content.
        content: ContentId,
        /// The number of active keys.
        active: usize,
    },
    /// The content has no active key of that track type.
    #[error("{0} has no such key")]
    NothingToRotate(ContentId),
    /// The KID belongs to another content.
    #[error("key {0} belongs to {1}; a KID belongs to one content")]
    OtherContent(KeyId, ContentId),
    /// The KID exists with another track type.
    #[error("key {0} exists with another track type")]
    OtherTrack(KeyId),
    /// The KID exists with another key.
    #[error("key {0} exists with another value")]
    OtherKey(KeyId),
    /// The same key exists and is retired.
    #[error("key {0} is retired and stays so")]
    Retired(KeyId),
    /// The text is not a key or not a KID.
    #[error("a key is 32 hexadecimal digits; a key ID is 32 hexadecimal digits or a UUID")]
    Malformed,
}

/// The change was refused or failed.
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
                "see `reelkey policy list`; restart the service to load a new policy".into()
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
