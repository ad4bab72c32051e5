//! Releases: what is remembered of a license that a device gives back.
//!
//! A release is answered whatever became of policy or device, and as often as it comes.

use reelkey_client::exchange::request::SessionType;
use reelkey_client::time::UnixTime;

use crate::domain::changes::Changes;
use crate::domain::denial::Denial;
use crate::domain::past::{EventKind, License, LicenseState, Slot, Usage};
use crate::domain::refusal::Refusal;

/// How far before the license's start the request may say that it was made, in seconds: pages sign it ahead.
pub const AHEAD_SECS: u64 = 120;

/// What a release says.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// When it was signed, by the device's clock.
    pub signed_at: UnixTime,
    /// How long after the license was first granted the title was first played, in seconds, as the device reports.
    pub first_play_secs: Option<u64>,
    /// Now.
    pub now: UnixTime,
}

/// Gives a license back. `usage` is that of its content, and `slot` the one that its device has.
///
/// # Errors
/// The request was signed before the license, or reports a first play in the future.
pub fn release(
    release: Release,
    license: &License,
    usage: Option<&Usage>,
    slot: Option<&Slot>,
) -> Result<Changes, Denial> {
    let Release { signed_at, first_play_secs, now } = release;
    let first = license.issued_at.saturating_sub(AHEAD_SECS);
    if signed_at < first {
        let expected = format!("not before {first}");
        return Err(Denial::new(Refusal::RequestStale, "iat", expected, signed_at.to_string()));
    }
    let mut changes = Changes::default();
    let played_at = match first_play_secs {
        None => None,
        Some(secs) => Some(license.played_at(secs, now).ok_or_else(|| {
            let (rule, expected) = ("first_play", "not later than now");
            Denial::new(Refusal::BadRequest, rule, expected, secs.to_string())
        })?),
    };
    // One that was revoked stays so.
    if license.state == LicenseState::Returned || license.has(EventKind::Returned) {
        return Ok(changes);
    }
    let mut returned = license.clone();
    if let Some(played_at) = played_at {
        returned.note_first_play(played_at, now);
    }
    if license.state != LicenseState::Revoked {
        returned.state = LicenseState::Returned;
    }
    returned.note(EventKind::Returned, now);
    if let (SessionType::PersistentLicense, Some(usage)) = (license.session_type, usage) {
        let mut used = usage.clone();
        match played_at {
            Some(at) => used.played_at = Some(used.played_at.map_or(at, |first| first.min(at))),
            None => used.keepers.retain(|keeper| *keeper != license.device),
        }
        changes.usage = (used != *usage).then_some(used);
    }
    changes.licenses.push(returned);
    let own = slot.filter(|slot| slot.license == license.id);
    changes.slot = own.map(|slot| Slot { until: now, ..slot.clone() });
    Ok(changes)
}
