//! Warnings: rules that can be obeyed, and that will do to viewers or rights holders what nobody wants.
//!
//! Combinations that cannot be obeyed are errors of `policy_file`. Deliberately absent: taste. A warning names what will
//! happen.

use reelkey_client::time::UnixTime;

use crate::domain::duration::Duration;
use crate::domain::policy::{ConcurrencyRule, Policy, RegionRule, Registration};
use crate::domain::security_level::SecurityLevel;

/// What will happen under a policy, and how to avoid it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWarning {
    /// The field of the policy, with its table: `persistent.license_duration`.
    pub field: &'static str,
    /// A sentence with the remedy.
    pub message: String,
}

/// A slot should be free this soon after its device has crashed.
const SLOT_MAX: Duration = Duration::from_secs(3_600);

/// A license that is not renewed should live as long as a long film.
const FILM: Duration = Duration::from_secs(3 * 3_600);

/// A license that is not renewed should live at least this long. Players ask for the next one in time, if they are told to
/// at all, and each question costs the service and the viewer.
const LICENSE_MIN: Duration = Duration::from_secs(300);

/// The warnings about a policy at the time `now`, where device CAs vouch for `certified` at most; `None` if there is no CA.
#[must_use]
pub fn warnings(
    policy: &Policy,
    certified: Option<SecurityLevel>,
    now: UnixTime,
) -> Vec<PolicyWarning> {
    if !policy.can_play {
        let message = "Every license is refused; write can_play = true.";
        return vec![PolicyWarning { field: "can_play", message: message.to_owned() }];
    }
    let mut found = Found(Vec::new());
    found.availability(policy, now);
    found.life(policy);
    found.renewal(policy);
    found.windows(policy);
    if let Some(region) = &policy.region {
        found.region(region, now);
    }
    found.device(policy, certified);
    if let Some(rule) = &policy.concurrency {
        found.concurrency(policy, rule);
    }
    found.0
}

/// The warnings found so far.
struct Found(Vec<PolicyWarning>);

impl Found {
    fn warn(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.push(PolicyWarning { field, message: message.into() });
    }

    fn availability(&mut self, policy: &Policy, now: UnixTime) {
        let Some(until) = policy.available_until else { return };
        let life = policy.license_duration;
        if until <= now {
            self.warn(
                "available_until",
                "The title is no longer available, so every license is refused; write a later time or remove the line.",
            );
        } else if until.abs_diff(now) < life.as_secs() {
            let rest = Duration::from_secs(until.abs_diff(now));
            self.warn(
                "available_until",
                format!("The title ends in {rest}, before a license of {life} does; write a later time if it should not."),
            );
        }
    }

    fn life(&mut self, policy: &Policy) {
        let life = policy.license_duration;
        if !policy.can_renew && policy.concurrency.is_none() && life < LICENSE_MIN {
            self.warn(
                "license_duration",
                format!("Playback stops after {life} unless the player asks for a new license; write can_renew = true with a renewal_delay, or at least license_duration = \"{LICENSE_MIN}\"."),
            );
        }
    }

    fn renewal(&mut self, policy: &Policy) {
        if !policy.can_renew {
            return;
        }
        let life = policy.license_duration;
        let half = Duration::from_secs((life.as_secs() / 2).max(1));
        match policy.renewal.delay {
            None => self.warn(
                "renewal_delay",
                format!("No license tells its player when to renew, so playback stops after {life}; write renewal_delay = \"{half}\"."),
            ),
            Some(delay) if delay > half => self.warn(
                "renewal_delay",
                format!("Players renew after half of license_duration at the latest, so {delay} has no effect; write at most \"{half}\"."),
            ),
            Some(_) => {}
        }
        let recovery = policy.renewal.recovery.unwrap_or_default();
        if recovery > life {
            self.warn(
                "renewal_recovery_duration",
                format!("A player that gets no answer plays on for {recovery} after the end of its license, longer than the license itself; write at most \"{life}\"."),
            );
        }
        let delay = policy.renewal.delay.unwrap_or(half).min(half).as_secs();
        let left = Duration::from_secs(life.as_secs() - delay + recovery.as_secs());
        if policy.renewal.retry_interval.is_some_and(|interval| interval >= left) {
            self.warn(
                "renewal_retry_interval",
                format!("A renewal that got no answer is not tried again before playback stops, {left} after the first attempt; write a shorter one, such as \"{}\".", Duration::from_secs((left.as_secs() / 4).max(1))),
            );
        }
    }

    fn windows(&mut self, policy: &Policy) {
        if let Some(rental) = policy.rental_duration {
            if let Some(playback) = policy.playback_duration.filter(|one| *one > rental) {
                self.warn(
                    "playback_duration",
                    format!("Playback may begin until the rental ends and then go on for {playback}, longer than the rental ({rental}), but kept licenses end with the rental; write a longer rental_duration or a shorter playback_duration."),
                );
            }
            if policy.persistent_duration.is_some_and(|life| life > rental) {
                self.warn(
                    "persistent.license_duration",
                    format!("The rental ends before a kept license does; write at most rental_duration (\"{rental}\")."),
                );
            }
        }
        let has_windows = policy.rental_duration.is_some() || policy.playback_duration.is_some();
        let field = match (policy.allow_clearkey, policy.allow_hls_aes128) {
            (true, _) => "allow_clearkey",
            (false, true) => "allow_hls_aes128",
            (false, false) => return,
        };
        if has_windows {
            self.warn(
                field,
                "A player that has a key in the clear can use it after rental_duration and playback_duration have ended; remove the line if they have to be kept.",
            );
        }
    }

    fn region(&mut self, rule: &RegionRule, now: UnixTime) {
        let lists_nothing =
            rule.allowed.is_empty() && rule.blocked.is_empty() && rule.blackouts.is_empty();
        if lists_nothing && !rule.block_anonymous {
            self.warn(
                "region",
                "The table names no country, so it refuses only viewers whose region is unknown; write allowed_countries or remove the table.",
            );
        }
        let blocked = |region: &_| rule.blocked.iter().any(|one| one.contains(region));
        if let Some(region) = rule.allowed.iter().find(|region| blocked(region)) {
            self.warn(
                "region.allowed_countries",
                format!("{region} is allowed, but lies in a region that is blocked, so it is refused; remove one of the two."),
            );
        }
        for blackout in rule.blackouts.iter().filter(|one| one.until <= now) {
            let names: Vec<_> = blackout.regions.iter().map(ToString::to_string).collect();
            self.warn(
                "region.blackout",
                format!(
                    "The blackout in {} is over; remove it or write a later time.",
                    names.join(", ")
                ),
            );
        }
    }

    /// Nothing but a device CA can raise the level of a device.
    fn device(&mut self, policy: &Policy, certified: Option<SecurityLevel>) {
        let level = policy.device.security_level;
        if level > certified.unwrap_or_default() {
            self.warn(
                "device.security_level",
                format!("No device CA vouches for {}, so every license is refused; write security_level = \"SW_SECURE_CRYPTO\", or add the CA with `reelkey device ca add`.", level.as_str()),
            );
        }
        if policy.device.registration == Registration::Certified && certified.is_none() {
            self.warn(
                "device.registration",
                "There is no device CA, so every license is refused; write registration = \"open\", or add the CA with `reelkey device ca add`.",
            );
        }
    }

    fn concurrency(&mut self, policy: &Policy, rule: &ConcurrencyRule) {
        let life = policy.license_duration;
        let grace = rule.grace_period.unwrap_or_default();
        let held = Duration::from_secs(life.as_secs() + grace.as_secs());
        if life > SLOT_MAX {
            self.warn(
                "license_duration",
                format!("After a crash, a device's slot of [concurrency] stays taken for up to {held}, and a modified player can use its keys for {life} after it was stopped; write license_duration = \"10m\", can_renew = true and renewal_delay = \"4m\"."),
            );
        } else if held > SLOT_MAX {
            self.warn(
                "concurrency.grace_period",
                format!("After a crash, a device's slot stays taken for up to {held}; write a shorter one, such as \"60s\"."),
            );
        }
        if !policy.can_renew && life < FILM {
            self.warn(
                "can_renew",
                format!("A license of {life} and its slot end before a film does, so the viewer is cut off unless the player asks for a new license in time; write can_renew = true and a renewal_delay."),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy_file::parse;

    /// 2026-12-01T00:00:00Z
    const NOW: UnixTime = UnixTime::from_secs(1_796_083_200);

    fn warned(text: &str) -> Vec<PolicyWarning> {
        let policy = parse("test", text).unwrap_or_else(|error| panic!("{text}: {error}"));
        warnings(&policy, None, NOW)
    }

    /// The fields that are warned of under a policy with `license_duration = life` and `addition`.
    fn fields(life: &str, addition: &str) -> Vec<&'static str> {
        let found = warned(&format!("can_play = true\nlicense_duration = \"{life}\"\n{addition}"));
        for PolicyWarning { message, .. } in &found {
            assert!(message.ends_with('.') && message.contains("; "), "{message}");
            assert!(message.contains("; write ") || message.contains("; remove "), "{message}");
        }
        found.into_iter().map(|warning| warning.field).collect()
    }

    const RENEWED: &str = "can_renew = true\nrenewal_delay = \"4m\"\n";

    #[test]
    fn what_harms_nobody_is_not_warned_of() {
        for addition in [
            "",
            RENEWED,
            "rental_duration = \"30d\"\nplayback_duration = \"48h\"",
            "allow_clearkey = true",
            "[device]\nlimit = 5\ncooldown = \"24h\"",
            "[region]\nevidence = \"token\"\nallowed_countries = [\"US\"]\nblocked_countries = [\"US-TX\"]",
            "can_persist = true\nrental_duration = \"7d\"\n[persistent]\nlicense_duration = \"7d\"",
        ] {
            assert_eq!(fields("10m", addition), [""; 0], "{addition}");
        }
        let streams = "[concurrency]\nlimit = 2\nmode = \"STOP_OLDEST\"\ngrace_period = \"60s\"";
        assert_eq!(fields("10m", &format!("{RENEWED}{streams}")), [""; 0]);
    }

    #[test]
    fn a_policy_that_plays_nothing_is_warned_of_once() {
        let found =
            warned("license_duration = \"1s\"\nallow_clearkey = true\nrental_duration = \"1d\"");
        assert_eq!(found.iter().map(|one| one.field).collect::<Vec<_>>(), ["can_play"]);
    }

    #[test]
    fn a_title_that_ends_is_warned_of() {
        for (until, expected) in [
            ("2026-11-30T23:59:59Z", &["available_until"][..]),
            ("2026-12-01T00:00:00Z", &["available_until"]),
            ("2026-12-01T00:09:59Z", &["available_until"]),
            ("2026-12-01T00:10:00Z", &[]),
        ] {
            assert_eq!(fields("10m", &format!("available_until = {until}")), expected, "{until}");
        }
    }

    #[test]
    fn a_short_license_needs_renewals_that_players_know_of() {
        assert_eq!(fields("299s", ""), ["license_duration"]);
        assert_eq!(fields("5m", ""), [""; 0]);
        assert_eq!(fields("60s", "can_renew = true\nrenewal_delay = \"30s\""), [""; 0]);
        assert_eq!(fields("60s", "can_renew = true\nrenewal_delay = \"31s\""), ["renewal_delay"]);
        assert_eq!(fields("10m", "can_renew = true"), ["renewal_delay"]);
    }

    #[test]
    fn recovery_is_no_second_license_and_no_attempt_comes_too_late() {
        let renewed = |addition: &str| fields("10m", &format!("{RENEWED}{addition}"));
        assert_eq!(renewed("renewal_recovery_duration = \"10m\""), [""; 0]);
        assert_eq!(renewed("renewal_recovery_duration = \"601s\""), ["renewal_recovery_duration"]);
        assert_eq!(renewed("renewal_retry_interval = \"359s\""), [""; 0]);
        assert_eq!(renewed("renewal_retry_interval = \"6m\""), ["renewal_retry_interval"]);
        let recovered = "renewal_retry_interval = \"6m\"\nrenewal_recovery_duration = \"1m\"";
        assert_eq!(renewed(recovered), [""; 0]);
    }

    #[test]
    fn windows_that_end_each_other_are_warned_of() {
        let rental = "rental_duration = \"2d\"\n";
        let with = |addition: &str| fields("10m", &format!("{rental}{addition}"));
        assert_eq!(with("playback_duration = \"48h\""), [""; 0]);
        assert_eq!(with("playback_duration = \"49h\""), ["playback_duration"]);
        let kept = "can_persist = true\n[persistent]\nlicense_duration";
        assert_eq!(with(&format!("{kept} = \"48h\"")), [""; 0]);
        assert_eq!(with(&format!("{kept} = \"49h\"")), ["persistent.license_duration"]);
        assert_eq!(with("allow_clearkey = true"), ["allow_clearkey"]);
        assert_eq!(with("allow_hls_aes128 = true"), ["allow_hls_aes128"]);
    }

    #[test]
    fn rules_for_regions_that_do_nothing_are_warned_of() {
        let region =
            |lists: &str| fields("10m", &format!("[region]\nevidence = \"token\"\n{lists}"));
        assert_eq!(region(""), ["region"]);
        let lists = "allowed_countries = [\"CA\", \"US-CA\"]\nblocked_countries = [\"US\"]";
        assert_eq!(region(lists), ["region.allowed_countries"]);
        let blackout = |until: &str| {
            region(&format!(
                "[[region.blackout]]\ncountries = [\"CA\"]\nfrom = 2026-11-01T00:00:00Z\nuntil = {until}"
            ))
        };
        assert_eq!(blackout("2026-12-01T00:00:00Z"), ["region.blackout"]);
        assert_eq!(blackout("2026-12-01T00:00:01Z"), [""; 0]);
    }

    #[test]
    fn a_level_that_no_device_has_is_warned_of() {
        let level = |level: &str| fields("10m", &format!("[device]\nsecurity_level = \"{level}\""));
        assert_eq!(level("SW_SECURE_CRYPTO"), [""; 0]);
        assert_eq!(level("SW_SECURE_DECODE"), ["device.security_level"]);
        let text = "can_play = true\nlicense_duration = \"10m\"\n[device]\nregistration = \"certified\"\n\
            security_level = \"HW_SECURE_CRYPTO\"";
        let policy = parse("test", text).unwrap();
        let fields = |certified| {
            let found = warnings(&policy, certified, NOW);
            found.into_iter().map(|warning| warning.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(None), ["device.security_level", "device.registration"]);
        assert_eq!(fields(Some(SecurityLevel::SwSecureDecode)), ["device.security_level"]);
        assert_eq!(fields(Some(SecurityLevel::HwSecureCrypto)), [""; 0]);
    }

    #[test]
    fn slots_that_stay_taken_and_streams_that_stop_are_warned_of() {
        let limit = "[concurrency]\nlimit = 1\n";
        let renewed = |life: &str, more: &str| fields(life, &format!("{RENEWED}{limit}{more}"));
        assert_eq!(renewed("1h", ""), [""; 0]);
        assert_eq!(renewed("3601s", ""), ["license_duration"]);
        assert_eq!(renewed("1h", "grace_period = \"1s\""), ["concurrency.grace_period"]);
        assert_eq!(fields("60s", limit), ["can_renew"]);
        assert_eq!(fields("2h", limit), ["license_duration", "can_renew"]);
        assert_eq!(fields("3h", limit), ["license_duration"]);
    }
}
