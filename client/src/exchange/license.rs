//! The license: a compact JWS by the service, `typ` `license+jwt`.
//!
//! [`Claims`] and the types in it are what travels. The server writes them as literals, so they are not
//! `#[non_exhaustive]`: the compiler then reports every place that does not fill a new member.
//! [`License`] is what a device has after it verified a license and opened its keys.
//!
//! Deliberately absent: verification ([`crate::exchange::pending`]), and any decision that follows from
//! the policy.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::exchange::request::SessionType;
use crate::key::{ContentKey, KeyId};
use crate::strict::{base64url, json};

/// The `typ` of a license (RFC 8725 section 3.11).
pub const TYP: &str = "license+jwt";

/// The longest license, in bytes: 256 tracks with their keys take about 80 KiB.
pub const BYTES_MAX: usize = 256 * 1024;

/// The greatest distance between the license's `iat` and the request's, in seconds.
pub const IAT_DISTANCE_SECS_MAX: u64 = 120;

/// A license that was verified, compared with its request, and opened: what
/// [`Pending::open`](crate::exchange::pending::Pending::open) returns.
#[derive(Debug)]
#[non_exhaustive]
pub struct License {
    /// The claims that the service signed.
    pub claims: Claims,
    /// The content keys, in the order in which the service sent them, each KID once.
    pub keys: Vec<(KeyId, ContentKey)>,
}

impl License {
    /// Whether the license is still valid `elapsed_secs` after its request was sent, measured with a
    /// monotonic clock. The device's date is not used.
    #[must_use]
    pub fn holds_after(&self, elapsed_secs: u64) -> bool {
        self.claims.iat.saturating_add(elapsed_secs) < self.claims.exp
    }

    /// The properties of the key `kid`, if the license lists it.
    #[must_use]
    pub fn track(&self, kid: KeyId) -> Option<&Track> {
        let kid = base64url::encode(kid.as_bytes());
        self.claims.tracks.iter().find(|track| track.kid == kid)
    }
}

/// The claims as they travel. Optional members that do not apply are left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The service's ID.
    pub iss: String,
    /// The account, as the authorization token's `sub` names it.
    pub sub: String,
    /// The license ID.
    pub jti: String,
    /// When the license was issued, in seconds since 1970.
    pub iat: u64,
    /// The start of its validity, in seconds since 1970.
    pub nbf: u64,
    /// The end of its validity, exclusive, in seconds since 1970.
    pub exp: u64,
    /// The device that it is issued to.
    #[serde(deserialize_with = "json::object")]
    pub cnf: Confirmation,
    /// The `jti` of the request that the license answers.
    pub nonce: String,
    /// 0 for a new license; each renewal adds 1.
    pub counter: u64,
    /// The content ID of the title.
    pub content_id: String,
    /// Whether the device may store it.
    pub session_type: SessionType,
    /// The region that it was granted for (ISO 3166), if the token named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The ID of the policy that granted it.
    pub policy_id: String,
    /// What the policy allows.
    #[serde(deserialize_with = "json::object")]
    pub policy: Policy,
    /// The properties of each key.
    #[serde(deserialize_with = "json::objects")]
    pub tracks: Vec<Track>,
    /// The sealed keys: a compact JWE for the request's `enc_jwk`.
    pub keys: String,
}

/// The `cnf` claim (RFC 7800 section 3.1) with a thumbprint (RFC 9449 section 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The RFC 7638 thumbprint of the device key, in base64url.
    pub jkt: String,
}

/// What the policy allows. Durations are in seconds; 0 means that the policy has no such rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// The media may be played.
    pub can_play: bool,
    /// The license may be stored.
    pub can_persist: bool,
    /// The license may be renewed.
    pub can_renew: bool,
    /// The service remembers the license, so that a release of it is of use. Left out where it does not.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub can_release: bool,
    /// How long this license is valid.
    pub license_duration: u64,
    /// The rental period, from the first license on.
    pub rental_duration: u64,
    /// How long the title may be played, from the first play on.
    pub playback_duration: u64,
    /// How long after `iat` the first renewal is due.
    pub renewal_delay: u64,
    /// The time between two attempts to renew.
    pub renewal_retry_interval: u64,
    /// How long after `exp` the service still answers a renewal.
    pub renewal_recovery_duration: u64,
    /// The rule that set `exp`: `license_duration`, `persistent.license_duration`, `rental_duration`,
    /// `playback_duration`, `available_until`, `region.blackout` or `license_not_after`. Empty if the
    /// service did not say.
    pub expires_because: String,
}

/// The properties of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// The KID: 16 bytes in base64url.
    pub kid: String,
    /// `AUDIO`, `SD`, `HD`, `UHD1` or `UHD2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_type: Option<String>,
    /// The security level that the policy requires of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_level: Option<String>,
    /// The output protection that the policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdcp: Option<String>,
    /// The tallest picture that the policy allows, in lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_height: Option<u32>,
    /// The crypto period that the key belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_period_index: Option<u32>,
}
