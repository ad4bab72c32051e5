//! The fields of a policy file, as they stand in it. A field that is not here is an error.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::domain::duration::Duration;
use crate::domain::policy::{ConcurrencyMode, ConcurrencyScope, Hdcp, Replace};
use crate::domain::policy_file::value::{
    EvidenceWord, Limit, Placed, Regions, RegistrationWord, Timestamp,
};
use crate::domain::security_level::SecurityLevel;
use crate::domain::track::TrackType;

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    #[serde(default)]
    pub(super) can_play: bool,
    pub(super) can_persist: Placed<bool>,
    pub(super) can_renew: Placed<bool>,
    pub(super) tracks: Placed<Vec<TrackType>>,
    pub(super) available_from: Option<Timestamp>,
    pub(super) available_until: Placed<Timestamp>,
    pub(super) license_duration: Spanned<Duration>,
    pub(super) rental_duration: Placed<Duration>,
    pub(super) playback_duration: Placed<Duration>,
    pub(super) renewal_delay: Placed<Duration>,
    pub(super) renewal_retry_interval: Placed<Duration>,
    pub(super) renewal_recovery_duration: Placed<Duration>,
    #[serde(default)]
    pub(super) required_amr: Vec<String>,
    pub(super) allow_clearkey: Placed<bool>,
    pub(super) allow_hls_aes128: Placed<bool>,
    pub(super) persistent: Placed<PersistentTable>,
    pub(super) region: Placed<RegionTable>,
    #[serde(default)]
    pub(super) device: DeviceTable,
    pub(super) concurrency: Placed<ConcurrencyTable>,
    #[serde(default)]
    pub(super) track: BTreeMap<TrackType, TrackTable>,
}

/// `[persistent]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PersistentTable {
    pub(super) license_duration: Placed<Duration>,
}

/// `[region]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionTable {
    #[serde(default)]
    pub(super) allowed_countries: Regions,
    #[serde(default)]
    pub(super) blocked_countries: Regions,
    pub(super) evidence: Spanned<EvidenceWord>,
    pub(super) block_vpn_and_tor: Placed<bool>,
    #[serde(default)]
    pub(super) blackout: Vec<BlackoutTable>,
}

/// `[[region.blackout]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlackoutTable {
    pub(super) countries: Regions,
    pub(super) from: Timestamp,
    pub(super) until: Spanned<Timestamp>,
}

/// `[device]`
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeviceTable {
    pub(super) limit: Placed<Limit>,
    pub(super) security_level: SecurityLevel,
    pub(super) registration: RegistrationWord,
    pub(super) require_binding: bool,
    pub(super) replace: Placed<Replace>,
    pub(super) cooldown: Placed<Duration>,
}

/// `[concurrency]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConcurrencyTable {
    pub(super) limit: Placed<Limit>,
    #[serde(default)]
    pub(super) scope: ConcurrencyScope,
    pub(super) mode: Placed<ConcurrencyMode>,
    pub(super) grace_period: Placed<Duration>,
}

/// `[track.TYPE]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrackTable {
    pub(super) security_level: Option<SecurityLevel>,
    pub(super) hdcp: Option<Hdcp>,
    pub(super) max_height: Option<u32>,
}
