//! The decision: may this request have a license, and on which terms?
//!
//! The rules are checked in a fixed order, and the first that fails is the reason: the kind of request, then the token
//! against the content, policy, region, device, tracks, windows. [`scope()`](crate::domain::scope::scope) has found
//! the content before.

use std::collections::BTreeSet;

use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;
use reelkey_client::time::UnixTime;

use crate::domain::changes::Changes;
use crate::domain::content::ContentId;
use crate::domain::denial::{Denial, listed};
use crate::domain::entitlement::Entitlement;
use crate::domain::period;
use crate::domain::policy::{Policy, TrackRule};
use crate::domain::refusal::Refusal;
use crate::domain::region::Region;
use crate::domain::security_level::SecurityLevel;
use crate::domain::track::TrackType;

/// The most keys in one license.
pub const KEYS_MAX: usize = 256;

/// The request, as far as the rules need it.
#[derive(Clone, Debug)]
pub struct Request {
    /// New license, renewal or release.
    pub request_type: RequestType,
    /// To play now, or to keep for offline playback.
    pub session_type: SessionType,
    /// The named keys that the token permits. Empty if the request is for the whole content.
    pub kids: BTreeSet<KeyId>,
    /// The security level of the device, as far as the service knows.
    pub device_level: SecurityLevel,
    /// How the keys would be delivered.
    pub delivery: Delivery,
}

/// How granted keys are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Sealed to the device.
    Sealed,
    /// In the clear, as a JWK Set for a browser's ClearKey system.
    ClearKey,
    /// One key in the clear, for an HLS player (AES-128).
    HlsAes128,
}

/// A content and its keys, as the store has them.
#[derive(Clone, Debug)]
pub struct Title {
    /// Its content ID.
    pub content: ContentId,
    /// The names of its policies. The first applies to tokens that name none.
    pub policies: Vec<String>,
    /// Its keys.
    pub keys: Vec<TitleKey>,
}

/// A key of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TitleKey {
    /// Its KID.
    pub kid: KeyId,
    /// The track type that it encrypts, if known.
    pub track: Option<TrackType>,
    /// Whether it can still be granted.
    pub active: bool,
    /// The crypto period that it is for, if it changes with time.
    pub period: Option<u32>,
}

/// The result of the decision.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Granted on these terms, once these changes are committed.
    Grant(Terms, Changes),
    /// No, by this rule.
    Refuse(Denial),
}

/// The terms of a grant.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The content ID.
    pub content: ContentId,
    /// The policy that grants it.
    pub policy_id: String,
    /// The viewer's region, as the token said.
    pub region: Option<Region>,
    /// The start of the license.
    pub not_before: UnixTime,
    /// The end of the license, exclusive. Later than `not_before`.
    pub expires: UnixTime,
    /// The name of the rule that set `expires`, as a license says it.
    pub expires_because: &'static str,
    /// The lifetime of one license under the policy, in seconds.
    pub license_duration_secs: u64,
    /// The granted keys, each with the policy's requirements for it. Not empty.
    pub tracks: Vec<GrantedTrack>,
}

/// One granted key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantedTrack {
    /// Its KID.
    pub kid: KeyId,
    /// The track type that it encrypts.
    pub track: Option<TrackType>,
    /// The policy's requirements for it.
    pub rule: TrackRule,
    /// The crypto period that it is for.
    pub period: Option<u32>,
}

/// A content that the token permits, its permitted keys, and the policy that applies. Only [`authorize`] makes it, so
/// no policy is applied before authorization.
#[derive(Clone, Debug)]
pub struct Authorized<'a> {
    title: &'a Title,
    keys: Vec<TitleKey>,
    policy_id: &'a str,
}

impl<'a> Authorized<'a> {
    /// The name of the policy that applies.
    #[must_use]
    pub fn policy_id(&self) -> &'a str {
        self.policy_id
    }
}

/// Checks the token against the content, and picks the policy.
///
/// # Errors
/// [`Refusal::NotAuthorized`] if the token permits no key of the content, or names a policy that the content does not
/// have. [`Refusal::KeyNotFound`] if all these keys are retired, or the content has none.
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

/// Applies `policy`, which must be the one that [`authorize`] picked.
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
    let (expires, expires_because) = judge_windows(policy, token, now)?;
    Ok(Terms {
        content: authorized.title.content.clone(),
        policy_id: policy.name.clone(),
        region: token.region.clone(),
        not_before: now,
        expires,
        expires_because,
        license_duration_secs: policy.license_duration.as_secs(),
        tracks,
    })
}

/// Refuses the kinds of request that are not supported yet.
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

/// Every active key of the content that the token permits: a player that names one needs the others too. Of the keys
/// with a crypto period, those of the current and the next period, the two highest that are active, and those that the
/// request names.
fn permitted_keys(
    request: &Request,
    title: &Title,
    token: &Entitlement,
) -> Result<Vec<TitleKey>, Denial> {
    let permitted = |key: &&TitleKey| token.permits_key(key.kid, &title.content);
    // A token that names keys must not reveal that a content without keys exists.
    let nothing_named = title.keys.is_empty() && token.kids.is_none();
    if !nothing_named && title.keys.iter().find(permitted).is_none() {
        let keys = title.keys.iter().map(|key| key.kid);
        let allowed = listed(token.kids.iter().flatten());
        return Err(Denial::new(Refusal::NotAuthorized, "authorized_kids", allowed, listed(keys)));
    }
    let current =
        period::current(title.keys.iter().filter(|key| key.active).filter_map(|key| key.period));
    let is_wanted = |key: &&TitleKey| {
        request.kids.contains(&key.kid) || key.period.is_none() || key.period >= current
    };
    let active: Vec<_> = title
        .keys
        .iter()
        .filter(permitted)
        .filter(|key| key.active)
        .filter(is_wanted)
        .copied()
        .collect();
    let named_left = active.iter().any(|key| request.kids.contains(&key.kid));
    if active.is_empty() || !(request.kids.is_empty() || named_left) {
        let actual = match title.keys.len() {
            0 => "the content has no keys".into(),
            keys => format!("{} of {keys} keys are active and of this period", active.len()),
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
    if request.session_type == SessionType::PersistentLicense {
        let (expected, actual) = ("temporary", "persistent-license");
        return Err(Denial::new(Refusal::PersistenceNotAllowed, "can_persist", expected, actual));
    }
    let (rule, allowed) = match request.delivery {
        Delivery::Sealed => return Ok(()),
        Delivery::ClearKey => ("allow_clearkey", policy.allow_clearkey),
        Delivery::HlsAes128 => ("allow_hls_aes128", policy.allow_hls_aes128),
    };
    match allowed {
        true => Ok(()),
        false => Err(Denial::new(Refusal::ClearKeysNotAllowed, rule, "true", "false")),
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

/// Removes the keys that the policy does not allow on this device. At least one of the named keys must be left.
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
        GrantedTrack { kid: key.kid, track: key.track, rule, period: key.period }
    });
    let mut tracks: Vec<_> = with_rule
        .filter(|track| track.rule.security_level.is_none_or(|least| least <= request.device_level))
        .collect();
    if !tracks.iter().any(|track| named(&track.kid)) {
        // A track of a higher level is never given in the clear, whatever the device.
        let refusal = match request.delivery {
            Delivery::Sealed => Refusal::SecurityLevel,
            Delivery::ClearKey | Delivery::HlsAes128 => Refusal::ClearKeysNotAllowed,
        };
        return Err(Denial::new(
            refusal,
            "track.security_level",
            "a track that this device may have",
            request.device_level.as_str(),
        ));
    }
    // If the content has more keys than fit into a license, the named ones come first.
    tracks.sort_by_key(|track| (!named(&track.kid), track.track, track.kid));
    tracks.truncate(KEYS_MAX);
    Ok(tracks)
}

/// The track types of keys, as a person reads them.
fn tracks_of(keys: &[TitleKey]) -> String {
    listed(keys.iter().map(|key| key.track.map_or("(none)", TrackType::as_str)))
}

/// The end of the license and the rule that set it, if there is any time left.
fn judge_windows(
    policy: &Policy,
    token: &Entitlement,
    now: UnixTime,
) -> Result<(UnixTime, &'static str), Denial> {
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
    let ends = [
        (policy.available_until, "available_until"),
        (blackout, "region.blackout"),
        (token.license_not_after, "license_not_after"),
    ];
    let ends = ends.into_iter().filter_map(|(end, rule)| Some((end?, rule)));
    let first =
        |first: (UnixTime, _), end: (UnixTime, _)| if end.0 < first.0 { end } else { first };
    Ok(ends.fold((life, "license_duration"), first))
}
