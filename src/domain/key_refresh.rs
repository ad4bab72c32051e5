//! When an issuer's keys are fetched again, and for how long those that were fetched may be used.
//!
//! A value without a clock: every step takes the time. A clock that was set back never makes keys older or stops the
//! fetching.
//!
//! Deliberately absent: the keys, the network, the disk.

use reelkey_client::time::UnixTime;

use crate::domain::duration::Duration;

/// The shortest and the longest time for which fetched keys count as fresh, in seconds, whatever the server says.
const FRESH_SECS_MIN: u64 = 60;
const FRESH_SECS_MAX: u64 = 86_400;

/// For how long they are fresh if the server does not say, in seconds.
const FRESH_SECS_DEFAULT: u64 = 600;

/// The least time between the beginnings of two attempts, in seconds.
pub const ATTEMPTS_APART_SECS: u64 = 30;

/// The longest pause between attempts that fail, in seconds.
const PAUSE_SECS_MAX: u64 = 600;

/// How long keys serve that are not fresh any more, because they cannot be fetched, unless the operator says otherwise.
pub const KEPT_DEFAULT: Duration = Duration::from_secs(86_400);

/// How long an answer is fresh, by its `Cache-Control` (RFC 9111 section 5.2.2), in seconds. What cannot be understood
/// is not cached for long.
#[must_use]
pub fn fresh_secs(cache_control: Option<&str>) -> u64 {
    let Some(text) = cache_control else { return FRESH_SECS_DEFAULT };
    let mut said = None;
    for directive in text.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let secs = match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => 0,
            "max-age" => value.trim().trim_matches('"').parse().unwrap_or(0),
            _ => continue,
        };
        said = Some(said.map_or(secs, |other: u64| other.min(secs)));
    }
    said.map_or(FRESH_SECS_DEFAULT, |secs| secs.clamp(FRESH_SECS_MIN, FRESH_SECS_MAX))
}

/// When keys were fetched, and for how long they are fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// When.
    pub at: UnixTime,
    /// For so many seconds they are fresh.
    pub fresh_secs: u64,
}

impl Fetched {
    /// The moment from which they should be fetched again.
    #[must_use]
    pub fn fresh_until(self) -> UnixTime {
        self.at.saturating_add(self.fresh_secs.clamp(FRESH_SECS_MIN, FRESH_SECS_MAX))
    }

    /// The moment from which they may not be used any more.
    #[must_use]
    pub fn good_until(self, kept: Duration) -> UnixTime {
        self.fresh_until().saturating_add(kept.as_secs())
    }

    fn is_fresh(self, now: UnixTime) -> bool {
        now < self.fresh_until() && self.at <= now
    }
}

/// The state of fetching one issuer's keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refresh {
    fetched: Option<Fetched>,
    /// When the last attempt began.
    attempted: Option<UnixTime>,
    /// How many attempts in a row have failed.
    failures: u32,
    /// A token named a key that is not among those that were fetched.
    is_wanted: bool,
    /// An attempt has begun, and has not ended.
    is_under_way: bool,
}

impl Refresh {
    /// Goes on after a restart, with what was fetched before it.
    #[must_use]
    pub fn resumed(fetched: Option<Fetched>) -> Self {
        Self { fetched, attempted: fetched.map(|fetched| fetched.at), ..Self::default() }
    }

    /// What was fetched last.
    #[must_use]
    pub fn fetched(&self) -> Option<Fetched> {
        self.fetched
    }

    /// A token names a key that is not there.
    pub fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Whether an attempt should begin now.
    #[must_use]
    pub fn is_due(&self, now: UnixTime) -> bool {
        let pause = match self.failures {
            0 => 0,
            failures => {
                let doubled = 1_u64.checked_shl(failures - 1).unwrap_or(u64::MAX);
                ATTEMPTS_APART_SECS.saturating_mul(doubled).min(PAUSE_SECS_MAX)
            }
        };
        let has_passed =
            |secs: u64| self.attempted.is_none_or(|at| now < at || at.saturating_add(secs) <= now);
        let is_fresh = self.fetched.is_some_and(|fetched| fetched.is_fresh(now));
        !self.is_under_way
            && has_passed(ATTEMPTS_APART_SECS)
            && (self.is_wanted || !is_fresh && has_passed(pause))
    }

    /// An attempt begins. It ends with [`Refresh::succeeded`] or [`Refresh::failed`].
    pub fn begin(&mut self, now: UnixTime) {
        (self.attempted, self.is_wanted, self.is_under_way) = (Some(now), false, true);
    }

    /// The attempt brought keys.
    pub fn succeeded(&mut self, fetched: Fetched) {
        (self.fetched, self.failures, self.is_under_way) = (Some(fetched), 0, false);
    }

    /// The attempt brought nothing that can be used. What was fetched before stays.
    pub fn failed(&mut self) {
        (self.failures, self.is_under_way) = (self.failures.saturating_add(1), false);
    }

    /// Takes over what somebody else has fetched, if it is newer.
    pub fn learn(&mut self, fetched: Fetched) -> bool {
        let is_newer = self.fetched.is_none_or(|own| own.at < fetched.at);
        if is_newer {
            (self.fetched, self.failures) = (Some(fetched), 0);
            self.attempted = self.attempted.max(Some(fetched.at));
        }
        is_newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: u64 = 1_800_000_000;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    fn fetched(secs: u64, fresh_secs: u64) -> Fetched {
        Fetched { at: at(secs), fresh_secs }
    }

    /// One attempt at that time, which succeeds.
    fn fetch(refresh: &mut Refresh, secs: u64, fresh_secs: u64) {
        refresh.begin(at(secs));
        refresh.succeeded(fetched(secs, fresh_secs));
    }

    #[test]
    fn freshness_is_between_a_minute_and_a_day() {
        for (text, secs) in [
            (None, 600),
            (Some(""), 600),
            (Some("public"), 600),
            (Some("max-age=60"), 60),
            (Some("max-age=59"), 60),
            (Some("max-age=0"), 60),
            (Some("public, max-age=15, stale-while-revalidate=15"), 60),
            (Some("max-age=86400, private"), 86_400),
            (Some("max-age=86401"), 86_400),
            (Some("max-age=99999999999999999999999"), 60),
            (Some("Max-Age=\"3600\""), 3600),
            (Some("max-age=600, max-age=300"), 300),
            (Some("max-age=-1"), 60),
            (Some("max-age"), 60),
            (Some("no-cache"), 60),
            (Some("no-store, max-age=3600"), 60),
            (Some("s-maxage=7, must-revalidate"), 600),
        ] {
            assert_eq!(fresh_secs(text), secs, "{text:?}");
        }
    }

    #[test]
    fn the_first_attempt_is_due_at_once_and_the_next_when_keys_are_not_fresh() {
        let mut refresh = Refresh::default();
        assert!(refresh.is_due(at(T)));
        fetch(&mut refresh, T, 300);
        assert!(!refresh.is_due(at(T + 299)));
        assert!(refresh.is_due(at(T + 300)));
    }

    #[test]
    fn an_unknown_key_is_asked_for_once_in_thirty_seconds() {
        let mut refresh = Refresh::default();
        fetch(&mut refresh, T, 3600);
        refresh.want();
        assert!(!refresh.is_due(at(T + 29)));
        assert!(refresh.is_due(at(T + 30)));
        fetch(&mut refresh, T + 30, 3600);
        assert!(!refresh.is_due(at(T + 3000)), "it is asked for once, not for ever");
        refresh.want();
        refresh.begin(at(T + 3000));
        refresh.failed();
        refresh.want();
        assert!(!refresh.is_due(at(T + 3029)));
        assert!(refresh.is_due(at(T + 3030)));
    }

    #[test]
    fn attempts_that_fail_come_at_growing_distances() {
        let mut refresh = Refresh::default();
        let mut now = T;
        for pause in [30, 60, 120, 240, 480, 600, 600, 600] {
            refresh.begin(at(now));
            refresh.failed();
            assert!(!refresh.is_due(at(now + pause - 1)), "{pause}");
            assert!(refresh.is_due(at(now + pause)), "{pause}");
            now += pause;
        }
        fetch(&mut refresh, now, 60);
        refresh.begin(at(now + 60));
        refresh.failed();
        assert!(refresh.is_due(at(now + 90)), "the count begins anew after a success");
    }

    #[test]
    fn a_failure_while_keys_are_fresh_waits_until_they_are_not() {
        let mut refresh = Refresh::default();
        fetch(&mut refresh, T, 3600);
        refresh.want();
        refresh.begin(at(T + 40));
        refresh.failed();
        assert!(!refresh.is_due(at(T + 3599)));
        assert!(refresh.is_due(at(T + 3600)));
    }

    #[test]
    fn one_attempt_at_a_time() {
        let mut refresh = Refresh::default();
        refresh.begin(at(T));
        refresh.want();
        assert!(!refresh.is_due(at(T + 1_000_000)));
        refresh.failed();
        assert!(refresh.is_due(at(T + 1_000_000)));
    }

    #[test]
    fn keys_serve_for_as_long_as_they_are_kept_and_no_second_longer() {
        let kept = KEPT_DEFAULT;
        assert_eq!(fetched(T, 300).good_until(kept), at(T + 300 + 86_400));
        assert_eq!(fetched(T, 1).good_until(Duration::from_secs(0)), at(T + 60));
        assert_eq!(fetched(u64::MAX, 1).good_until(kept), at(u64::MAX));
        assert_eq!(fetched(T, u64::MAX).fresh_until(), at(T + 86_400), "a file may say anything");
    }

    #[test]
    fn a_restart_goes_on_where_the_service_was() {
        let refresh = Refresh::resumed(Some(fetched(T, 300)));
        assert!(!refresh.is_due(at(T + 299)));
        assert!(refresh.is_due(at(T + 300)));
        let mut refresh = Refresh::resumed(Some(fetched(T, 300)));
        refresh.want();
        assert!(!refresh.is_due(at(T + 29)), "a restart is no way around the distance");
        assert!(Refresh::resumed(None).is_due(at(T)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_the_fetching() {
        let mut refresh = Refresh::default();
        fetch(&mut refresh, T, 86_400);
        assert!(refresh.is_due(at(T - 1)));
        refresh.begin(at(T - 1));
        refresh.failed();
        assert!(refresh.is_due(at(T + 29)) || refresh.is_due(at(T - 2)));
    }

    #[test]
    fn only_newer_keys_are_learned() {
        let mut refresh = Refresh::default();
        assert!(refresh.learn(fetched(T, 60)));
        assert!(!refresh.learn(fetched(T, 600)));
        assert!(!refresh.learn(fetched(T - 1, 600)));
        assert_eq!(refresh.fetched(), Some(fetched(T, 60)));
        assert!(refresh.learn(fetched(T + 1, 600)));
        assert!(!refresh.is_due(at(T + 600)));
    }

    proptest! {
        /// Whatever happens, and whenever: between the beginnings of two attempts lie thirty seconds.
        #[test]
        fn attempts_never_crowd(steps in prop::collection::vec((0..4_u8, 0..200_u64), 1..60)) {
            let (mut refresh, mut now, mut last) = (Refresh::default(), T, None);
            for (step, secs) in steps {
                now += secs;
                match step {
                    0 => refresh.want(),
                    step if refresh.is_due(at(now)) => {
                        prop_assert!(last.is_none_or(|last| last + ATTEMPTS_APART_SECS <= now));
                        last = Some(now);
                        refresh.begin(at(now));
                        match step {
                            1 => refresh.failed(),
                            _ => refresh.succeeded(fetched(now, secs)),
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
