//! Policies as people write them: one TOML file for each.
//!
//! What a file says is either understood and obeyed or refused, never ignored: a rule that a rights
//! holder wrote and the service did not know would be a promise broken in silence.
//!
//! One file because a policy has many fields, and each is read, judged and refused here and nowhere else.

use std::collections::BTreeMap;
use std::fmt;

use reelkey_client::time::UnixTime;
use serde::de::{Deserializer, Error as _, IgnoredAny};
use serde::{Deserialize, de};
use toml::Spanned;

use crate::domain::duration::Duration;
use crate::domain::policy::{
    Blackout, DeviceRule, Hdcp, Policy, RegionRule, RenewalRule, TrackRule,
};
use crate::domain::region::Region;
use crate::domain::security_level::SecurityLevel;
use crate::domain::track::TrackType;

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

/// Reads the text of `<name>.toml`.
///
/// # Errors
/// [`Error`]: an unknown field, a field that is not supported yet, a value out of range, or an impossible combination.
pub fn parse(name: &str, text: &str) -> Result<Policy, Error> {
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
    let file: PolicyFile = serde_path_to_error::deserialize(document).map_err(|error| {
        let field = error.path().to_string().replace(SPANNED, "");
        of_toml(error.into_inner(), &field)
    })?;
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

/// An offset into the text, and what is wrong at this position.
type Fault = (usize, &'static str);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some fields are read only to be refused")]
struct PolicyFile {
    #[serde(default)]
    can_play: bool,
    #[serde(default)]
    can_persist: OnlyFalse,
    #[serde(default)]
    can_renew: OnlyFalse,
    allow_clearkey: Option<Spanned<bool>>,
    allow_hls_aes128: Option<Spanned<bool>>,
    tracks: Option<Spanned<Vec<TrackType>>>,
    available_from: Option<Timestamp>,
    available_until: Option<Spanned<Timestamp>>,
    license_duration: Spanned<Duration>,
    #[serde(default)]
    required_amr: Vec<String>,
    region: Option<Spanned<RegionTable>>,
    #[serde(default)]
    device: DeviceTable,
    #[serde(default)]
    track: BTreeMap<TrackType, TrackTable>,
    rental_duration: Option<NotYet>,
    playback_duration: Option<NotYet>,
    play_start_grace_period: Option<NotYet>,
    renewal_delay: Option<NotYet>,
    renewal_retry_interval: Option<NotYet>,
    renewal_recovery_duration: Option<NotYet>,
    persistent: Option<NotYet>,
    concurrency: Option<NotYet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some fields are read only to be refused")]
struct RegionTable {
    #[serde(default)]
    allowed_countries: Vec<Region>,
    #[serde(default)]
    blocked_countries: Vec<Region>,
    evidence: Evidence,
    #[serde(default)]
    blackout: Vec<BlackoutTable>,
    block_vpn_and_tor: Option<NotYet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlackoutTable {
    countries: Spanned<Vec<Region>>,
    from: Timestamp,
    until: Spanned<Timestamp>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct DeviceTable {
    security_level: SecurityLevel,
    require_binding: bool,
    registration: Registration,
    limit: Option<NotYet>,
    replace: Option<NotYet>,
    cooldown: Option<NotYet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackTable {
    security_level: Option<SecurityLevel>,
    hdcp: Option<Hdcp>,
    max_height: Option<u32>,
}

impl PolicyFile {
    fn into_policy(self, name: &str) -> Result<Policy, Fault> {
        self.refuse_impossible()?;
        let region = self.region.map(|table| table.into_inner().into_rule()).transpose()?;
        let track_rules = self.track.into_iter().map(|(track, table)| {
            let TrackTable { security_level, hdcp, max_height } = table;
            (
                track,
                TrackRule { security_level, hdcp, max_height: max_height.filter(|max| *max > 0) },
            )
        });
        Ok(Policy {
            name: name.to_owned(),
            can_play: self.can_play,
            can_renew: false,
            persistent_duration: None,
            tracks: self.tracks.map(Spanned::into_inner),
            available_from: self.available_from.map(|time| time.0),
            available_until: self.available_until.map(|time| time.into_inner().0),
            license_duration: self.license_duration.into_inner(),
            rental_duration: None,
            playback_duration: None,
            renewal: RenewalRule::default(),
            required_amr: self.required_amr,
            region,
            allow_clearkey: is_true(self.allow_clearkey.as_ref()),
            allow_hls_aes128: is_true(self.allow_hls_aes128.as_ref()),
            device: DeviceRule {
                security_level: self.device.security_level,
                require_binding: self.device.require_binding,
                ..DeviceRule::default()
            },
            concurrency: None,
            track_rules: track_rules.collect(),
        })
    }

    fn refuse_impossible(&self) -> Result<(), Fault> {
        if self.license_duration.get_ref().as_secs() == 0 {
            let at = self.license_duration.span().start;
            return Err((at, "license_duration is 0, so no license would live; write \"10m\""));
        }
        let clear = [&self.allow_clearkey, &self.allow_hls_aes128].into_iter().flatten();
        if let Some(allowed) = clear.into_iter().find(|allowed| *allowed.get_ref())
            && self.device.require_binding
        {
            let why = "keys in the clear prove no device, so they cannot be allowed beside require_binding";
            return Err((allowed.span().start, why));
        }
        if let Some(tracks) = &self.tracks {
            let list = tracks.get_ref();
            if list.is_empty() {
                return Err((
                    tracks.span().start,
                    "tracks is empty; name types or remove the line",
                ));
            }
            if list.iter().enumerate().any(|(at, track)| list.iter().take(at).any(|t| t == track)) {
                return Err((tracks.span().start, "tracks names a type twice"));
            }
        }
        if let (Some(from), Some(until)) = (&self.available_from, &self.available_until)
            && from.0 >= until.get_ref().0
        {
            return Err((until.span().start, "available_until is not after available_from"));
        }
        if let Some(region) = &self.region {
            let RegionTable { allowed_countries: allowed, blocked_countries: blocked, .. } =
                region.get_ref();
            if allowed.iter().any(|region| blocked.contains(region)) {
                let at = region.span().start;
                return Err((at, "a country is both allowed and blocked; remove it from one list"));
            }
        }
        Ok(())
    }
}

impl RegionTable {
    fn into_rule(self) -> Result<RegionRule, Fault> {
        let mut blackouts = Vec::new();
        for table in self.blackout {
            if table.countries.get_ref().is_empty() {
                return Err((
                    table.countries.span().start,
                    "a blackout names at least one country",
                ));
            }
            let (at, from, until) =
                (table.until.span().start, table.from.0, table.until.get_ref().0);
            if from >= until {
                return Err((at, "the blackout's until is not after its from"));
            }
            blackouts.push(Blackout { regions: table.countries.into_inner(), from, until });
        }
        let Self { allowed_countries: allowed, blocked_countries: blocked, .. } = self;
        Ok(RegionRule { allowed, blocked, blackouts })
    }
}

fn is_true(field: Option<&Spanned<bool>>) -> bool {
    field.is_some_and(|value| *value.get_ref())
}

/// A field of a later version, which this version refuses.
struct NotYet;

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom("not supported yet; remove it"))
    }
}

/// A switch that must be off in this version.
#[derive(Default)]
struct OnlyFalse;

impl<'de> Deserialize<'de> for OnlyFalse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? {
            return Err(D::Error::custom(
                "true is not supported yet; write false or remove the line",
            ));
        }
        Ok(Self)
    }
}

/// The source of the viewer's region.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Evidence;

impl TryFrom<String> for Evidence {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "token" => Ok(Self),
            "ip" | "token-and-ip" => {
                Err("evidence by address is not supported yet; write evidence = \"token\"")
            }
            _ => Err("evidence is \"token\""),
        }
    }
}

/// How devices are registered.
#[derive(Deserialize, Default)]
#[serde(try_from = "String")]
struct Registration;

impl TryFrom<String> for Registration {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "open" => Ok(Self),
            "enrolled" | "certified" => {
                Err("this registration is not supported yet; write registration = \"open\"")
            }
            _ => Err("registration is \"open\""),
        }
    }
}

/// A TOML date-time with an offset.
struct Timestamp(UnixTime);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = toml::value::Datetime::deserialize(deserializer)?.to_string();
        let wrong = |_| TimestampExpected;
        let time: jiff::Timestamp = text.parse().map_err(wrong).map_err(de::Error::custom)?;
        let seconds = u64::try_from(time.as_second()).map_err(|_| TimestampExpected);
        seconds.map(|seconds| Self(UnixTime::from_secs(seconds))).map_err(de::Error::custom)
    }
}

struct TimestampExpected;

impl fmt::Display for TimestampExpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time has a date, a time and an offset: 2026-11-01T00:00:00Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: &str = "can_play = true\nlicense_duration = \"10m\"\n";

    fn fault(addition: &str) -> String {
        parse("test", &format!("{SHORTEST}{addition}")).unwrap_err().to_string()
    }

    #[test]
    fn the_shipped_policies_are_read() {
        for (name, text) in [
            ("default", include_str!("../../policies/default.toml")),
            ("premium-movie", include_str!("../../policies/premium-movie.toml")),
        ] {
            let policy = parse(name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(policy.can_play, "{name}");
        }
    }

    #[test]
    fn fields_of_later_versions_are_refused_by_line() {
        for field in [
            "rental_duration = \"30d\"",
            "playback_duration = \"48h\"",
            "play_start_grace_period = \"60s\"",
            "renewal_delay = \"4m\"",
            "renewal_retry_interval = \"30s\"",
            "renewal_recovery_duration = \"10m\"",
            "can_persist = true",
            "can_renew = true",
            "[persistent]\nlicense_duration = \"7d\"",
            "[concurrency]\nlimit = 2",
            "[region]\nevidence = \"token-and-ip\"",
            "[region]\nevidence = \"token\"\nblock_vpn_and_tor = false",
            "[device]\nlimit = 5",
            "[device]\nreplace = \"NONE\"",
            "[device]\ncooldown = \"24h\"",
            "[device]\nregistration = \"enrolled\"",
        ] {
            let fault = fault(field);
            assert!(fault.contains("not supported yet"), "{field}: {fault}");
            let name = field.rsplit('\n').next().unwrap().split([' ', '=']).next().unwrap();
            let table = field.trim_start_matches('[').split(']').next().unwrap();
            let is_named =
                fault.contains(&format!("{name}: ")) || fault.contains(&format!(": {table}: "));
            assert!(is_named && !fault.contains('$'), "{field}: {fault}");
            assert!(
                fault.starts_with("line 3:")
                    || fault.starts_with("line 4:")
                    || fault.starts_with("line 5:"),
                "{field}: {fault}"
            );
        }
    }

    #[test]
    fn unknown_fields_and_wrong_values_are_refused_by_line() {
        for (addition, part) in [
            ("colour = 1", "line 3: unknown field `colour`"),
            ("[region]\nevidence = \"token\"\nallowed = []", "line 5: unknown field `allowed`"),
            ("[region]\nallowed_countries = [\"US\"]", "missing field `evidence`"),
            (
                "[region]\nevidence = \"token\"\nallowed_countries = [\"us\"]",
                "line 5: region.allowed_countries[0]: a region is",
            ),
            ("[region]\nevidence = \"passport\"", "line 4: region.evidence: evidence is"),
            ("tracks = [\"4K\"]", "line 3: tracks[0]: unknown variant"),
            (
                "allow_clearkey = true\n[device]\nrequire_binding = true",
                "line 3: keys in the clear",
            ),
            (
                "allow_hls_aes128 = true\n[device]\nrequire_binding = true",
                "line 3: keys in the clear",
            ),
            ("tracks = []", "line 3: tracks is empty"),
            ("tracks = [\"SD\", \"SD\"]", "line 3: tracks names a type twice"),
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
            assert!(fault.contains(part), "{addition}: {fault}");
        }
        assert!(parse("test", "can_play = true").unwrap_err().message.contains("license_duration"));
        assert!(parse("Test", SHORTEST).unwrap_err().message.contains("policy name"));
        let long = format!("{SHORTEST}# {}", "x".repeat(BYTES_MAX));
        assert!(parse("test", &long).unwrap_err().message.contains("longer"));
    }

    #[test]
    fn impossible_combinations_are_refused_by_line() {
        let zero = parse("test", "\nlicense_duration = \"0s\"").unwrap_err();
        assert_eq!(zero.line, 2);
        for (addition, part) in [
            (
                "available_from = 2026-11-02T00:00:00Z\navailable_until = 2026-11-02T00:00:00Z",
                "line 4: available_until",
            ),
            (
                "[region]\nevidence = \"token\"\nallowed_countries = [\"US\"]\nblocked_countries = [\"US\"]",
                "line 3: a country is both",
            ),
            (
                "[region]\nevidence = \"token\"\n[[region.blackout]]\ncountries = []\nfrom = 2026-11-02T00:00:00Z\nuntil = 2026-11-03T00:00:00Z",
                "line 6: a blackout names",
            ),
            (
                "[region]\nevidence = \"token\"\n[[region.blackout]]\ncountries = [\"US\"]\nfrom = 2026-11-02T00:00:00Z\nuntil = 2026-11-01T00:00:00Z",
                "line 8: the blackout's until",
            ),
        ] {
            let fault = fault(addition);
            assert!(fault.contains(part), "{addition}: {fault}");
        }
    }
}
