//! Reads the text of a policy file and tells what is wrong by line.

use crate::domain::policy::Policy;
use crate::domain::policy_file::surroundings::Surroundings;
use crate::domain::policy_file::tables::PolicyFile;

/// The longest policy file, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;

/// The file is not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Error {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and how to correct it.
    pub message: String,
}

/// What the path of a field has in it where the value is read with its place.
const SPANNED: &str = ".$__serde_spanned_private_value";

/// Reads the text of `<name>.toml` where there are no groups of regions, and everything can be told by an address.
///
/// # Errors
/// As [`parse_in`].
pub fn parse(name: &str, text: &str) -> Result<Policy, Error> {
    parse_in(name, text, &Surroundings::default())
}

/// Reads the text of `<name>.toml`.
///
/// # Errors
/// [`Error`]: an unknown field, a field that is not supported yet, a value out of range, an impossible combination, an unknown
/// group of regions, or a rule that the service cannot keep in these surroundings.
pub fn parse_in(name: &str, text: &str, surroundings: &Surroundings) -> Result<Policy, Error> {
    let at = |offset: usize, message: String| Error { line: line_of(text, offset), message };
    if text.len() > BYTES_MAX {
        return Err(at(0, format!("the file is longer than {BYTES_MAX} bytes")));
    }
    if !is_policy_name(name) {
        return Err(at(
            0,
            format!("the file's name {name:?} is not a policy name; use a-z, 0-9 and -"),
        ));
    }
    let of_toml = |error: toml::de::Error, field: &str| {
        let message = error.message();
        let message = match field {
            // The parser says where it is, and nothing can be said of a field.
            "" | "." => message.to_owned(),
            // It names the field itself.
            _ if message.contains("field `") => message.to_owned(),
            field => format!("{field}: {message}"),
        };
        at(error.span().map_or(0, |span| span.start), message)
    };
    let document = toml::Deserializer::parse(text).map_err(|error| of_toml(error, ""))?;
    let mut file: PolicyFile = serde_path_to_error::deserialize(document).map_err(|error| {
        let field = error.path().to_string().replace(SPANNED, "");
        of_toml(error.into_inner(), &field)
    })?;
    if let Some(region) = file.region.as_mut() {
        surroundings.complete(region.get_mut()).map_err(|(offset, why)| at(offset, why))?;
    }
    file.into_policy(name).map_err(|(offset, message)| at(offset, message.to_owned()))
}

/// Whether `name` can be a policy name: 1 to 64 of `a-z 0-9 -`, not beginning with `-`.
#[must_use]
pub fn is_policy_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('-')
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::duration::Duration;
    use crate::domain::policy::{
        ConcurrencyMode, ConcurrencyRule, ConcurrencyScope, DeviceRule, Registration, RenewalRule,
        Replace,
    };

    const SHORTEST: &str = "can_play = true\nlicense_duration = \"10m\"\n";

    fn read(addition: &str) -> Policy {
        let text = format!("{SHORTEST}{addition}");
        parse("test", &text).unwrap_or_else(|error| panic!("{addition}: {error}"))
    }

    fn fault(addition: &str) -> String {
        parse("test", &format!("{SHORTEST}{addition}")).unwrap_err().to_string()
    }

    fn secs(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    /// Every field that this version supports, each with a value of its own.
    const EVERY_FIELD: &str = r#"
        can_play = true
        can_persist = true
        can_renew = true
        tracks = ["AUDIO", "SD", "HD", "UHD1"]
        available_from = 2026-11-01T00:00:00Z
        available_until = 2027-11-01T00:00:00Z
        license_duration = "10m"
        rental_duration = "30d"
        playback_duration = "48h"
        renewal_delay = "4m"
        renewal_retry_interval = "30s"
        renewal_recovery_duration = "9m"
        required_amr = ["mfa"]
        allow_clearkey = false
        allow_hls_aes128 = false
        [persistent]
        license_duration = "7d"
        [region]
        allowed_countries = ["US", "CA"]
        blocked_countries = ["US-TX"]
        evidence = "token"
        block_vpn_and_tor = false
        [[region.blackout]]
        countries = ["CA"]
        from = 2026-12-01T00:00:00Z
        until = 2026-12-02T00:00:00Z
        [device]
        limit = 5
        security_level = "SW_SECURE_DECODE"
        registration = "enrolled"
        require_binding = true
        replace = "LONGEST_IDLE"
        cooldown = "24h"
        [concurrency]
        limit = 2
        scope = "content"
        mode = "STOP_OLDEST"
        grace_period = "60s"
        [track.UHD1]
        security_level = "HW_SECURE_ALL"
        hdcp = "HDCP_V2_2"
        max_height = 2160
    "#;

    #[test]
    fn every_field_is_read() {
        let policy = parse("test", EVERY_FIELD).unwrap();
        assert!(policy.can_play && policy.can_renew && policy.can_persist());
        assert_eq!(policy.persistent_duration, secs(7 * 86_400));
        assert_eq!(policy.license_duration, Duration::from_secs(600));
        assert_eq!(policy.rental_duration, secs(30 * 86_400));
        assert_eq!(policy.playback_duration, secs(48 * 3600));
        let (delay, retry_interval, recovery) = (secs(240), secs(30), secs(540));
        assert_eq!(policy.renewal, RenewalRule { delay, retry_interval, recovery });
        let DeviceRule { limit, registration, require_binding, replace, cooldown, .. } =
            policy.device;
        assert_eq!((limit, registration), (Some(5), Registration::Enrolled));
        assert_eq!((replace, cooldown), (Replace::LongestIdle, secs(86_400)));
        assert!(require_binding);
        let streams = ConcurrencyRule {
            limit: 2,
            scope: ConcurrencyScope::Content,
            mode: ConcurrencyMode::StopOldest,
            grace_period: secs(60),
        };
        assert_eq!(policy.concurrency, Some(streams));
        assert_eq!(policy.region.unwrap().blackouts.len(), 1);
        assert!(policy.available_from < policy.available_until);
    }

    #[test]
    fn an_absent_rule_and_0_are_the_same() {
        let zeros = "can_persist = false\ncan_renew = false\nrental_duration = \"0s\"\nplayback_duration = \"0d\"\n\
            renewal_delay = \"0s\"\nrenewal_retry_interval = \"0s\"\nrenewal_recovery_duration = \"0s\"\n\
            [device]\nlimit = 0\nreplace = \"NONE\"\ncooldown = \"0h\"\n[track.HD]\nmax_height = 0";
        for policy in [read(""), read(zeros)] {
            assert!(!policy.can_renew && !policy.can_persist() && !policy.needs_memory());
            assert_eq!((policy.rental_duration, policy.playback_duration), (None, None));
            assert_eq!(policy.renewal, RenewalRule::default());
            let DeviceRule { limit, replace, cooldown, registration, .. } = policy.device;
            assert_eq!((limit, replace, cooldown), (None, Replace::None, None));
            assert_eq!(registration, Registration::Open);
            assert_eq!(policy.concurrency, None);
            assert!(policy.track_rules.values().all(|rule| rule.max_height.is_none()));
        }
        let policy = read("can_renew = true\nrenewal_retry_interval = \"0s\"");
        assert_eq!((policy.can_renew, policy.renewal), (true, RenewalRule::default()));
    }

    #[test]
    fn words_that_are_left_out_have_their_defaults() {
        let streams = ConcurrencyRule {
            limit: 1,
            scope: ConcurrencyScope::Account,
            mode: ConcurrencyMode::BlockNew,
            grace_period: None,
        };
        assert_eq!(read("[concurrency]\nlimit = 1").concurrency, Some(streams));
        let zero = read("[concurrency]\nlimit = 1\ngrace_period = \"0s\"");
        assert_eq!(zero.concurrency, Some(streams));
        for (word, scope) in [
            ("account", ConcurrencyScope::Account),
            ("content", ConcurrencyScope::Content),
            ("policy", ConcurrencyScope::Policy),
        ] {
            let policy = read(&format!("[concurrency]\nlimit = 1\nscope = \"{word}\""));
            assert_eq!(policy.concurrency, Some(ConcurrencyRule { scope, ..streams }));
        }
    }

    #[test]
    fn limits_end_at_1000() {
        assert_eq!(read("[device]\nlimit = 1000").device.limit, Some(1000));
        assert_eq!(read("[concurrency]\nlimit = 1000").concurrency.unwrap().limit, 1000);
        for (table, number) in [
            ("device", "1001"),
            ("device", "-1"),
            ("concurrency", "1001"),
            ("concurrency", "70000"),
        ] {
            let fault = fault(&format!("[{table}]\nlimit = {number}"));
            assert!(fault.starts_with(&format!("line 4: {table}.limit: a limit is")), "{fault}");
        }
        assert!(fault("[device]\nlimit = \"5\"").starts_with("line 4: device.limit: invalid type"));
    }

    #[test]
    fn unknown_fields_and_wrong_values_are_refused_by_line() {
        for (addition, part) in [
            ("colour = 1", "line 3: unknown field `colour`"),
            ("play_start_grace_period = \"60s\"", "line 3: unknown field `play_start_grace"),
            ("[region]\nevidence = \"token\"\nallowed = []", "line 5: unknown field `allowed`"),
            ("[concurrency]\nlimit = 1\nmax = 2", "line 5: unknown field `max`"),
            ("[device]\nmax = 2", "line 4: unknown field `max`"),
            ("can_persist = true\n[persistent]\nlife = \"7d\"", "line 5: unknown field `life`"),
            ("[region]\nallowed_countries = [\"US\"]", "missing field `evidence`"),
            (
                "[region]\nevidence = \"token\"\nallowed_countries = [\"us\"]",
                "line 5: region.allowed_countries[0]: a region is",
            ),
            (
                "[region]\nevidence = \"token\"\nblocked_countries = [\"DE\", \"EU\"]",
                "line 5: region.blocked_countries[1]: EU is no country; if \"EU\" is meant",
            ),
            ("[region]\nevidence = \"passport\"", "line 4: region.evidence: evidence is"),
            ("tracks = [\"4K\"]", "line 3: tracks[0]: unknown variant"),
            ("rental_duration = \"1w\"", "line 3: rental_duration: a duration is"),
            ("renewal_delay = 240", "line 3: renewal_delay: invalid type"),
            ("can_renew = \"yes\"", "line 3: can_renew: invalid type"),
            ("[device]\nreplace = \"OLDEST\"", "line 4: device.replace: unknown variant `OLDEST`"),
            ("[device]\nregistration = \"x\"", "line 4: device.registration: registration is"),
            ("[device]\ncooldown = \"1\"", "line 4: device.cooldown: a duration is"),
            (
                "[concurrency]\nlimit = 1\nscope = \"device\"",
                "line 5: concurrency.scope: unknown variant",
            ),
            (
                "[concurrency]\nlimit = 1\nmode = \"block\"",
                "line 5: concurrency.mode: unknown variant",
            ),
            ("available_from = 2026-11-01", "line 3: available_from: a time has"),
            ("available_until = 1960-11-01T00:00:00Z", "line 3: available_until: a time has"),
            ("[track.UHD3]\nmax_height = 1", "unknown variant"),
            (
                "[device]\nsecurity_level = \"HIGH\"",
                "line 4: device.security_level: unknown variant",
            ),
            ("license_duration = \"1m\"", "line 3: duplicate key"),
        ] {
            let fault = fault(addition);
            assert!(fault.contains(part) && !fault.contains('$'), "{addition}: {fault}");
        }
        assert!(parse("test", "can_play = true").unwrap_err().message.contains("license_duration"));
        assert!(parse("Test", SHORTEST).unwrap_err().message.contains("policy name"));
        let long = format!("{SHORTEST}# {}", "x".repeat(BYTES_MAX));
        assert!(parse("test", &long).unwrap_err().message.contains("longer"));
    }
}
