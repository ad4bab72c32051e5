//! Our own fault: the service failed to do its work. The fault is logged once, with its causes. A player learns
//! nothing about it; an operator learns all of it.

use crate::authority::vault::root_key_file;
use crate::crypto::period::NotDerived;
use crate::crypto::random::RandomnessFailed;
use crate::crypto::wrap::{DoesNotOpen, RewrapFailed, WrapFailed};
use crate::crypto::{seal, sign};
use crate::domain::content::ContentId;
use crate::store::error::Error as StoreError;

/// The service failed to do its work.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root key cannot be read or written.
    #[error(transparent)]
    RootKey(#[from] root_key_file::Error),
    /// A record is missing that every store has.
    #[error("the store has no {0}")]
    Incomplete(&'static str),
    /// The root key belongs to another store.
    #[error("the root key is not this store's; put the right one back into keys/root.key")]
    WrongRootKey,
    /// Two KEKs are primary.
    #[error("two key-encryption keys are primary")]
    TwoPrimary,
    /// A record cannot be opened.
    #[error("{record} of the store is damaged")]
    Record {
        /// The record.
        record: String,
        /// The cause.
        source: DoesNotOpen,
    },
    /// Some records were not copied to the fresh store.
    #[error("{copied} of {all} records were copied, so nothing was changed")]
    NotCopied {
        /// The number of copied records.
        copied: usize,
        /// The number of records to copy.
        all: usize,
    },
    /// A rotation of the root key was interrupted. Both root keys exist.
    #[error("the rotation of the root key was cut short")]
    CutShort(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A secret could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapFailed),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
    /// The key of a crypto period could not be derived.
    #[error(transparent)]
    NotDerived(#[from] NotDerived),
    /// A signing key could not be made or used.
    #[error("the signing key cannot be used")]
    Signer(#[from] sign::Error),
    /// Keys could not be sealed to a device.
    #[error("the keys could not be sealed")]
    Seal(#[from] seal::Error),
    /// A license could not be encoded.
    #[error("a license could not be encoded")]
    Encoding(#[from] serde_json::Error),
    /// A content names a policy that does not exist.
    #[error(
        "content {content} names the policy {policy:?}, and there is no policies/{policy}.toml"
    )]
    NoPolicy {
        /// The content.
        content: ContentId,
        /// The missing policy.
        policy: String,
    },
    /// Other tasks changed the same records at the same time, again and again.
    #[error("others changed the same records {attempts} times in a row; nothing was changed")]
    Contended {
        /// The number of attempts.
        attempts: usize,
    },
}

/// The remedy for a damaged store.
const DAMAGED: &str = "keep the store's files, and put back a copy of the data folder that was made while the service was \
                       stopped";

impl Fault {
    /// The operator's next step, if the error's text does not already say it.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Incomplete(_) | Self::TwoPrimary | Self::Record { .. } => Some(DAMAGED),
            Self::NotCopied { .. } => Some("run `reelkey doctor`"),
            Self::CutShort(_) => Some("restart the service, which finishes or undoes it"),
            Self::NoPolicy { .. } => {
                Some("put the policy back, or name another one for the content")
            }
            Self::Contended { .. } => Some("run the command again"),
            Self::Store(_)
            | Self::RootKey(_)
            | Self::WrongRootKey
            | Self::Wrap(_)
            | Self::Randomness(_)
            | Self::NotDerived(_)
            | Self::Signer(_)
            | Self::Seal(_)
            | Self::Encoding(_) => None,
        }
    }
}

impl From<RewrapFailed> for Fault {
    fn from(failed: RewrapFailed) -> Self {
        match failed {
            RewrapFailed::Open(source) => Self::Record { record: "a secret".into(), source },
            RewrapFailed::Wrap(failed) => failed.into(),
        }
    }
}
