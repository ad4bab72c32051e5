//! Streams at once: which slot a session keeps or takes.
//!
//! A slot is a device's, and it lives as long as the device's license and a grace period. It is taken by its number, never by
//! counting: of many requests for the last slot, the store lets one have it.

use reelkey_client::time::UnixTime;

use crate::domain::content::ContentId;
use crate::domain::denial::Denial;
use crate::domain::past::{LicenseId, Slot};
use crate::domain::policy::{ConcurrencyMode, ConcurrencyRule};
use crate::domain::refusal::Refusal;
use crate::domain::request::Asker;
use crate::domain::steps::Steps;

/// The session that wants a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session<'a> {
    pub(super) asker: &'a Asker,
    /// The license that is granted.
    pub(super) license: LicenseId,
    pub(super) content: &'a ContentId,
    /// Its end.
    pub(super) expires: UnixTime,
    /// A renewal stops no other session.
    pub(super) is_renewal: bool,
    pub(super) now: UnixTime,
}

/// The slot that the session has from now on.
///
/// # Errors
/// All slots are taken, and none may be taken over.
pub(super) fn judge(
    session: Session<'_>,
    rule: ConcurrencyRule,
    slots: &[Slot],
    steps: &mut Steps,
) -> Result<Slot, Denial> {
    let now = session.now;
    let limit = rule.limit;
    let counted = || slots.iter().filter(move |slot| slot.number < limit);
    let taken = || counted().filter(|slot| slot.is_taken(now));
    let is_own = |slot: &&Slot| slot.device == session.asker.device;
    let grace = rule.grace_period.unwrap_or_default().as_secs();
    let fresh = |number: u16| Slot {
        number,
        license: session.license,
        device: session.asker.device,
        content: session.content.clone(),
        since: now,
        until: session.expires.saturating_add(grace),
        stopped: None,
    };
    let free = || (0..limit).find(|number| taken().all(|slot| slot.number != *number));
    let chosen = if let Some(own) = taken().find(is_own) {
        let new = fresh(own.number);
        let until = own.until.max(new.until);
        Some(Slot { since: own.since, until, stopped: own.stopped, ..new })
    } else if let Some(number) = free() {
        Some(fresh(number))
    } else {
        let victim = victim(session, rule.mode, &taken().collect::<Vec<_>>());
        let stopped = |victim: &Slot| Some((victim.device, victim.until));
        victim.map(|victim| Slot { stopped: stopped(victim), ..fresh(victim.number) })
    };
    let others = taken().filter(|slot| !is_own(slot)).count();
    let (expected, actual) = (format!("a free slot of {limit}"), format!("{others} taken"));
    let (refusal, rule) = (Refusal::ConcurrencyLimit, "concurrency.limit");
    match chosen {
        Some(slot) => steps.check(true, refusal, rule, expected, actual).map(|()| slot),
        None => Err(steps.broken(refusal, rule, expected, actual)),
    }
}

/// The session that ends in favour of this one.
fn victim<'a>(session: Session<'_>, mode: ConcurrencyMode, taken: &[&'a Slot]) -> Option<&'a Slot> {
    if let Some(code) = session.asker.end_session {
        return taken.iter().copied().find(|slot| slot.license == code);
    }
    let was_stopped = taken.iter().any(|slot| {
        let stopped = slot.stopped.filter(|(_, until)| session.now < *until);
        stopped.is_some_and(|(device, _)| device == session.asker.device)
    });
    if session.is_renewal || was_stopped {
        return None;
    }
    let taken = taken.iter().copied();
    match mode {
        ConcurrencyMode::BlockNew => None,
        ConcurrencyMode::StopOldest => taken.min_by_key(|slot| (slot.since, slot.number)),
        ConcurrencyMode::StopNewest => taken.max_by_key(|slot| (slot.since, slot.number)),
    }
}
