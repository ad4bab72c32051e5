//! Streams at once: which slot a session keeps or takes.
//!
//! A slot is a device's, and it lives as long as the device's license and a grace period. It is taken by its number, never by
//! counting: of many requests for the last slot, the store lets one have it.

use reelkey_client::strict::jwk::Thumbprint;
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
    let (now, limit) = (session.now, rule.limit);
    let taken: Vec<_> =
        slots.iter().filter(|slot| slot.number < limit && slot.is_taken(now)).collect();
    let is_own = |slot: &Slot| slot.device == session.asker.device;
    let own = taken.iter().filter(|slot| is_own(slot)).min_by_key(|slot| slot.number);
    let free = || (0..limit).find(|number| taken.iter().all(|slot| slot.number != *number));
    let chosen = if let Some(own) = own {
        let slot = fresh(session, rule, slots, own.number);
        Some(Slot { since: own.since, until: own.until.max(slot.until), ..slot })
    } else if let Some(number) = free() {
        Some(fresh(session, rule, slots, number))
    } else {
        let victim = victim(session, rule.mode, slots, &taken);
        victim.map(|victim| stopping(fresh(session, rule, slots, victim.number), victim))
    };
    let others = taken.iter().filter(|slot| !is_own(slot)).count();
    let (expected, actual) = (format!("a free slot of {limit}"), format!("{others} taken"));
    let (refusal, rule) = (Refusal::ConcurrencyLimit, "concurrency.limit");
    match chosen {
        Some(slot) => steps.check(true, refusal, rule, expected, actual).map(|()| slot),
        None => Err(steps.broken(refusal, rule, expected, actual)),
    }
}

/// The slot with this number, if the session begins in it now. What it knows of stopped devices stays.
fn fresh(session: Session<'_>, rule: ConcurrencyRule, slots: &[Slot], number: u16) -> Slot {
    let grace = rule.grace_period.unwrap_or_default().as_secs();
    let before = slots.iter().find(|slot| slot.number == number);
    let stopped = before.into_iter().flat_map(|slot| &slot.stopped).copied();
    let is_kept = |(device, until): &(Thumbprint, UnixTime)| {
        session.now < *until && *device != session.asker.device
    };
    Slot {
        number,
        license: session.license,
        device: session.asker.device,
        content: session.content.clone(),
        since: session.now,
        until: session.expires.saturating_add(grace),
        stopped: stopped.filter(is_kept).collect(),
    }
}

/// The slot, taken over from `victim`.
fn stopping(mut slot: Slot, victim: &Slot) -> Slot {
    slot.stopped.retain(|(device, _)| *device != victim.device);
    slot.stopped.push((victim.device, victim.until));
    if slot.stopped.len() > Slot::STOPPED_MAX {
        slot.stopped.sort_by_key(|(_, until)| std::cmp::Reverse(*until));
        slot.stopped.truncate(Slot::STOPPED_MAX);
    }
    slot
}

/// The session that ends in favour of this one: the one that the account names, or the one that the mode picks.
fn victim<'a>(
    session: Session<'_>,
    mode: ConcurrencyMode,
    slots: &[Slot],
    taken: &[&'a Slot],
) -> Option<&'a Slot> {
    if let Some(code) = session.asker.end_session {
        return taken.iter().copied().find(|slot| slot.license == code);
    }
    let was_stopped = slots
        .iter()
        .flat_map(|slot| &slot.stopped)
        .any(|(device, until)| *device == session.asker.device && session.now < *until);
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
