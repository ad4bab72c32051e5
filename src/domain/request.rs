//! A request and the content that it is for, as far as the rules need them.

use std::collections::BTreeSet;

use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;

use crate::domain::content::ContentId;
use crate::domain::past::LicenseId;
use crate::domain::security_level::SecurityLevel;
use crate::domain::track::TrackType;

/// The request, as far as the rules need it.
#[derive(Clone, Debug)]
pub struct Request {
    /// New license, renewal or release.
    pub request_type: RequestType,
    /// To play now, or to keep for offline playback.
    pub session_type: SessionType,
    /// The named keys that the token permits. Empty if the request is for the whole content.
    pub kids: BTreeSet<KeyId>,
    /// What is vouched for about the device.
    pub vouched: Vouched,
    /// How the keys would be delivered.
    pub delivery: Delivery,
    /// The device that asks. `None` for keys in the clear: such a request proves no device.
    pub asker: Option<Asker>,
}

/// What a certificate chain vouches for about a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vouched {
    /// The device has no certificate.
    #[default]
    Nothing,
    /// A device CA vouches for the level.
    Level {
        /// The name of the CA.
        by: String,
        /// The security level.
        level: SecurityLevel,
    },
    /// The chain is not valid, for this reason.
    Invalid(String),
}

impl Vouched {
    /// The name of the CA that vouches.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Level { by, .. } => Some(by),
            Self::Nothing | Self::Invalid(_) => None,
        }
    }

    /// The security level of the device.
    #[must_use]
    pub fn level(&self) -> SecurityLevel {
        match self {
            Self::Level { level, .. } => *level,
            Self::Nothing | Self::Invalid(_) => SecurityLevel::default(),
        }
    }
}

/// The device that asks, and for which license.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The device key's thumbprint.
    pub device: Thumbprint,
    /// Its name, as the device itself says.
    pub name: Option<String>,
    /// Its model, as the device itself says.
    pub model: Option<String>,
    /// The name of the request: the ID of the license that it asks for, if it is not about an earlier one.
    pub request: LicenseId,
    /// The license that is renewed.
    pub renews: Option<LicenseId>,
    /// How long after the license was first granted the title was first played, in seconds, as the device reports.
    pub first_play_secs: Option<u64>,
    /// The session that is to end in favour of this one.
    pub end_session: Option<LicenseId>,
}

/// How granted keys are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Sealed to the device.
    Sealed,
    /// In the clear, as a JWK Set for a browser's ClearKey system.
    ClearKey,
    /// One key in the clear, for an HLS player (AES-128).
    HlsAes128,
}

/// A content and its keys, as the store has them.
#[derive(Clone, Debug)]
pub struct Title {
    /// Its content ID.
    pub content: ContentId,
    /// The names of its policies. The first applies to tokens that name none.
    pub policies: Vec<String>,
    /// Its keys. Of those of crypto periods that are derived, the ones that may be wanted.
    pub keys: Vec<TitleKey>,
    /// The crypto period of this moment, where the content's periods are counted by the clock.
    pub current_period: Option<u32>,
}

/// A key of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TitleKey {
    /// Its KID.
    pub kid: KeyId,
    /// The track type that it encrypts, if known.
    pub track: Option<TrackType>,
    /// Whether it can still be granted.
    pub active: bool,
    /// The crypto period that it is for, if it changes with time.
    pub period: Option<u32>,
}
