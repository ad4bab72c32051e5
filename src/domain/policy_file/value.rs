//! The values of a policy file that TOML has no type for: limits, times, and words of which some are not supported yet.

use std::fmt;

use reelkey_client::time::UnixTime;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::Spanned;

use crate::domain::duration::Duration;
use crate::domain::policy::{Evidence, Registration};
use crate::domain::region::Region;

/// A field that may be absent, with its place in the text.
pub(super) type Placed<T> = Option<Spanned<T>>;

/// An offset into the text, and what is wrong at this position.
pub(super) type Fault = (usize, &'static str);

/// Where the value of a field begins.
pub(super) fn place<T>(field: &Spanned<T>) -> usize {
    field.span().start
}

/// Whether a switch is there and on.
pub(super) fn is_on(field: &Placed<bool>) -> bool {
    field.as_ref().is_some_and(|value| *value.get_ref())
}

/// A duration that is a rule: one that is there and not 0.
pub(super) fn duration(field: &Placed<Duration>) -> Option<Duration> {
    field.as_ref().map(|value| *value.get_ref()).filter(|value| value.as_secs() > 0)
}

/// A limit that is a rule: one that is there and not 0.
pub(super) fn limit(field: &Placed<Limit>) -> Option<u16> {
    field.as_ref().map(|value| value.get_ref().0).filter(|value| *value > 0)
}

/// The highest limit. An account with more devices or streams is no household, and each request looks at all of them.
const LIMIT_MAX: u16 = 1000;

/// A limit for devices or streams: 0 to [`LIMIT_MAX`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct Limit(u16);

impl TryFrom<i64> for Limit {
    type Error = &'static str;

    fn try_from(number: i64) -> Result<Self, &'static str> {
        let number = u16::try_from(number).ok().filter(|number| *number <= LIMIT_MAX);
        number
            .map(Self)
            .ok_or("a limit is a whole number from 1 to 1000; 0 or no line means no limit")
    }
}

/// The evidence of the viewer's region, as a policy file names it.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct EvidenceWord(pub(super) Evidence);

impl TryFrom<String> for EvidenceWord {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let all = [Evidence::Token, Evidence::Ip, Evidence::TokenAndIp];
        let named = all.into_iter().find(|evidence| evidence.as_str() == text);
        named.map(Self).ok_or("evidence is \"token\", \"ip\" or \"token-and-ip\"")
    }
}

/// A list of regions and groups of regions, as a file says it.
#[derive(Default, Deserialize)]
#[serde(from = "Vec<Spanned<String>>")]
pub(super) struct Regions {
    /// The names, in order.
    pub(super) written: Vec<Spanned<String>>,
    /// The regions that they stand for, once it is known which groups there are.
    pub(super) regions: Vec<Region>,
}

impl From<Vec<Spanned<String>>> for Regions {
    fn from(written: Vec<Spanned<String>>) -> Self {
        Self { written, regions: Vec::new() }
    }
}

/// How devices are registered, as a file says it.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct RegistrationWord(pub(super) Registration);

impl TryFrom<String> for RegistrationWord {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "open" => Ok(Self(Registration::Open)),
            "enrolled" => Ok(Self(Registration::Enrolled)),
            "certified" => Ok(Self(Registration::Certified)),
            _ => Err("registration is \"open\", \"enrolled\" or \"certified\""),
        }
    }
}

/// A TOML date-time with an offset.
pub(super) struct Timestamp(pub(super) UnixTime);

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
