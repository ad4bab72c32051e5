//! Lengths of time as people write them in policies: `"48h"`, `"30d"`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A length of time in whole seconds, written with one unit: `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Duration(u64);

/// The longest duration, a hundred years: longer than any right lasts, and small enough not to overflow.
const SECS_MAX: u64 = 100 * 366 * 86_400;

/// The text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a duration is a whole number and one of s, m, h and d, at most 36600d: \"90s\", \"10m\", \"48h\", \"30d\""
)]
pub struct InvalidDuration;

impl Duration {
    /// A duration of `seconds`.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The length in seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let unit_secs = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => 86_400,
            _ => return Err(InvalidDuration),
        };
        let digits = text.get(..text.len() - 1).unwrap_or_default();
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidDuration);
        }
        let number: u64 = digits.parse().map_err(|_| InvalidDuration)?;
        let seconds = number.checked_mul(unit_secs).filter(|seconds| *seconds <= SECS_MAX);
        seconds.map(Self).ok_or(InvalidDuration)
    }
}

/// As it is written in a policy, with the largest unit that fits.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        let fits = |(secs, _): &(u64, char)| self.0 > 0 && self.0.is_multiple_of(*secs);
        let (secs, unit) = units.into_iter().find(fits).unwrap_or((1, 's'));
        write!(f, "{}{unit}", self.0 / secs)
    }
}

impl TryFrom<String> for Duration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        let secs = |text: &str| text.parse::<Duration>().map(Duration::as_secs);
        assert_eq!(secs("90s"), Ok(90));
        assert_eq!(secs("10m"), Ok(600));
        assert_eq!(secs("48h"), Ok(172_800));
        assert_eq!(secs("30d"), Ok(2_592_000));
        assert_eq!(secs("36600d"), Ok(SECS_MAX));
        for wrong in ["", "s", "10", "-1s", "+1s", "1.5h", "1h30m", "1 h", "1w", "36601d", "1é"] {
            assert_eq!(secs(wrong), Err(InvalidDuration), "{wrong:?}");
        }
        assert_eq!(secs("99999999999999999999d"), Err(InvalidDuration));
    }
    #[test]
    fn it_is_shown_as_it_is_written() {
        for text in ["0s", "1s", "90s", "10m", "25h", "7d", "36600d"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        assert_eq!(Duration::from_secs(48 * 3_600).to_string(), "2d");
    }
}
