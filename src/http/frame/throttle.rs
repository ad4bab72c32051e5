//! How many lines of one kind the log gets: some at once, then one a second. Anybody can cause them, without a token.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many lines there may be at once.
const BURST: u32 = 32;

/// How soon there may be one more.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts lines, and those that were left out.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    used: u32,
    /// Up to when `used` was reckoned.
    reckoned: Option<Instant>,
    others: u64,
}

impl Throttle {
    /// Whether a line may be logged now: how many were left out since the last one.
    pub(crate) fn turn(&self, now: Instant) -> Option<u64> {
        let counts = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reckoned = counts.reckoned.unwrap_or(now);
        while counts.used > 0 && now.duration_since(reckoned) >= PAUSE {
            counts.used -= 1;
            reckoned += PAUSE;
        }
        // What nobody used is not saved up.
        counts.reckoned = Some(if counts.used == 0 { now } else { reckoned });
        if counts.used == BURST {
            counts.others += 1;
            return None;
        }
        counts.used += 1;
        Some(std::mem::take(&mut counts.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_at_once_then_one_a_second_and_the_others_are_counted() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let at = |millis| throttle.turn(start + Duration::from_millis(millis));
        assert!((0..BURST).all(|_| at(0) == Some(0)));
        assert_eq!((at(0), at(500), at(999)), (None, None, None));
        assert_eq!((at(1000), at(1001)), (Some(3), None));
        assert_eq!((at(2999), at(3000), at(3000)), (Some(1), Some(0), None));
        assert!((0..BURST).all(|_| at(3_600_000).is_some()));
        assert_eq!(at(3_600_000), None);
    }
}
