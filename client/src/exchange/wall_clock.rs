//! The time by which a kept license is judged: the device's wall clock, corrected, and never going back.
//!
//! A device that plays without a connection has no other clock. Whether it is right was seen when the
//! license arrived: the service had dated it. What was seen since bounds what it may say.
//!
//! Deliberately absent: reading the clock.

use crate::time::UnixTime;

/// How far below the latest time that was seen the clock may be, in seconds: clocks are adjusted.
pub const BACK_SECS_MAX: u64 = 120;

/// The clock says that it is more than [`BACK_SECS_MAX`] before a time that was seen already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock was set back: it is {back_secs} seconds behind the latest playback; set it right, or renew the license"
)]
pub struct SetBack {
    /// How far it is behind, in seconds.
    pub back_secs: u64,
}

/// A wall clock, its error, and the latest time that was seen on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WallClock {
    /// How far the clock was ahead of the service's when the license arrived, in seconds.
    pub(crate) ahead_secs: i64,
    /// The latest time that was seen, corrected.
    pub(crate) latest: UnixTime,
}

impl WallClock {
    /// The clock that said `arrived` when a license arrived that the service dated `iat`.
    pub(crate) fn set(arrived: UnixTime, iat: UnixTime) -> Self {
        Self { ahead_secs: signed(arrived).saturating_sub(signed(iat)), latest: iat }
    }

    /// The corrected time where the clock says `wall`, not below the latest that was seen.
    pub(crate) fn now_at(&self, wall: UnixTime) -> Result<UnixTime, SetBack> {
        let now = signed(wall).saturating_sub(self.ahead_secs);
        let now = UnixTime::from_secs(u64::try_from(now).unwrap_or(0));
        let back_secs = self.latest.as_secs().saturating_sub(now.as_secs());
        if back_secs > BACK_SECS_MAX {
            Err(SetBack { back_secs })
        } else {
            Ok(now.max(self.latest))
        }
    }
}

fn signed(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IAT: u64 = 1_700_000_000;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn a_clock_is_corrected_by_what_it_said_on_arrival() {
        for arrived in [IAT, IAT + 86_400, IAT - 86_400, 0, u64::MAX] {
            let clock = WallClock::set(at(arrived), at(IAT));
            assert_eq!(clock.now_at(at(arrived)), Ok(at(IAT)), "{arrived}");
        }
        let behind = WallClock::set(at(60), at(IAT));
        assert_eq!(behind.now_at(at(3660)), Ok(at(IAT + 3600)));
        let ahead = WallClock::set(at(IAT + 500), at(IAT));
        assert_eq!(ahead.now_at(at(IAT + 500 + 3600)), Ok(at(IAT + 3600)));
    }

    #[test]
    fn time_never_goes_below_the_latest_and_two_minutes_below_is_an_error() {
        let mut clock = WallClock::set(at(IAT), at(IAT));
        clock.latest = at(IAT + 1000);
        assert_eq!(clock.now_at(at(IAT + 1001)), Ok(at(IAT + 1001)));
        assert_eq!(clock.now_at(at(IAT + 999)), Ok(at(IAT + 1000)));
        assert_eq!(clock.now_at(at(IAT + 880)), Ok(at(IAT + 1000)));
        assert_eq!(clock.now_at(at(IAT + 879)), Err(SetBack { back_secs: 121 }));
        assert_eq!(clock.now_at(at(0)), Err(SetBack { back_secs: IAT + 1000 }));
    }
}
