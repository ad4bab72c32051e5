//! Policies: the rules of a rights holder, read and checked.

use std::collections::BTreeMap;

use reelkey_client::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::domain::duration::Duration;
pub use crate::domain::region_rule::{Blackout, Evidence, RegionRule};
use crate::domain::security_level::SecurityLevel;
use crate::domain::track::TrackType;

/// One policy. A window is `from` ≤ t < `until` everywhere.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name: the name of its file.
    pub name: String,
    /// Whether anything may be played at all.
    pub can_play: bool,
    /// Whether licenses can be renewed.
    pub can_renew: bool,
    /// How long a license lives that a device keeps for offline playback. Without it, none is kept (`can_persist`).
    pub persistent_duration: Option<Duration>,
    /// The allowed track types. Without a list, all types are allowed.
    pub tracks: Option<Vec<TrackType>>,
    /// The start of the first license.
    pub available_from: Option<UnixTime>,
    /// The end of the last license.
    pub available_until: Option<UnixTime>,
    /// The lifetime of one license. Not 0.
    pub license_duration: Duration,
    /// How long the rental lasts, from the first license on.
    pub rental_duration: Option<Duration>,
    /// How long the title may be played, from the first play on.
    pub playback_duration: Option<Duration>,
    /// When and how a player renews. All of it is carried to the client; the service needs the last one.
    pub renewal: RenewalRule,
    /// The authentication methods that the viewer must have used, all of them (`amr`, RFC 8176).
    pub required_amr: Vec<String>,
    /// The rule for regions, if there is one.
    pub region: Option<RegionRule>,
    /// Whether keys are given in the clear to the ClearKey system of browsers.
    pub allow_clearkey: bool,
    /// Whether keys are given in the clear to HLS players (AES-128).
    pub allow_hls_aes128: bool,
    /// The requirements for devices.
    pub device: DeviceRule,
    /// How many may watch at once, if there is a limit.
    pub concurrency: Option<ConcurrencyRule>,
    /// Additional requirements for single track types.
    pub track_rules: BTreeMap<TrackType, TrackRule>,
}

/// The requirements for devices.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeviceRule {
    /// The lowest allowed security level.
    pub security_level: SecurityLevel,
    /// Whether the token must name the device (`cnf`).
    pub require_binding: bool,
    /// How a device becomes one of the account's.
    pub registration: Registration,
    /// How many places for devices an account has.
    pub limit: Option<u16>,
    /// Whether a new device may replace another one when all places are taken.
    pub replace: Replace,
    /// How long a place stays taken after its device was removed, and how long a device keeps its place at least before another
    /// one may replace it.
    pub cooldown: Option<Duration>,
}

/// How a device becomes one of the account's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// By its first license.
    #[default]
    Open,
    /// By the account or the operator, before its first license.
    Enrolled,
    /// By its first license, if a device CA vouches for it.
    Certified,
}

/// Whether a new device may replace another one when all places are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Replace {
    /// It may not.
    #[default]
    None,
    /// It replaces the one that has been idle for the longest time.
    LongestIdle,
}

/// When and how a player renews.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenewalRule {
    /// How long after a license the first renewal is due.
    pub delay: Option<Duration>,
    /// The time between two attempts.
    pub retry_interval: Option<Duration>,
    /// How long after a license's end a renewal is still answered.
    pub recovery: Option<Duration>,
}

/// How many may watch at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConcurrencyRule {
    /// The number of slots. Not 0.
    pub limit: u16,
    /// What the slots are for.
    pub scope: ConcurrencyScope,
    /// What happens when all of them are taken.
    pub mode: ConcurrencyMode,
    /// How long after a license's end its slot stays taken.
    pub grace_period: Option<Duration>,
}

/// What slots are for: playbacks that share these are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConcurrencyScope {
    /// The account.
    #[default]
    Account,
    /// The account and the content.
    Content,
    /// The account and the policy.
    Policy,
}

/// What happens when all slots are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConcurrencyMode {
    /// The new session is refused.
    #[default]
    BlockNew,
    /// The session that has run for the longest time ends.
    StopOldest,
    /// The session that began last ends.
    StopNewest,
}

/// The requirements for a track type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackRule {
    /// The lowest allowed security level, if the policy sets one.
    pub security_level: Option<SecurityLevel>,
    /// Output protection, carried to the client.
    pub hdcp: Option<Hdcp>,
    /// The greatest picture height, carried to the client.
    pub max_height: Option<u32>,
}

/// Output protection, weakest first. It is reported to the client, which enforces what it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Hdcp {
    /// No protection is needed.
    #[serde(rename = "HDCP_NONE")]
    None,
    /// HDCP 1.x.
    #[serde(rename = "HDCP_V1")]
    V1,
    /// HDCP 2.0.
    #[serde(rename = "HDCP_V2")]
    V2,
    /// HDCP 2.1.
    #[serde(rename = "HDCP_V2_1")]
    V2_1,
    /// HDCP 2.2.
    #[serde(rename = "HDCP_V2_2")]
    V2_2,
    /// HDCP 2.3.
    #[serde(rename = "HDCP_V2_3")]
    V2_3,
    /// No digital output is allowed.
    #[serde(rename = "HDCP_NO_DIGITAL_OUTPUT")]
    NoDigitalOutput,
}

impl Hdcp {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "HDCP_NONE",
            Self::V1 => "HDCP_V1",
            Self::V2 => "HDCP_V2",
            Self::V2_1 => "HDCP_V2_1",
            Self::V2_2 => "HDCP_V2_2",
            Self::V2_3 => "HDCP_V2_3",
            Self::NoDigitalOutput => "HDCP_NO_DIGITAL_OUTPUT",
        }
    }
}

impl Policy {
    /// Whether a device may keep licenses for offline playback.
    #[must_use]
    pub fn can_persist(&self) -> bool {
        self.persistent_duration.is_some()
    }

    /// Whether grants under this policy have to be remembered. If not, they write nothing.
    #[must_use]
    pub fn needs_memory(&self) -> bool {
        let has_windows = self.rental_duration.is_some() || self.playback_duration.is_some();
        let counts_devices =
            self.device.limit.is_some() || self.device.registration != Registration::Open;
        let has_licenses = self.can_renew || self.can_persist();
        has_windows || counts_devices || has_licenses || self.concurrency.is_some()
    }

    /// The longest time for which one license under this policy may be valid.
    #[must_use]
    pub fn longest_license(&self) -> Duration {
        self.license_duration.max(self.persistent_duration.unwrap_or_default())
    }

    /// Whether the list allows the type. A key of unknown type may be of any type, so it is allowed only if all types
    /// are.
    #[must_use]
    pub fn allows(&self, track: Option<TrackType>) -> bool {
        self.tracks.as_ref().is_none_or(|list| match track {
            Some(track) => list.contains(&track),
            None => TrackType::ALL.iter().all(|track| list.contains(track)),
        })
    }

    /// The rule for a type: its own, or for video that of the nearest lower type, because what protects HD must
    /// protect more than HD too. A key of unknown type must satisfy every rule at once.
    #[must_use]
    pub fn track_rule(&self, track: Option<TrackType>) -> TrackRule {
        let Some(track) = track else {
            return self
                .track_rules
                .values()
                .fold(TrackRule::default(), |all, rule| all.and(*rule));
        };
        let nearest = self.track_rules.range(..=track).next_back();
        match nearest {
            Some((own, rule)) if *own == track => *rule,
            Some((TrackType::Audio, _)) | None => TrackRule::default(),
            Some((_, rule)) => *rule,
        }
    }
}

impl TrackRule {
    /// A rule that is satisfied only if both are.
    fn and(self, other: Self) -> Self {
        let heights = [self.max_height, other.max_height];
        Self {
            security_level: self.security_level.max(other.security_level),
            hdcp: self.hdcp.max(other.hdcp),
            max_height: heights.into_iter().flatten().min(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rules: &[(TrackType, TrackRule)]) -> Policy {
        Policy {
            name: "test".into(),
            can_play: true,
            can_renew: false,
            persistent_duration: None,
            tracks: None,
            available_from: None,
            available_until: None,
            license_duration: Duration::from_secs(60),
            rental_duration: None,
            playback_duration: None,
            renewal: RenewalRule::default(),
            required_amr: Vec::new(),
            region: None,
            allow_clearkey: false,
            allow_hls_aes128: false,
            device: DeviceRule::default(),
            concurrency: None,
            track_rules: rules.iter().copied().collect(),
        }
    }

    #[test]
    fn a_table_binds_higher_video_types_without_their_own() {
        let audio = TrackRule { max_height: Some(1), ..TrackRule::default() };
        let hd = TrackRule { hdcp: Some(Hdcp::V1), ..TrackRule::default() };
        let uhd2 = TrackRule { hdcp: Some(Hdcp::V2_2), ..TrackRule::default() };
        let policy =
            with(&[(TrackType::Audio, audio), (TrackType::Hd, hd), (TrackType::Uhd2, uhd2)]);
        assert_eq!(policy.track_rule(Some(TrackType::Audio)), audio);
        assert_eq!(policy.track_rule(Some(TrackType::Sd)), TrackRule::default());
        assert_eq!(policy.track_rule(Some(TrackType::Hd)), hd);
        assert_eq!(policy.track_rule(Some(TrackType::Uhd1)), hd);
        assert_eq!(policy.track_rule(Some(TrackType::Uhd2)), uhd2);
        let strictest = policy.track_rule(None);
        assert_eq!((strictest.hdcp, strictest.max_height), (Some(Hdcp::V2_2), Some(1)));
    }

    #[test]
    fn a_key_of_unknown_type_needs_a_list_of_all_types() {
        let mut policy = with(&[]);
        assert!(policy.allows(None));
        policy.tracks = Some(vec![TrackType::Audio]);
        assert!(!policy.allows(None));
        policy.tracks = Some(TrackType::ALL.to_vec());
        assert!(policy.allows(None));
    }
}
