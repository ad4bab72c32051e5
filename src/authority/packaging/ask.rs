//! What a packager asks for, what it is given, and why it is refused. The protocols translate to and from these.

use std::sync::Arc;
use std::time::Duration;

use reelkey_client::key::{ContentKey, KeyId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::provision::refusal::Refusal as Provision;
use crate::authority::stop::Stop;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;

/// The most keys of one request.
pub const KEYS_MAX: usize = 2048;

/// How long a request waits for its turn among those of its packager.
const TURN_SECS: Duration = Duration::from_secs(10);

/// Keys of one content.
#[derive(Clone, Debug)]
pub struct Order {
    /// The content.
    pub content: ContentId,
    /// The keys, in the order in which they are answered.
    pub wanted: Vec<Wanted>,
    /// How long a crypto period lasts, if the packager says so.
    pub crypto_period_seconds: Option<u32>,
}

/// A key that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The track type; `None` for a key for all tracks.
    pub track: Option<TrackType>,
    /// The crypto period; `None` for a key that does not change with time.
    pub period: Option<u32>,
    /// The KID, if the encoder chooses it.
    pub kid: Option<KeyId>,
}

/// A key that is given to a packager.
#[derive(Debug)]
pub struct PackagedKey {
    /// Its KID.
    pub kid: KeyId,
    /// The key itself. It is zeroed when it is dropped.
    pub key: ContentKey,
    /// Its content.
    pub content: ContentId,
    /// The track type that it encrypts.
    pub track: Option<TrackType>,
    /// The crypto period that it is for.
    pub period: Option<u32>,
}

/// A request as its protocol reports it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The protocol, in one word, for the log.
    pub protocol: &'static str,
    /// Time, request ID and address.
    pub circumstances: Circumstances<'a>,
}

/// A packager is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The packager may not do this, or not with this content. It learns nothing of what there is.
    #[error("this packager may not do this with this content")]
    NotAllowed,
    /// The content does not exist, and the packager may add none.
    #[error("there is no content {0}, and this packager may add none")]
    NoContent(ContentId),
    /// The KID belongs to another content.
    #[error("KID {0} is a key of another content")]
    OtherContent(KeyId),
    /// The key with this KID is of another track type or crypto period.
    #[error("KID {0} is the key of another track or crypto period of this content")]
    OtherUse(KeyId),
    /// The key is retired.
    #[error("the key {0} is retired")]
    Retired(KeyId),
    /// More keys than one request may have.
    #[error("one request may ask for {KEYS_MAX} keys")]
    TooMany,
    /// The content cannot be added: its policies are not in force.
    #[error(transparent)]
    Provision(Provision),
    /// The packager asks for too much at once.
    #[error("this packager has too many requests at once")]
    Busy,
}

impl From<Refused> for Stop<Refused> {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Waits until it is this request's turn among those of its packager.
pub(super) async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refused> {
    let turn = timeout(TURN_SECS, Arc::clone(turns).acquire_owned()).await;
    turn.ok().and_then(Result::ok).ok_or(Refused::Busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_its_turn_and_not_for_ever() {
        let turns = Arc::new(Semaphore::new(1));
        let first = turn(&turns).await.unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(turn(&turns).await.unwrap_err(), Refused::Busy);
        assert_eq!(began.elapsed(), TURN_SECS);
        drop(first);
        assert!(turn(&turns).await.is_ok());
    }
}
