//! What a rights holder allows: the rules, read and checked, ready to be asked.

use std::collections::BTreeMap;

use reelkey_client::time::UnixTime;
use serde::Deserialize;

use crate::domain::duration::Duration;
use crate::domain::region::Region;
use crate::domain::security_level::SecurityLevel;
use crate::domain::track::TrackType;

/// One policy. A window is `from` ≤ t < `until` everywhere.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name: that of its file.
    pub name: String,
    /// Whether anything may be played at all.
    pub can_play: bool,
    /// The track types that may be had; all where there is no list.
    pub tracks: Option<Vec<TrackType>>,
    /// When the first license may be had.
    pub available_from: Option<UnixTime>,
    /// When the last license ends.
    pub available_until: Option<UnixTime>,
    /// One license's life, not 0.
    pub license_duration: Duration,
    /// What the viewer's sign-in must have been, all of it (`amr`, RFC 8176).
    pub required_amr: Vec<String>,
    /// Where. No rule where there is none.
    pub region: Option<RegionRule>,
    /// On which devices.
    pub device: DeviceRule,
    /// What single track types require beyond that.
    pub track_rules: BTreeMap<TrackType, TrackRule>,
}

/// Where a title may be watched. The viewer's region is the one that the token names.
#[derive(Clone, Debug, Default)]
pub struct RegionRule {
    /// Only here; everywhere where the list is empty.
    pub allowed: Vec<Region>,
    /// Not here.
    pub blocked: Vec<Region>,
    /// Not here for a while.
    pub blackouts: Vec<Blackout>,
}

/// A time in which some regions see nothing.
#[derive(Clone, Debug)]
pub struct Blackout {
    /// Where.
    pub regions: Vec<Region>,
    /// First moment.
    pub from: UnixTime,
    /// First moment after.
    pub until: UnixTime,
}

/// What a device has to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeviceRule {
    /// At least this.
    pub security_level: SecurityLevel,
    /// The token has to name the device (`cnf`).
    pub require_binding: bool,
}

/// What a track type requires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackRule {
    /// At least this, if the policy says so.
    pub security_level: Option<SecurityLevel>,
    /// Output protection, carried to the client.
    pub hdcp: Option<Hdcp>,
    /// The tallest picture, carried to the client.
    pub max_height: Option<u32>,
}

/// Output protection, weakest first. Reported to the client, which enforces what it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Hdcp {
    /// None needed.
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
    /// No digital output at all.
    #[serde(rename = "HDCP_NO_DIGITAL_OUTPUT")]
    NoDigitalOutput,
}

impl Hdcp {
    /// The name.
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
    /// Whether the allow-list has the type. A key of unknown type may be of any, so it is only
    /// allowed where all are.
    #[must_use]
    pub fn allows(&self, track: Option<TrackType>) -> bool {
        self.tracks.as_ref().is_none_or(|list| match track {
            Some(track) => list.contains(&track),
            None => TrackType::ALL.iter().all(|track| list.contains(track)),
        })
    }

    /// The rule for a type: its own, or for video the nearest lower type's, since what guards HD
    /// guards more. A key of unknown type has to satisfy every rule at once.
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
    /// Both rules.
    fn and(self, other: Self) -> Self {
        let heights = [self.max_height, other.max_height];
        Self {
            security_level: self.security_level.max(other.security_level),
            hdcp: self.hdcp.max(other.hdcp),
            max_height: heights.into_iter().flatten().min(),
        }
    }
}

impl RegionRule {
    /// Whether the lists let a viewer in `region` watch, blackouts aside. Where the token is less
    /// precise than a block (`US` against a blocked `US-CA`), the viewer may be there, so the block
    /// holds; an allowed `US-CA` does not let all of `US` in.
    #[must_use]
    pub fn allows(&self, region: &Region) -> bool {
        let allowed =
            self.allowed.is_empty() || self.allowed.iter().any(|one| one.contains(region));
        allowed && !self.blocked.iter().any(|one| one.overlaps(region))
    }

    /// The blackouts that may reach a viewer in `region`.
    pub fn blackouts<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = &'a Blackout> {
        self.blackouts.iter().filter(|one| one.regions.iter().any(|here| here.overlaps(region)))
    }
}

impl Blackout {
    /// Whether `now` lies in it.
    #[must_use]
    pub fn covers(&self, now: UnixTime) -> bool {
        self.from <= now && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rules: &[(TrackType, TrackRule)]) -> Policy {
        Policy {
            name: "test".into(),
            can_play: true,
            tracks: None,
            available_from: None,
            available_until: None,
            license_duration: Duration::from_secs(60),
            required_amr: Vec::new(),
            region: None,
            device: DeviceRule::default(),
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
