//! The windows of a grant: from when until when, and why it ends then.
//!
//! A window is `from` ≤ t < `until` everywhere. A rental begins with the first license and its end counts until playback has
//! begun; playback begins with the first license for playing now, or with the first play that a device reports.

use reelkey_client::exchange::request::SessionType;
use reelkey_client::time::UnixTime;

use crate::domain::denial::Denial;
use crate::domain::entitlement::Entitlement;
use crate::domain::past::Usage;
use crate::domain::policy::Policy;
use crate::domain::refusal::Refusal;
use crate::domain::region::Region;
use crate::domain::steps::Steps;

/// What the windows are about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// To play now, or to keep.
    pub(super) session_type: SessionType,
    /// Whether the device has had such a license before and did not return it unplayed.
    pub(super) is_second: bool,
    /// When the device says that the title was first played, if it says so.
    pub(super) played_at: Option<UnixTime>,
    /// Where the viewer is.
    pub(super) regions: &'a [Region],
    /// Now.
    pub(super) now: UnixTime,
}

/// The end of a license.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// The first moment after the license.
    pub(super) expires: UnixTime,
    /// The rule that sets it.
    pub(super) because: &'static str,
    /// Whether a renewal can be valid for longer.
    pub(super) can_move: bool,
}

/// The end of the license, if there is any time left. `usage` becomes what is known of the first uses then.
///
/// # Errors
/// The first window that is not open.
pub(super) fn judge(
    asked: Asked<'_>,
    policy: &Policy,
    token: &Entitlement,
    usage: &mut Usage,
    steps: &mut Steps,
) -> Result<End, Denial> {
    let now = asked.now;
    let is_kept = asked.session_type == SessionType::PersistentLicense;
    let mut ends = fixed_ends(asked, policy, token, steps)?;
    let bar = if usage.barred { "revoked" } else { "not revoked" };
    steps.check(!usage.barred, Refusal::LicenseRevoked, "entitlement", "not revoked", bar)?;
    ends.extend(uses(asked, policy, usage, steps)?);
    let (life, name) = match (is_kept, policy.persistent_duration) {
        (true, Some(life)) => (life, "persistent.license_duration"),
        _ => (policy.license_duration, "license_duration"),
    };
    let life = now.saturating_add(life.as_secs());
    // Of two equal ends the one counts that a renewal cannot move.
    let hard = ends.into_iter().min_by_key(|(end, _)| *end);
    Ok(match hard {
        Some((end, because)) if end <= life => End { expires: end, because, can_move: false },
        _ => End { expires: life, because: name, can_move: true },
    })
}

type Ends = Vec<(UnixTime, &'static str)>;

/// The ends that do not depend on what was used before.
fn fixed_ends(
    Asked { regions, now, .. }: Asked<'_>,
    policy: &Policy,
    token: &Entitlement,
    steps: &mut Steps,
) -> Result<Ends, Denial> {
    let mut ends = Ends::new();
    if let Some(from) = policy.available_from {
        steps.check(from <= now, Refusal::NotYetAvailable, "available_from", from, now)?;
    }
    let fixed = [
        (policy.available_until, "available_until"),
        (token.license_not_after, "license_not_after"),
    ];
    for (end, rule) in fixed.into_iter().filter_map(|(end, rule)| Some((end?, rule))) {
        steps.check(now < end, Refusal::NoLongerAvailable, rule, end, now)?;
        ends.push((end, rule));
    }
    if let Some(rule) = &policy.region {
        let coming = rule.blackouts(regions).map(|blackout| blackout.from);
        ends.extend(coming.filter(|from| now < *from).map(|from| (from, "region.blackout")));
    }
    Ok(ends)
}

/// The ends of rental and playback.
fn uses(
    asked: Asked<'_>,
    policy: &Policy,
    usage: &mut Usage,
    steps: &mut Steps,
) -> Result<Ends, Denial> {
    let (now, mut ends) = (asked.now, Ends::new());
    let is_kept = asked.session_type == SessionType::PersistentLicense;
    if let Some(played_at) = asked.played_at {
        usage.played_at = Some(usage.played_at.map_or(played_at, |first| first.min(played_at)));
    }
    let had_begun = usage.played_at.is_some();
    if let Some(rental) = policy.rental_duration {
        let end = usage.rented_at.unwrap_or(now).saturating_add(rental.as_secs());
        usage.rented_at.get_or_insert(now);
        let counts_always = is_kept || policy.playback_duration.is_none();
        if counts_always || !had_begun {
            steps.check(now < end, Refusal::RentalExpired, "rental_duration", end, now)?;
        }
        if counts_always {
            ends.push((end, "rental_duration"));
        }
    }
    if let Some(playback) = policy.playback_duration {
        if !is_kept || asked.is_second {
            usage.played_at.get_or_insert(now);
        }
        if let Some(begun) = usage.played_at {
            let end = begun.saturating_add(playback.as_secs());
            steps.check(now < end, Refusal::PlaybackExpired, "playback_duration", end, now)?;
            ends.push((end, "playback_duration"));
        }
    }
    Ok(ends)
}
