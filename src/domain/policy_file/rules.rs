//! Makes the policy of a file's tables. 0 means the same as an absent field here: no such rule.

use toml::Spanned;

use crate::domain::policy::{
    Blackout, ConcurrencyRule, DeviceRule, Policy, RegionRule, RenewalRule, TrackRule,
};
use crate::domain::policy_file::tables::{
    ConcurrencyTable, DeviceTable, PolicyFile, RegionTable, TrackTable,
};
use crate::domain::policy_file::value::{Fault, duration, is_on, limit};

impl PolicyFile {
    /// The policy that the file describes, or the first combination that cannot be obeyed.
    pub(super) fn into_policy(self, name: &str) -> Result<Policy, Fault> {
        self.refuse_impossible()?;
        let track_rules =
            self.track.into_iter().map(|(track, table)| (track, TrackRule::from(table)));
        let persistent = self.persistent.as_ref().map(Spanned::get_ref);
        let region = self.region.map(|table| table.into_inner().into_rule());
        let concurrency = self.concurrency.map(|table| table.into_inner().into_rule());
        Ok(Policy {
            name: name.to_owned(),
            can_play: self.can_play,
            can_renew: is_on(&self.can_renew),
            persistent_duration: persistent.and_then(|table| duration(&table.license_duration)),
            tracks: self.tracks.map(Spanned::into_inner),
            available_from: self.available_from.map(|time| time.0),
            available_until: self.available_until.map(|time| time.into_inner().0),
            license_duration: self.license_duration.into_inner(),
            rental_duration: duration(&self.rental_duration),
            playback_duration: duration(&self.playback_duration),
            renewal: RenewalRule {
                delay: duration(&self.renewal_delay),
                retry_interval: duration(&self.renewal_retry_interval),
                recovery: duration(&self.renewal_recovery_duration),
            },
            required_amr: self.required_amr,
            region,
            allow_clearkey: is_on(&self.allow_clearkey),
            allow_hls_aes128: is_on(&self.allow_hls_aes128),
            device: self.device.into_rule(),
            concurrency: concurrency.flatten(),
            track_rules: track_rules.collect(),
        })
    }
}

impl DeviceTable {
    fn into_rule(self) -> DeviceRule {
        DeviceRule {
            security_level: self.security_level,
            require_binding: self.require_binding,
            registration: self.registration.0,
            limit: limit(&self.limit),
            replace: self.replace.map(Spanned::into_inner).unwrap_or_default(),
            cooldown: duration(&self.cooldown),
        }
    }
}

impl ConcurrencyTable {
    fn into_rule(self) -> Option<ConcurrencyRule> {
        limit(&self.limit).map(|limit| ConcurrencyRule {
            limit,
            scope: self.scope,
            mode: self.mode.map(Spanned::into_inner).unwrap_or_default(),
            grace_period: duration(&self.grace_period),
        })
    }
}

impl RegionTable {
    fn into_rule(self) -> RegionRule {
        let blackouts = self.blackout.into_iter().map(|table| Blackout {
            regions: table.countries.regions,
            from: table.from.0,
            until: table.until.into_inner().0,
        });
        RegionRule {
            evidence: self.evidence.into_inner().0,
            block_anonymous: is_on(&self.block_vpn_and_tor),
            allowed: self.allowed_countries.regions,
            blocked: self.blocked_countries.regions,
            blackouts: blackouts.collect(),
        }
    }
}

impl From<TrackTable> for TrackRule {
    fn from(table: TrackTable) -> Self {
        let TrackTable { security_level, hdcp, max_height } = table;
        Self { security_level, hdcp, max_height: max_height.filter(|max| *max > 0) }
    }
}
