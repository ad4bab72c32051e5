//! The license: a compact JWS by the service, `typ` `license+jwt`, as it travels.
//!
//! What a device made of it after verification is [`crate::exchange::pending::License`].

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::exchange::request::SessionType;
use crate::strict::json;

/// The `typ` of a license (RFC 8725 section 3.11).
pub const TYP: &str = "license+jwt";

/// The longest license, in bytes: 256 tracks with their keys take about 80 KiB.
pub const BYTES_MAX: usize = 256 * 1024;

/// How far the license's `iat` may lie from the request's, in seconds.
pub const IAT_DISTANCE_SECS_MAX: u64 = 120;

/// The claims as they travel. Members that do not apply are left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The service's id.
    pub iss: String,
    /// The account, as the authorization token's `sub` names it.
    pub sub: String,
    /// The license id.
    pub jti: String,
    /// When the license was made, seconds since 1970.
    pub iat: u64,
    /// From when it holds.
    pub nbf: u64,
    /// Until when it holds, exclusive.
    pub exp: u64,
    /// The device that it is for.
    #[serde(deserialize_with = "json::object")]
    pub cnf: Confirmation,
    /// The `jti` of the request that it answers.
    pub nonce: String,
    /// 0, and one more per renewal.
    pub counter: u64,
    /// The title.
    pub content_id: String,
    /// How long it may be kept.
    pub session_type: SessionType,
    /// The region that it was granted for (ISO 3166), if the token named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The policy that granted it.
    pub policy_id: String,
    /// What the policy allows.
    #[serde(deserialize_with = "json::object")]
    pub policy: Policy,
    /// The keys' properties.
    #[serde(deserialize_with = "json::objects")]
    pub tracks: Vec<Track>,
    /// The keys themselves: a compact JWE for the request's `enc_jwk`.
    pub keys: String,
}

/// `cnf` (RFC 7800 section 3.1) with a thumbprint (RFC 9449 section 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// base64url of the RFC 7638 thumbprint.
    pub jkt: String,
}

/// What the policy allows; durations in seconds, 0 where there is no such rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// The media may be played.
    pub can_play: bool,
    /// The license may be stored.
    pub can_persist: bool,
    /// The license may be renewed.
    pub can_renew: bool,
    /// This license's life.
    pub license_duration: u64,
    /// From the first license on.
    pub rental_duration: u64,
    /// From the first play on.
    pub playback_duration: u64,
    /// From the license to the first play.
    pub play_start_grace_period: u64,
    /// From `iat` to the first renewal.
    pub renewal_delay: u64,
    /// Between attempts to renew.
    pub renewal_retry_interval: u64,
    /// Past `exp`, as long as a renewal is still answered.
    pub renewal_recovery_duration: u64,
}

/// One key's properties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// base64url of the 16 bytes.
    pub kid: String,
    /// `AUDIO`, `SD`, `HD`, `UHD1` or `UHD2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_type: Option<String>,
    /// What the policy requires of the device.
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
