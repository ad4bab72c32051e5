//! The decision: may this request have a license, and on which terms?
//!
//! Judged in a fixed order, the first rule that fails is the reason: the request's kind, then token
//! against title, policy, region, device, tracks, windows. [`scope()`](crate::domain::scope::scope)
//! has found the title before.

use std::collections::BTreeSet;

use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;
use reelkey_client::time::UnixTime;

use crate::domain::changes::Changes;
use crate::domain::content::ContentId;
use crate::domain::denial::{Denial, listed};
use crate::domain::entitlement::Entitlement;
use crate::domain::policy::{Policy, TrackRule};
use crate::domain::refusal::Refusal;
use crate::domain::region::Region;
use crate::domain::security_level::SecurityLevel;
use crate::domain::track::TrackType;

/// The most keys of one license.
pub const KEYS_MAX: usize = 256;

/// What the device asks for, as far as the rules care.
#[derive(Clone, Debug)]
pub struct Request {
    /// First, again or back.
    pub request_type: RequestType,
    /// To play or to keep.
    pub session_type: SessionType,
    /// The named keys that the token permits; empty for the whole title.
    pub kids: BTreeSet<KeyId>,
    /// What the service knows the device to be.
    pub device_level: SecurityLevel,
}

/// A title as the store has it.
#[derive(Clone, Debug)]
pub struct Title {
    /// Its name.
    pub content: ContentId,
    /// Its policies by name, the first for tokens that name none.
    pub policies: Vec<String>,
    /// Its keys.
    pub keys: Vec<TitleKey>,
}

/// A key of a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TitleKey {
    /// Its identifier.
    pub kid: KeyId,
    /// What it encrypts, if that was said.
    pub track: Option<TrackType>,
    /// Whether it is still given out.
    pub active: bool,
}

/// The answer.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Yes, on these terms, once these changes are made.
    Grant(Terms, Changes),
    /// No, by this rule.
    Refuse(Denial),
}

/// What is granted.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The title.
    pub content: ContentId,
    /// The policy that grants it.
    pub policy_id: String,
    /// Where, as the token said.
    pub region: Option<Region>,
    /// From when.
    pub not_before: UnixTime,
    /// Until when, exclusive; later than `not_before`.
    pub expires: UnixTime,
    /// One license's life under the policy, in seconds.
    pub license_duration_secs: u64,
    /// The keys, each with what the policy requires for it. Not empty.
    pub tracks: Vec<GrantedTrack>,
}

/// One granted key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantedTrack {
    /// Its identifier.
    pub kid: KeyId,
    /// What it encrypts.
    pub track: Option<TrackType>,
    /// What the policy requires for it.
    pub rule: TrackRule,
}

/// A title that the token is for: what of it is permitted, and by which policy to judge. Made by
/// [`authorize`] alone, so that no policy is asked before.
#[derive(Clone, Debug)]
pub struct Authorized<'a> {
    title: &'a Title,
    keys: Vec<TitleKey>,
    policy_id: &'a str,
}

impl<'a> Authorized<'a> {
    /// The policy to judge by.
    #[must_use]
    pub fn policy_id(&self) -> &'a str {
        self.policy_id
    }
}

/// Judges the token against the title, and picks the policy.
///
/// # Errors
/// [`Refusal::NotAuthorized`] where no key of the title is permitted, or the token names a policy that the title does not have;
/// [`Refusal::KeyNotFound`] where the keys are retired, or there are none.
pub fn authorize<'a>(
    request: &Request,
    title: &'a Title,
    token: &Entitlement,
) -> Result<Authorized<'a>, Denial> {
    let keys = permitted_keys(request, title, token)?;
    let mut names = title.policies.iter();
    let chosen = match &token.policy_id {
        None => names.next(),
        Some(wanted) => names.find(|name| *name == wanted),
    };
    let policy_id = chosen.ok_or_else(|| {
        let named = token.policy_id.clone().unwrap_or_default();
        Denial::new(Refusal::NotAuthorized, "policy_id", listed(&title.policies), named)
    })?;
    Ok(Authorized { title, keys, policy_id })
}

/// Decides by `policy`, which has to be the one that [`authorize`] picked.
#[must_use]
pub fn decide(
    request: &Request,
    authorized: &Authorized<'_>,
    policy: &Policy,
    token: &Entitlement,
    now: UnixTime,
) -> Decision {
    match judge(request, authorized, policy, token, now) {
        Ok(terms) => Decision::Grant(terms, Changes {}),
        Err(denial) => Decision::Refuse(denial),
    }
}

fn judge(
    request: &Request,
    authorized: &Authorized<'_>,
    policy: &Policy,
    token: &Entitlement,
    now: UnixTime,
) -> Result<Terms, Denial> {
    judge_use(request, policy, token)?;
    judge_region(policy, token, now)?;
    judge_device(request, policy, token)?;
    let tracks = judge_tracks(request, policy, &authorized.keys)?;
    Ok(Terms {
        content: authorized.title.content.clone(),
        policy_id: policy.name.clone(),
        region: token.region.clone(),
        not_before: now,
        expires: judge_windows(policy, token, now)?,
        license_duration_secs: policy.license_duration.as_secs(),
        tracks,
    })
}

/// The kinds of request that no license answers yet.
///
/// # Errors
/// [`Refusal::RenewalNotAllowed`] for a renewal or a release.
pub fn judge_kind(request_type: RequestType) -> Result<(), Denial> {
    match request_type {
        RequestType::New => Ok(()),
        other @ (RequestType::Renewal | RequestType::Release) => {
            let actual = format!("{other:?}").to_uppercase();
            Err(Denial::new(Refusal::RenewalNotAllowed, "request_type", "NEW", actual))
        }
    }
}

/// Every active key of the title that the token permits: a player that named one needs the others.
fn permitted_keys(
    request: &Request,
    title: &Title,
    token: &Entitlement,
) -> Result<Vec<TitleKey>, Denial> {
    let permitted = |key: &&TitleKey| token.permits_key(key.kid, &title.content);
    // A token that names keys is for nothing of a title that has none: not even that it is there.
    let nothing_named = title.keys.is_empty() && token.kids.is_none();
    if !nothing_named && title.keys.iter().find(permitted).is_none() {
        let keys = title.keys.iter().map(|key| key.kid);
        let allowed = listed(token.kids.iter().flatten());
        return Err(Denial::new(Refusal::NotAuthorized, "authorized_kids", allowed, listed(keys)));
    }
    let active: Vec<_> =
        title.keys.iter().filter(permitted).filter(|key| key.active).copied().collect();
    let named_left = active.iter().any(|key| request.kids.contains(&key.kid));
    if active.is_empty() || !(request.kids.is_empty() || named_left) {
        let actual = match title.keys.len() {
            0 => "the content has no keys".into(),
            keys => format!("{} of {keys} keys are active", active.len()),
        };
        return Err(Denial::new(Refusal::KeyNotFound, "keys", "an active key", actual));
    }
    Ok(active)
}

fn judge_use(request: &Request, policy: &Policy, token: &Entitlement) -> Result<(), Denial> {
    if !policy.required_amr.iter().all(|required| token.amr.contains(required)) {
        let (expected, actual) = (listed(&policy.required_amr), listed(&token.amr));
        return Err(Denial::new(Refusal::AmrRequired, "required_amr", expected, actual));
    }
    if !policy.can_play {
        return Err(Denial::new(Refusal::PlaybackNotAllowed, "can_play", "true", "false"));
    }
    match request.session_type {
        SessionType::Temporary => Ok(()),
        SessionType::PersistentLicense => Err(Denial::new(
            Refusal::PersistenceNotAllowed,
            "can_persist",
            "temporary",
            "persistent-license",
        )),
    }
}

fn judge_region(policy: &Policy, token: &Entitlement, now: UnixTime) -> Result<(), Denial> {
    let Some(rule) = &policy.region else { return Ok(()) };
    let Some(region) = &token.region else {
        return Err(Denial::new(Refusal::RegionDenied, "region", "a region in the token", "none"));
    };
    if rule.blocked.iter().any(|blocked| blocked.overlaps(region)) {
        let expected = format!("not {}", listed(&rule.blocked));
        return Err(Denial::new(
            Refusal::RegionDenied,
            "region.blocked_countries",
            expected,
            region.to_string(),
        ));
    }
    if !rule.allows(region) {
        return Err(Denial::new(
            Refusal::RegionDenied,
            "region.allowed_countries",
            listed(&rule.allowed),
            region.to_string(),
        ));
    }
    if let Some(blackout) = rule.blackouts(region).find(|blackout| blackout.covers(now)) {
        let expected = format!("until {}", blackout.until.as_secs());
        return Err(Denial::new(
            Refusal::Blackout,
            "region.blackout",
            expected,
            format!("{region} at {}", now.as_secs()),
        ));
    }
    Ok(())
}

fn judge_device(request: &Request, policy: &Policy, token: &Entitlement) -> Result<(), Denial> {
    if policy.device.require_binding && token.device.is_none() {
        let rule = "device.require_binding";
        return Err(Denial::new(Refusal::TokenNotBound, rule, "cnf in the token", "none"));
    }
    if policy.device.security_level > request.device_level {
        return Err(Denial::new(
            Refusal::SecurityLevel,
            "device.security_level",
            policy.device.security_level.as_str(),
            request.device_level.as_str(),
        ));
    }
    Ok(())
}

/// Drops what the policy does not allow on this device. Something has to be left of what was named.
fn judge_tracks(
    request: &Request,
    policy: &Policy,
    keys: &[TitleKey],
) -> Result<Vec<GrantedTrack>, Denial> {
    let named = |kid: &KeyId| request.kids.is_empty() || request.kids.contains(kid);
    let allowed: Vec<_> = keys.iter().filter(|key| policy.allows(key.track)).collect();
    if !allowed.iter().any(|key| named(&key.kid)) {
        let allowed = listed(policy.tracks.iter().flatten());
        return Err(Denial::new(Refusal::PlaybackNotAllowed, "tracks", allowed, tracks_of(keys)));
    }
    let with_rule = allowed.into_iter().map(|key| {
        let rule = policy.track_rule(key.track);
        GrantedTrack { kid: key.kid, track: key.track, rule }
    });
    let mut tracks: Vec<_> = with_rule
        .filter(|track| track.rule.security_level.is_none_or(|least| least <= request.device_level))
        .collect();
    if !tracks.iter().any(|track| named(&track.kid)) {
        return Err(Denial::new(
            Refusal::SecurityLevel,
            "track.security_level",
            "a track that this device may have",
            request.device_level.as_str(),
        ));
    }
    // Where a title has more keys than a license holds, what was named goes first.
    tracks.sort_by_key(|track| (!named(&track.kid), track.track, track.kid));
    tracks.truncate(KEYS_MAX);
    Ok(tracks)
}

/// The track types of keys, as a person reads them.
fn tracks_of(keys: &[TitleKey]) -> String {
    listed(keys.iter().map(|key| key.track.map_or("(none)", TrackType::as_str)))
}

/// The end of the license, if there is any time left.
fn judge_windows(policy: &Policy, token: &Entitlement, now: UnixTime) -> Result<UnixTime, Denial> {
    let at = |time: UnixTime| time.as_secs().to_string();
    if let Some(from) = policy.available_from.filter(|from| now < *from) {
        let refusal = Refusal::NotYetAvailable;
        return Err(Denial::new(refusal, "available_from", at(from), at(now)));
    }
    let last = [policy.available_until, token.license_not_after].into_iter().flatten().min();
    if let Some(last) = last.filter(|last| *last <= now) {
        let is_policy = policy.available_until == Some(last);
        let rule = if is_policy { "available_until" } else { "license_not_after" };
        return Err(Denial::new(Refusal::NoLongerAvailable, rule, at(last), at(now)));
    }
    let life = now.saturating_add(policy.license_duration.as_secs());
    let blackout = match (&policy.region, &token.region) {
        (Some(rule), Some(region)) => {
            rule.blackouts(region).map(|blackout| blackout.from).filter(|from| *from > now).min()
        }
        _ => None,
    };
    Ok([last, blackout].into_iter().flatten().fold(life, UnixTime::min))
}
