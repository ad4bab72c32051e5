//! Why a change of a content or a key is refused.

use reelkey_client::key::KeyId;

use crate::authority::stop::{Remedy, Stop};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;

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
    /// The content exists with crypto periods of another length, or without any.
    #[error("{0} exists with other crypto periods, which cannot change")]
    OtherPeriods(ContentId),
    /// The content does not exist.
    #[error("there is no content {content}")]
    NoContent {
        /// The content that was named.
        content: ContentId,
        /// The content with the most similar ID.
        nearest: Option<ContentId>,
    },
    /// The key does not exist.
    #[error("there is no key {0}")]
    NoKey(KeyId),
    /// The policy is not in force.
    #[error("there is no policy {policy:?}")]
    NoPolicy {
        /// The policy that was named.
        policy: String,
        /// The policy with the most similar name.
        nearest: Option<String>,
    },
    /// A content cannot be left without a policy.
    #[error("a content needs at least one policy")]
    NoPolicies,
    /// No policy of the content grants a key of that track type.
    #[error("{}", unreachable_key(.content, *.track, .tracks))]
    Unreachable {
        /// The content.
        content: ContentId,
        /// The track type of the key.
        track: Option<TrackType>,
        /// The track types that its policies grant.
        tracks: Vec<TrackType>,
    },
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
    /// The KID exists with another crypto period.
    #[error("key {0} exists with another crypto period")]
    OtherPeriod(KeyId),
    /// There is no crypto period after the last one.
    #[error("{0} has a key of the last crypto period that there can be")]
    NoNextPeriod(ContentId),
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

fn unreachable_key(content: &ContentId, track: Option<TrackType>, tracks: &[TrackType]) -> String {
    let tracks: Vec<_> = tracks.iter().map(|track| track.as_str()).collect();
    let tracks = if tracks.is_empty() { "none".into() } else { tracks.join(", ") };
    let key =
        track.map_or_else(|| "a key without a track".into(), |track| format!("a key of {track}"));
    format!("no license would contain {key} of {content}: its policies grant {tracks}")
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
            Self::NoContent { nearest: Some(nearest), content } => format!(
                "did you mean {nearest}? or add it with `reelkey content add {content} --policy NAME`"
            ),
            Self::NoContent { content, nearest: None } => {
                format!("add it first with `reelkey content add {content} --policy NAME`")
            }
            Self::Unreachable { tracks, .. } => {
                let tracks: Vec<_> = tracks.iter().map(ToString::to_string).collect();
                match tracks.is_empty() {
                    true => "name one with --track, and allow it in the policy's `tracks`".into(),
                    false => format!("name the track: --track {}", tracks.join(" or --track ")),
                }
            }
            Self::NoKey(_) => "see `reelkey key list`".into(),
            Self::NoNextPeriod(_) => "retire that key with `reelkey key retire KID`".into(),
            Self::NoPolicy { nearest, .. } => {
                let other = nearest.as_ref();
                let other = other.map(|name| format!("did you mean {name}? otherwise "));
                let see = "see `reelkey policy list`; `reelkey reload` puts a new policy in force";
                format!("{}{see}", other.unwrap_or_default())
            }
            Self::ActiveKeys { .. } => "retire them first with `reelkey key retire KID`".into(),
            Self::NothingToRotate(content) => {
                format!("make one with `reelkey key generate {content} --track TYPE`")
            }
            Self::OtherKey(_) | Self::Retired(_) => "use a new KID".into(),
            Self::NoPolicies => "name one with --policy".into(),
            Self::OtherPolicies(content) => {
                format!("replace them with `reelkey content set-policy {content} --policy NAME`")
            }
            Self::OtherPeriods(content) => {
                format!("see `reelkey content show {content}`, or add another content")
            }
            Self::RepeatedPolicy(_)
            | Self::OtherContent(..)
            | Self::OtherTrack(_)
            | Self::OtherPeriod(_)
            | Self::Malformed => return None,
        })
    }
}
