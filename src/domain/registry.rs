//! What an account or an operator changes in what is remembered: devices that come and go, licenses that are withdrawn,
//! sessions that end.

use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::domain::changes::Changes;
use crate::domain::past::{Device, DeviceStatus, EventKind, License, LicenseState, Slot, Usage};

/// A device as it introduces itself.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The device key's thumbprint.
    pub jkt: Thumbprint,
    /// Its name.
    pub name: Option<String>,
    /// Its model.
    pub model: Option<String>,
}

/// The device as one of the account's, without a license so far. A revoked one stays revoked.
#[must_use]
pub fn enroll(known: Option<&Device>, new: &Introduction, now: UnixTime) -> Device {
    match known {
        Some(known) if known.status != DeviceStatus::Removed => Device {
            name: new.name.clone().or_else(|| known.name.clone()),
            model: new.model.clone().or_else(|| known.model.clone()),
            ..known.clone()
        },
        _ => Device {
            jkt: new.jkt,
            name: new.name.clone(),
            model: new.model.clone(),
            place: known.and_then(|known| known.place),
            placed_at: known.and_then(|known| known.place).map(|_| now),
            registered_at: now,
            last_seen_at: now,
            status: DeviceStatus::Active,
            status_since: now,
        },
    }
}

/// The device with another status from now on. `None` if it has that status already.
#[must_use]
pub fn with_status(device: &Device, status: DeviceStatus, now: UnixTime) -> Option<Device> {
    let is_other = device.status != status;
    is_other.then(|| Device { status, status_since: now, ..device.clone() })
}

/// Withdraws a license, and bars others for the same content and entitlement. Its slot is free at once.
#[must_use]
pub fn revoke(
    license: &License,
    usage: Option<&Usage>,
    slot: Option<&Slot>,
    now: UnixTime,
) -> Changes {
    let mut changes = Changes::default();
    if license.state != LicenseState::Revoked {
        let mut revoked = License { state: LicenseState::Revoked, ..license.clone() };
        revoked.note(EventKind::Revoked, now);
        changes.licenses.push(revoked);
    }
    let none = || Usage::none(license.content.clone(), license.entitlement_id.clone());
    let usage = usage.cloned().unwrap_or_else(none);
    if !usage.barred {
        changes.usage = Some(Usage { barred: true, ..usage });
    }
    changes.slot = free(slot, now);
    changes
}

/// Undoes [`revoke`]. A license that had ended otherwise, or that its device gave back meanwhile, does not live again.
#[must_use]
pub fn restore(license: &License, usage: Option<&Usage>, now: UnixTime) -> Changes {
    let mut changes = Changes::default();
    if license.state == LicenseState::Revoked {
        let state = if license.has(EventKind::Returned) {
            LicenseState::Returned
        } else if license.has(EventKind::Ended) {
            LicenseState::Ended
        } else {
            LicenseState::Active
        };
        let mut restored = License { state, ..license.clone() };
        restored.note(EventKind::Restored, now);
        changes.licenses.push(restored);
    }
    changes.usage =
        usage.filter(|usage| usage.barred).map(|usage| Usage { barred: false, ..usage.clone() });
    changes
}

/// Ends a session: its license is not renewed any more, and its slot is free.
#[must_use]
pub fn end(license: &License, slot: Option<&Slot>, now: UnixTime) -> Changes {
    let mut changes = Changes::default();
    if license.state == LicenseState::Active {
        let mut ended = License { state: LicenseState::Ended, ..license.clone() };
        ended.note(EventKind::Ended, now);
        changes.licenses.push(ended);
    }
    changes.slot = free(slot, now);
    changes
}

fn free(slot: Option<&Slot>, now: UnixTime) -> Option<Slot> {
    let taken = slot.filter(|slot| slot.is_taken(now));
    taken.map(|slot| Slot { until: now, ..slot.clone() })
}
