//! The licenses of a device: whether one may still be renewed, and what is remembered of one that is granted.

use reelkey_client::exchange::request::SessionType;
use reelkey_client::time::UnixTime;

use crate::domain::content::ContentId;
use crate::domain::denial::Denial;
use crate::domain::entitlement::Entitlement;
use crate::domain::past::{Event, EventKind, License, LicenseId, LicenseState, Past};
use crate::domain::policy::Policy;
use crate::domain::refusal::Refusal;
use crate::domain::renewal::Renewed;
use crate::domain::request::Asker;
use crate::domain::steps::Steps;

/// The most licenses of a device that are valid at the same time. The next one ends the oldest for playing now.
pub(super) const LIVE_MAX: usize = 32;

/// The most of them that are kept: a viewer has paid for them, so none is ended by another one, and one for playing now always
/// finds room.
const KEPT_MAX: usize = LIVE_MAX - 1;

/// The request for a license.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) asker: &'a Asker,
    pub(super) session_type: SessionType,
    /// Since when the device is one of the account's, if devices are remembered: what it had before it was removed has ended.
    pub(super) registered_at: Option<UnixTime>,
    pub(super) now: UnixTime,
}

/// Finds the license that the request is about: the one that it renews, or the one that it was granted before. Judges whether
/// that one can still be given.
///
/// # Errors
/// The license was returned, revoked or ended, its device was removed, or it has ended for longer than the policy allows. A new
/// one is to be kept, and the device keeps as many as it may.
pub(super) fn judge(
    asking: Asking<'_>,
    policy: &Policy,
    past: &Past,
    steps: &mut Steps,
) -> Result<Option<Renewed>, Denial> {
    let Asking { asker, session_type, registered_at, now } = asking;
    let id = asker.renews.unwrap_or(asker.request);
    let Some(license) = past.licenses.iter().find(|license| license.id == id) else {
        let (refusal, rule) = (Refusal::NotAuthorized, "license");
        return match asker.renews {
            None => judge_new(asking, past, steps).map(|()| None),
            Some(_) => Err(steps.broken(refusal, rule, "a license of this device", "unknown")),
        };
    };
    let was_removed = registered_at.is_some_and(|since| license.issued_at < since);
    let (is_kept, refusal, actual) = match license.state {
        LicenseState::Revoked => (false, Refusal::LicenseRevoked, "revoked"),
        LicenseState::Returned => (false, Refusal::LicenseExpired, "returned"),
        LicenseState::Ended => (false, Refusal::LicenseExpired, "ended"),
        LicenseState::Active if was_removed => {
            (false, Refusal::LicenseExpired, "its device was removed meanwhile")
        }
        LicenseState::Active => (true, Refusal::LicenseExpired, "active"),
    };
    steps.check(is_kept, refusal, "license", "active", actual)?;
    let is_same = license.session_type == session_type;
    let (expected, given) = (name(license.session_type), name(session_type));
    steps.check(is_same, Refusal::BadRequest, "session_type", expected, given)?;
    if asker.renews.is_some() {
        let recovery = policy.renewal.recovery.unwrap_or_default().as_secs();
        let last = license.expires_at.saturating_add(recovery);
        steps.check(
            now < last,
            Refusal::LicenseExpired,
            "license",
            format_args!("before {last}"),
            now,
        )?;
    }
    Ok(Some(Renewed { license: license.clone(), is_renewal: asker.renews.is_some() }))
}

/// Judges whether the device may have one more license.
fn judge_new(asking: Asking<'_>, past: &Past, steps: &mut Steps) -> Result<(), Denial> {
    if asking.session_type != SessionType::PersistentLicense {
        return Ok(());
    }
    let live = past.licenses.iter().filter(|license| license.is_live(asking.now));
    let kept = live.filter(|license| is_kept(license)).count();
    let (refusal, rule) = (Refusal::PersistenceNotAllowed, "license");
    let (expected, actual) = (format!("at most {KEPT_MAX} kept"), format!("one more than {kept}"));
    steps.check(kept < KEPT_MAX, refusal, rule, expected, actual)
}

fn is_kept(license: &License) -> bool {
    license.session_type == SessionType::PersistentLicense
}

fn name(session_type: SessionType) -> &'static str {
    match session_type {
        SessionType::Temporary => "temporary",
        SessionType::PersistentLicense => "persistent-license",
    }
}

/// A license that is about to be granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granting<'a> {
    pub(super) asker: &'a Asker,
    pub(super) id: LicenseId,
    pub(super) counter: u64,
    pub(super) content: &'a ContentId,
    pub(super) policy: &'a Policy,
    pub(super) token: &'a Entitlement,
    pub(super) session_type: SessionType,
    pub(super) expires: UnixTime,
    pub(super) now: UnixTime,
}

/// What is to be remembered of a license, and of one that it ends.
pub(super) fn remember(
    granting: Granting<'_>,
    before: Option<Renewed>,
    past: &Past,
) -> Vec<License> {
    let Granting { asker, now, expires, .. } = granting;
    let mut all = Vec::new();
    let is_new = before.is_none();
    let mut license = match before {
        Some(Renewed { license, is_renewal: true }) => License {
            counter: granting.counter,
            renewed_by: Some(asker.request),
            expires_at: expires,
            ..license
        },
        // The same request came again. The license may have been renewed meanwhile.
        Some(Renewed { license, is_renewal: false }) => {
            License { expires_at: license.expires_at.max(expires), ..license }
        }
        None => License {
            id: granting.id,
            sub: granting.token.account.sub.clone(),
            device: asker.device,
            content: granting.content.clone(),
            entitlement_id: granting.token.entitlement_id.clone(),
            policy_id: String::new(),
            session_type: granting.session_type,
            issued_at: now,
            updated_at: now,
            expires_at: expires,
            counter: 0,
            renewed_by: None,
            state: LicenseState::Active,
            events: vec![Event { kind: EventKind::Issued, at: now }],
        },
    };
    license.updated_at = now;
    license.policy_id.clone_from(&granting.policy.name);
    let played_at = asker.first_play_secs.and_then(|secs| license.played_at(secs, now));
    if let Some(played_at) = played_at {
        license.note_first_play(played_at, now);
    }
    all.push(license);
    if is_new {
        all.extend(surplus(past, now));
    }
    all
}

/// The license that a new one ends, if the device has too many: its oldest for playing now.
fn surplus(past: &Past, now: UnixTime) -> Option<License> {
    let live: Vec<_> = past.licenses.iter().filter(|license| license.is_live(now)).collect();
    if live.len() < LIVE_MAX {
        return None;
    }
    let playing = live.into_iter().filter(|license| !is_kept(license));
    let oldest = playing.min_by_key(|one| (one.issued_at, one.id))?;
    let mut ended = License { state: LicenseState::Ended, ..oldest.clone() };
    ended.note(EventKind::Ended, now);
    Some(ended)
}
