//! What a kept license is made of, and whether it plays at a given time.
//!
//! Deliberately absent: what changes it ([`kept`](crate::exchange::kept)), and the form in which it is stored.

use alloc::boxed::Box;
use alloc::string::String;

use crate::exchange::license::Claims;
use crate::exchange::pending::{self, Pending};
use crate::exchange::release::{ReceiptError, StoredError};
use crate::exchange::request;
use crate::exchange::stored;
use crate::exchange::verified::Signer;
use crate::exchange::wall_clock::{SetBack, WallClock};
use crate::strict::json;
use crate::strict::jwk;
use crate::time::UnixTime;

/// What became of a kept license.
pub(crate) enum State {
    /// The device has it.
    Held(Box<Held>),
    /// It was returned. Its keys are gone.
    Returned { license_id: String },
}

/// A license that the device has.
pub(crate) struct Held {
    /// The license and its request, as they travelled.
    pub(crate) license: String,
    pub(crate) request: String,
    /// The key that verifies the license: the service may have changed it when it is needed again.
    pub(crate) signer: Signer,
    /// The claims of `license`, and what opens its keys.
    pub(crate) claims: Claims,
    pub(crate) pending: Pending,
    pub(crate) clock: WallClock,
    /// The `iat` of the license with counter 0.
    pub(crate) first_issued: UnixTime,
    /// In seconds from `first_issued`.
    pub(crate) first_play: Option<u64>,
    /// The release that was signed, if one was.
    pub(crate) release: Option<String>,
}

/// The license cannot be kept, or does not play now. The message repeats no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than a kept license can be.
    #[error("the kept license is longer than {0} bytes")]
    TooLong(usize),
    /// Not strict JSON of the form that [`to_json`](crate::exchange::KeptLicense::to_json) writes.
    #[error("this is no kept license: {0}")]
    Form(#[from] json::Error),
    /// Written by another version of this crate.
    #[error("the kept license has another version than 1; read it with the player that kept it")]
    Version,
    /// The members do not go together, for example a first play after the latest time that was seen.
    #[error("the kept license contradicts itself; obtain another")]
    Contradiction,
    /// The key that verifies the license is unusable.
    #[error("verifying_key of the kept license: {0}")]
    VerifyingKey(#[source] jwk::Error),
    /// The request or its key.
    #[error(transparent)]
    Request(#[from] stored::Error),
    /// The license is not genuine, or does not answer the request.
    #[error(transparent)]
    License(#[from] pending::Error),
    /// The body is not the request that `pending` is of.
    #[error("this is not the body of the request that is pending")]
    OtherRequest,
    /// A temporary license, which no device keeps.
    #[error("the license is a temporary one; ask with session_type persistent-license to keep it")]
    Temporary,
    /// The answer to a renewal or a release is not for this license.
    #[error("this is for another license than the one that is kept")]
    OtherLicense,
    /// The wall clock was set back.
    #[error(transparent)]
    SetBack(#[from] SetBack),
    /// `nbf` is still to come.
    #[error("the license begins at {0} (seconds since 1970)")]
    NotYet(UnixTime),
    /// `exp` has come.
    #[error("the license ended at {at} (seconds since 1970), by {because}; renew it")]
    Expired {
        /// The license's `exp`.
        at: UnixTime,
        /// The rule that set it, as the service names it.
        because: String,
    },
    /// The playback period from the first play on has ended.
    #[error("playback ended at {0} (seconds since 1970), playback_duration after the first play")]
    PlaybackEnded(UnixTime),
    /// A release was signed, so the license does not play any more.
    #[error("the license is being returned: send the release until its receipt comes")]
    Returning,
    /// The license was returned, and its keys are gone.
    #[error("the license was returned; obtain another")]
    Returned,
    /// No release was signed.
    #[error("the license is not being returned")]
    NotReturning,
    /// The body is no release.
    #[error(transparent)]
    Release(#[from] StoredError),
    /// The answer is no receipt.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
}

impl From<request::Error> for Error {
    fn from(error: request::Error) -> Self {
        Self::Request(error.into())
    }
}

impl Held {
    /// Whether the license plays at `now`.
    pub(crate) fn judge(&self, now: UnixTime) -> Result<(), Error> {
        let [nbf, exp] = [self.claims.nbf, self.claims.exp].map(UnixTime::from_secs);
        if now < nbf {
            return Err(Error::NotYet(nbf));
        }
        if let Some(ends) = self.playback_ends().filter(|ends| *ends <= now && *ends <= exp) {
            return Err(Error::PlaybackEnded(ends));
        }
        if now >= exp {
            let because = match self.claims.policy.expires_because.as_str() {
                "" => "its duration",
                rule => rule,
            };
            return Err(Error::Expired { at: exp, because: because.into() });
        }
        Ok(())
    }

    /// The first play, not later than `now`: a clock that was fast then dated it too late.
    pub(crate) fn first_play_by(&self, now: UnixTime) -> Option<u64> {
        let until_now = now.as_secs().saturating_sub(self.first_issued.as_secs());
        self.first_play.map(|play| play.min(until_now))
    }

    /// The end of the playback period, once it has begun.
    pub(crate) fn playback_ends(&self) -> Option<UnixTime> {
        let playback_secs = self.claims.policy.playback_duration;
        let began = self.first_issued.saturating_add(self.first_play?);
        (playback_secs > 0).then(|| began.saturating_add(playback_secs))
    }
}
