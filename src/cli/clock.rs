//! The only reader of the system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use reelkey_client::time::UnixTime;

/// The current time. A clock set before 1970 reads as 1970, at which no token is valid.
pub(crate) fn now() -> UnixTime {
    #[expect(clippy::disallowed_methods, reason = "time enters the program here and nowhere else")]
    let now = SystemTime::now();
    UnixTime::from_secs(now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Now, for the log: `2026-11-01T00:00:00.123456Z`.
pub(crate) fn show_precisely() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

/// A time, as people read it: `2026-11-01T00:00:00Z`.
pub(crate) fn show(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}
