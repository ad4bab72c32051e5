//! What a player does when: renew, try again, play on, stop. Pure functions of seconds.
//!
//! Seconds are counted with a monotonic clock from the moment at which the license's request was sent.
//!
//! Deliberately absent: timers, and licenses that are kept for offline playback
//! ([`kept`](crate::exchange::kept)), which go by the wall clock.

use crate::exchange::license::License;

/// How long a player waits between two renewals under a policy that does not say.
pub const RETRY_SECS_DEFAULT: u64 = 30;

/// When a license is renewed and when it ends, in seconds since its request was sent.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/service.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use getrandom::SysRng;
/// # use reelkey_client::exchange::{Ask, DeviceKey, Jwks, SessionType};
/// # use reelkey_client::time::UnixTime;
/// use reelkey_client::exchange::schedule::{Renewals, Step};
///
/// # let device = DeviceKey::generate(&mut SysRng)?;
/// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
/// #     session_type: SessionType::Temporary, iat: UnixTime::from_secs(1_700_000_000) };
/// # let (body, pending) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
/// # let service = service::Service::new();
/// # let jwks = Jwks::parse(service.jwks().as_bytes())?;
/// # let license = pending.open(service.license(&body).as_bytes(), &jwks)?;
/// // It lives 600 s, is renewed after 240 s and every 30 s from then on, and recovers for 120 s.
/// let schedule = license.schedule();
/// assert_eq!(schedule.next_step(10, Renewals::None), Step::Play { until_secs: 240 });
/// assert_eq!(schedule.next_step(240, Renewals::None), Step::Renew);
/// // The player sent one after 240 s. No answer came.
/// let unanswered = Renewals::Unanswered { last_secs: 240 };
/// assert_eq!(schedule.next_step(241, unanswered), Step::Play { until_secs: 270 });
/// assert_eq!(schedule.next_step(650, unanswered), Step::Renew); // and plays on
/// assert_eq!(schedule.next_step(720, unanswered), Step::End);
/// // The service refused.
/// assert_eq!(schedule.next_step(650, Renewals::Refused), Step::End);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When the first renewal is due, if the license is to be renewed.
    renew_at_secs: Option<u64>,
    retry_secs: u64,
    ends_secs: u64,
    recovery_secs: u64,
}

/// What came of the renewals of this license so far. A renewed license begins with [`None`](Self::None).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewals {
    /// None was sent yet.
    None,
    /// None was answered. An error of the network is no answer, and no more is a status for which
    /// [`Problem::is_refusal`](crate::exchange::Problem::is_refusal) is false.
    Unanswered {
        /// When the last one was sent.
        last_secs: u64,
    },
    /// One was refused. None is sent any more, and the license ends when it says.
    Refused,
}

/// What a player does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Play, and ask again at this time at the latest.
    Play {
        /// In seconds since the request was sent.
        until_secs: u64,
    },
    /// Send a renewal now, and play meanwhile.
    Renew,
    /// Send a renewal now, and do not play before it is answered: the license is over, and the player did
    /// not ask in time, for example because it slept.
    RenewFirst,
    /// Stop playback. Only another license helps.
    End,
}

impl License {
    /// When this license is renewed and when it ends.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let (claims, policy) = (&self.claims, &self.claims.policy);
        let retry_secs = match policy.renewal_retry_interval {
            0 => RETRY_SECS_DEFAULT,
            secs => secs,
        };
        // A delay of 0 says that renewing cannot move the end.
        let is_renewed = policy.can_renew && policy.renewal_delay > 0;
        Schedule {
            renew_at_secs: is_renewed.then_some(policy.renewal_delay),
            retry_secs,
            ends_secs: claims.exp.saturating_sub(claims.iat),
            recovery_secs: policy.renewal_recovery_duration,
        }
    }
}

impl Schedule {
    /// What to do `elapsed_secs` after the license's request was sent.
    #[must_use]
    pub fn next_step(&self, elapsed_secs: u64, renewals: Renewals) -> Step {
        let ends_secs = self.plays_until_secs(renewals);
        let due_secs = self.renewal_due_secs(renewals);
        let is_due = due_secs.is_some_and(|due_secs| due_secs <= elapsed_secs);
        if elapsed_secs < ends_secs {
            let until_secs = due_secs.map_or(ends_secs, |due_secs| due_secs.min(ends_secs));
            return if is_due { Step::Renew } else { Step::Play { until_secs } };
        }
        let recovers_until_secs = self.ends_secs.saturating_add(self.recovery_secs);
        let is_answered = elapsed_secs < recovers_until_secs;
        if is_due && is_answered { Step::RenewFirst } else { Step::End }
    }

    /// When playback ends, exclusive, in seconds since the request was sent, if nothing else comes of the
    /// renewals.
    #[must_use]
    pub fn plays_until_secs(&self, renewals: Renewals) -> u64 {
        match renewals {
            Renewals::Unanswered { .. } if self.renew_at_secs.is_some() => {
                self.ends_secs.saturating_add(self.recovery_secs)
            }
            Renewals::None | Renewals::Unanswered { .. } | Renewals::Refused => self.ends_secs,
        }
    }

    /// When the next renewal is due, if one is.
    #[must_use]
    pub fn renewal_due_secs(&self, renewals: Renewals) -> Option<u64> {
        let first_secs = self.renew_at_secs?;
        match renewals {
            Renewals::None => Some(first_secs),
            Renewals::Unanswered { last_secs } => Some(last_secs.saturating_add(self.retry_secs)),
            Renewals::Refused => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule =
        Schedule { renew_at_secs: Some(240), retry_secs: 30, ends_secs: 600, recovery_secs: 120 };

    #[test]
    fn a_renewal_is_due_from_its_second_on() {
        let step = |elapsed| SCHEDULE.next_step(elapsed, Renewals::None);
        assert_eq!(step(0), Step::Play { until_secs: 240 });
        assert_eq!(step(239), Step::Play { until_secs: 240 });
        assert_eq!(step(240), Step::Renew);
        assert_eq!(step(599), Step::Renew);
    }

    #[test]
    fn an_unanswered_renewal_is_sent_again_after_the_interval() {
        let step =
            |elapsed, last_secs| SCHEDULE.next_step(elapsed, Renewals::Unanswered { last_secs });
        assert_eq!(step(240, 240), Step::Play { until_secs: 270 });
        assert_eq!(step(269, 240), Step::Play { until_secs: 270 });
        assert_eq!(step(270, 240), Step::Renew);
        // Beyond `exp`, for as long as the service answers, and no second longer.
        assert_eq!(step(600, 590), Step::Play { until_secs: 620 });
        assert_eq!(step(620, 590), Step::Renew);
        assert_eq!(step(719, 715), Step::Play { until_secs: 720 });
        assert_eq!(step(719, 600), Step::Renew);
        assert_eq!(step(720, 715), Step::End);
        assert_eq!(step(u64::MAX, 240), Step::End);
    }

    #[test]
    fn after_a_refusal_playback_ends_with_the_license() {
        let step = |elapsed| SCHEDULE.next_step(elapsed, Renewals::Refused);
        assert_eq!(step(240), Step::Play { until_secs: 600 });
        assert_eq!(step(599), Step::Play { until_secs: 600 });
        assert_eq!(step(600), Step::End);
    }

    #[test]
    fn a_player_that_slept_past_the_end_renews_before_it_plays() {
        let step = |elapsed| SCHEDULE.next_step(elapsed, Renewals::None);
        assert_eq!(step(599), Step::Renew);
        assert_eq!(step(600), Step::RenewFirst);
        assert_eq!(step(719), Step::RenewFirst);
        assert_eq!(step(720), Step::End);
    }

    #[test]
    fn a_license_that_is_not_renewed_ends_when_it_says() {
        let fixed = Schedule { renew_at_secs: None, ..SCHEDULE };
        for renewals in [Renewals::None, Renewals::Unanswered { last_secs: 1 }, Renewals::Refused] {
            assert_eq!(fixed.next_step(599, renewals), Step::Play { until_secs: 600 });
            assert_eq!(fixed.next_step(600, renewals), Step::End);
        }
    }

    #[test]
    fn without_recovery_nobody_plays_beyond_the_end() {
        let strict = Schedule { recovery_secs: 0, ..SCHEDULE };
        let unanswered = Renewals::Unanswered { last_secs: 590 };
        assert_eq!(strict.next_step(599, unanswered), Step::Play { until_secs: 600 });
        assert_eq!(strict.next_step(600, unanswered), Step::End);
        assert_eq!(strict.next_step(600, Renewals::None), Step::End);
    }

    #[test]
    fn times_near_the_greatest_number_do_not_wrap() {
        let long = Schedule { ends_secs: u64::MAX, ..SCHEDULE };
        let unanswered = Renewals::Unanswered { last_secs: u64::MAX };
        assert_eq!(long.plays_until_secs(unanswered), u64::MAX);
        assert_eq!(long.next_step(u64::MAX - 1, unanswered), Step::Play { until_secs: u64::MAX });
        assert_eq!(long.next_step(u64::MAX, unanswered), Step::End);
    }
}
