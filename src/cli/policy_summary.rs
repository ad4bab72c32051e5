//! A policy as `reelkey policy` shows it: its fields for `--json`, and in a few words for people.
//!
//! The fields have the names of the policy file. A duration is in seconds, a time in seconds since 1970; what is no rule
//! is 0, an empty list or null.

use serde_json::{Map, Value, json};

use crate::domain::duration::Duration;
use crate::domain::policy::{
    ConcurrencyRule, DeviceRule, Evidence, Policy, RegionRule, Registration,
};
use crate::domain::region::Region;
use crate::domain::security_level::SecurityLevel;
use crate::domain::track::TrackType;

/// Every field, and the regions in words.
pub(crate) fn fields(policy: &Policy) -> Value {
    json!({
        "policy_id": policy.name,
        "can_play": policy.can_play,
        "can_persist": policy.can_persist(),
        "can_renew": policy.can_renew,
        "tracks": tracks(policy),
        "available_from": policy.available_from.map(|time| time.as_secs()),
        "available_until": policy.available_until.map(|time| time.as_secs()),
        "license_duration": policy.license_duration.as_secs(),
        "rental_duration": secs(policy.rental_duration),
        "playback_duration": secs(policy.playback_duration),
        "renewal_delay": secs(policy.renewal.delay),
        "renewal_retry_interval": secs(policy.renewal.retry_interval),
        "renewal_recovery_duration": secs(policy.renewal.recovery),
        "required_amr": policy.required_amr,
        "allow_clearkey": policy.allow_clearkey,
        "allow_hls_aes128": policy.allow_hls_aes128,
        "persistent": policy.persistent_duration
            .map(|life| json!({ "license_duration": life.as_secs() })),
        "region": policy.region.as_ref().map(region),
        "regions": regions(policy),
        "device": device(&policy.device),
        "concurrency": policy.concurrency.as_ref().map(concurrency),
        "track": track_rules(policy),
    })
}

/// The allowed track types.
pub(crate) fn tracks(policy: &Policy) -> Vec<&'static str> {
    let allowed = TrackType::ALL.into_iter().filter(|track| policy.allows(Some(*track)));
    allowed.map(TrackType::as_str).collect()
}

/// Where it may be watched, in words.
pub(crate) fn regions(policy: &Policy) -> String {
    let Some(rule) = &policy.region else { return "anywhere".into() };
    let join = |list: &[Region]| list.iter().map(Region::as_str).collect::<Vec<_>>().join(" ");
    let mut text = if rule.allowed.is_empty() { "any".to_owned() } else { join(&rule.allowed) };
    if !rule.blocked.is_empty() {
        text.push_str(&format!(", not {}", join(&rule.blocked)));
    }
    if !rule.blackouts.is_empty() {
        text.push_str(&format!(", {} blackout(s)", rule.blackouts.len()));
    }
    if rule.evidence != Evidence::Token {
        text.push_str(&format!(", by {}", rule.evidence.as_str()));
    }
    if rule.block_anonymous {
        text.push_str(", no VPN or Tor");
    }
    text
}

/// Windows, renewals, devices, streams and security levels, in a few words.
pub(crate) fn rules(policy: &Policy) -> String {
    let DeviceRule { limit, registration, require_binding, security_level, .. } = policy.device;
    let words = [
        policy.can_renew.then(|| "renews".to_owned()),
        policy.persistent_duration.map(|life| format!("offline {life}")),
        policy.rental_duration.map(|window| format!("rental {window}")),
        policy.playback_duration.map(|window| format!("playback {window}")),
        limit.map(|limit| format!("devices {limit}")),
        (registration == Registration::Enrolled).then(|| "enrolled".to_owned()),
        (registration == Registration::Certified).then(|| "certified".to_owned()),
        require_binding.then(|| "bound".to_owned()),
        (security_level > SecurityLevel::default()).then(|| security_level.as_str().to_owned()),
        policy.concurrency.map(|rule| format!("streams {}", rule.limit)),
        policy.allow_clearkey.then(|| "ClearKey".to_owned()),
        policy.allow_hls_aes128.then(|| "HLS".to_owned()),
    ];
    let levels = policy.track_rules.iter().filter_map(|(track, rule)| {
        rule.security_level.map(|level| format!("{track} {}", level.as_str()))
    });
    let words: Vec<_> = words.into_iter().flatten().chain(levels).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn secs(duration: Option<Duration>) -> u64 {
    duration.unwrap_or_default().as_secs()
}

fn region(rule: &RegionRule) -> Value {
    let codes = |list: &[Region]| list.iter().map(Region::as_str).map(Value::from).collect();
    let (allowed, blocked): (Value, Value) = (codes(&rule.allowed), codes(&rule.blocked));
    let blackouts = rule.blackouts.iter().map(|one| {
        let countries: Value = codes(&one.regions);
        json!({ "countries": countries, "from": one.from.as_secs(), "until": one.until.as_secs() })
    });
    let blackouts: Vec<_> = blackouts.collect();
    json!({ "allowed_countries": allowed, "blocked_countries": blocked, "evidence": rule.evidence,
        "block_vpn_and_tor": rule.block_anonymous, "blackout": blackouts })
}

fn device(rule: &DeviceRule) -> Value {
    json!({ "limit": rule.limit.unwrap_or_default(), "security_level": rule.security_level.as_str(),
        "registration": rule.registration, "require_binding": rule.require_binding,
        "replace": rule.replace, "cooldown": secs(rule.cooldown) })
}

fn concurrency(rule: &ConcurrencyRule) -> Value {
    json!({ "limit": rule.limit, "scope": rule.scope, "mode": rule.mode,
        "grace_period": secs(rule.grace_period) })
}

fn track_rules(policy: &Policy) -> Map<String, Value> {
    let rules = policy.track_rules.iter().map(|(track, rule)| {
        let level = rule.security_level.map(|level| level.as_str());
        let hdcp = rule.hdcp.map(|hdcp| hdcp.as_str());
        let height = rule.max_height.unwrap_or_default();
        let rule = json!({ "security_level": level, "hdcp": hdcp, "max_height": height });
        (track.to_string(), rule)
    });
    rules.collect()
}
