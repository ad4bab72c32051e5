//! The decision: may this request have a license, and on which terms?
//!
//! The rules are checked in a fixed order, and the first that is broken is the reason: the token against the content
//! ([`authorize`]), then use, region, device, tracks, windows, streams at once. [`scope()`](crate::domain::scope::scope) has
//! found the content before. A renewal goes through the same rules as a new license.

use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::time::UnixTime;

pub use crate::domain::authorized::{Authorized, authorize};
use crate::domain::changes::Changes;
use crate::domain::content::ContentId;
use crate::domain::denial::{Denial, listed};
use crate::domain::devices;
use crate::domain::entitlement::Entitlement;
pub use crate::domain::granted::{GrantedTrack, KEYS_MAX};
use crate::domain::licenses::{self, Granting};
use crate::domain::past::{LicenseId, Past, Usage};
use crate::domain::policy::Policy;
use crate::domain::refusal::Refusal;
use crate::domain::region::Region;
pub use crate::domain::request::{Asker, Delivery, Request, Title, TitleKey};
use crate::domain::slots::{self, Session};
use crate::domain::steps::Steps;
use crate::domain::windows::{self, Asked, End};
use crate::domain::{granted, renewal};

/// The result of the decision.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Granted on these terms, once these changes are committed.
    Grant(Box<Terms>, Box<Changes>),
    /// No, by this rule.
    Refuse(Denial),
}

/// The terms of a grant.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The license, which also is the one before a renewal. `None` for keys in the clear.
    pub license: Option<LicenseId>,
    /// How often the license was renewed.
    pub counter: u64,
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
    /// The rule that sets the end.
    pub expires_because: &'static str,
    /// What the policy allows, as the license carries it.
    pub allowed: Allowed,
    /// The granted keys, each with the policy's requirements for it. Not empty.
    pub tracks: Vec<GrantedTrack>,
}

/// What the policy allows, as the license carries it. Times are in seconds; 0: there is no such rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Whether the device may keep licenses.
    pub can_persist: bool,
    /// Whether the license can be renewed.
    pub can_renew: bool,
    /// The lifetime of one license of this kind.
    pub license_duration: u64,
    /// How long the rental lasts.
    pub rental_duration: u64,
    /// How long the title may be played, from the first play on.
    pub playback_duration: u64,
    /// When the first renewal of this license is due.
    pub renewal_delay: u64,
    /// The time between two attempts.
    pub renewal_retry_interval: u64,
    /// How long after its end a renewal is still answered.
    pub renewal_recovery_duration: u64,
}

/// Applies `policy`, which must be the one that [`authorize`] picked, to what is remembered of the account. `steps` becomes the
/// list of the rules that were checked.
#[must_use]
pub fn decide(
    request: &Request,
    authorized: &Authorized<'_>,
    policy: &Policy,
    token: &Entitlement,
    past: &Past,
    now: UnixTime,
    steps: &mut Steps,
) -> Decision {
    let case = Case { request, authorized, policy, token, past, now };
    match case.judge(steps) {
        Ok((terms, changes)) => Decision::Grant(Box::new(terms), Box::new(changes)),
        Err(denial) => Decision::Refuse(denial),
    }
}

/// Everything that a decision is based on.
struct Case<'a> {
    request: &'a Request,
    authorized: &'a Authorized<'a>,
    policy: &'a Policy,
    token: &'a Entitlement,
    past: &'a Past,
    now: UnixTime,
}

impl Case<'_> {
    fn judge(&self, steps: &mut Steps) -> Result<(Terms, Changes), Denial> {
        self.judge_use(steps)?;
        self.judge_region(steps)?;
        let mut changes = self.judge_device(steps)?;
        let tracks = granted::judge(self.request, self.policy, &self.authorized.keys, steps)?;
        let content = &self.authorized.title.content;
        let asker = self.request.asker.as_ref();
        let license = asker
            .map(|asker| {
                licenses::judge(
                    asker,
                    self.request.session_type,
                    self.policy,
                    self.past,
                    self.now,
                    steps,
                )
            })
            .transpose()?
            .flatten();
        let (end, usage) = self.judge_windows(license.as_ref(), steps)?;
        let id = asker.map(|asker| asker.renews.unwrap_or(asker.request));
        let counter = license.as_ref().map_or(0, |license| license.counter_for(asker));
        changes.usage = usage;
        if let (Some(asker), Some(id)) = (asker, id) {
            if self.policy.needs_memory() {
                let granting = Granting {
                    asker,
                    id,
                    counter,
                    content,
                    policy: self.policy,
                    token: self.token,
                    session_type: self.request.session_type,
                    expires: end.expires,
                    now: self.now,
                };
                changes.licenses = licenses::remember(granting, license, self.past);
            }
            if let (Some(rule), SessionType::Temporary) =
                (self.policy.concurrency, self.request.session_type)
            {
                let is_renewal = self.is_renewal();
                let session = Session {
                    asker,
                    license: id,
                    content,
                    expires: end.expires,
                    is_renewal,
                    now: self.now,
                };
                changes.slot = Some(slots::judge(session, rule, &self.past.slots, steps)?);
            }
        }
        let terms = Terms {
            license: id,
            counter,
            content: content.clone(),
            policy_id: self.policy.name.clone(),
            region: self.token.region.clone(),
            not_before: self.now,
            expires: end.expires,
            expires_because: end.because,
            allowed: self.allowed(&end, id, counter),
            tracks,
        };
        Ok((terms, changes))
    }

    fn is_renewal(&self) -> bool {
        self.request.request_type == RequestType::Renewal
    }

    fn judge_use(&self, steps: &mut Steps) -> Result<(), Denial> {
        let Self { request, policy, token, .. } = self;
        if !policy.required_amr.is_empty() {
            let has_all = policy.required_amr.iter().all(|required| token.amr.contains(required));
            let (expected, actual) = (listed(&policy.required_amr), listed(&token.amr));
            steps.check(has_all, Refusal::AmrRequired, "required_amr", expected, actual)?;
        }
        steps.check(
            policy.can_play,
            Refusal::PlaybackNotAllowed,
            "can_play",
            true,
            policy.can_play,
        )?;
        if self.is_renewal() {
            let (rule, can_renew) = ("can_renew", policy.can_renew);
            steps.check(can_renew, Refusal::RenewalNotAllowed, rule, true, can_renew)?;
        }
        if request.session_type == SessionType::PersistentLicense {
            let is_sealed = request.delivery == Delivery::Sealed;
            let (rule, can) = ("can_persist", policy.can_persist() && is_sealed);
            steps.check(can, Refusal::PersistenceNotAllowed, rule, true, can)?;
        }
        let (rule, allowed) = match request.delivery {
            Delivery::Sealed => return Ok(()),
            Delivery::ClearKey => ("allow_clearkey", policy.allow_clearkey),
            Delivery::HlsAes128 => ("allow_hls_aes128", policy.allow_hls_aes128),
        };
        steps.check(allowed, Refusal::ClearKeysNotAllowed, rule, true, allowed)
    }

    fn judge_region(&self, steps: &mut Steps) -> Result<(), Denial> {
        let Some(rule) = &self.policy.region else { return Ok(()) };
        let refusal = Refusal::RegionDenied;
        let Some(region) = &self.token.region else {
            return steps.check(false, refusal, "region", "a region in the token", "none");
        };
        if !rule.blocked.is_empty() {
            let is_kept = !rule.blocked.iter().any(|blocked| blocked.overlaps(region));
            let expected = format!("not {}", listed(&rule.blocked));
            steps.check(is_kept, refusal, "region.blocked_countries", expected, region)?;
        }
        if !rule.allowed.is_empty() {
            let expected = listed(&rule.allowed);
            let is_kept = rule.allows(region);
            steps.check(is_kept, refusal, "region.allowed_countries", expected, region)?;
        }
        let now = self.now;
        let mut blackouts = rule.blackouts(region);
        let expected = match blackouts.find(|blackout| blackout.covers(now)) {
            Some(blackout) => format!("until {}", blackout.until),
            None if rule.blackouts.is_empty() => return Ok(()),
            None => "no blackout".into(),
        };
        let is_kept = !rule.blackouts(region).any(|blackout| blackout.covers(now));
        let actual = format!("{region} at {now}");
        steps.check(is_kept, Refusal::Blackout, "region.blackout", expected, actual)
    }

    /// The requirements for the device, and its place among the account's.
    fn judge_device(&self, steps: &mut Steps) -> Result<Changes, Denial> {
        let Self { request, policy, token, .. } = self;
        if policy.device.require_binding {
            let (refusal, rule) = (Refusal::TokenNotBound, "device.require_binding");
            let actual = if token.device.is_some() { "cnf" } else { "none" };
            steps.check(token.device.is_some(), refusal, rule, "cnf in the token", actual)?;
        }
        steps.check(
            policy.device.security_level <= request.device_level,
            Refusal::SecurityLevel,
            "device.security_level",
            policy.device.security_level.as_str(),
            request.device_level.as_str(),
        )?;
        let Some(asker) = &request.asker else { return Ok(Changes::default()) };
        let devices = devices::judge(asker, self.is_renewal(), policy, self.past, self.now, steps)?;
        Ok(Changes { devices, ..Changes::default() })
    }

    /// The end of the license, and what is to be remembered of the first uses.
    fn judge_windows(
        &self,
        renewed: Option<&renewal::Renewed>,
        steps: &mut Steps,
    ) -> Result<(End, Option<Usage>), Denial> {
        let Self { request, policy, token, past, now, .. } = *self;
        let asker = request.asker.as_ref();
        let played_at = match (renewed, asker.and_then(|asker| asker.first_play_secs)) {
            (Some(renewed), Some(secs)) => {
                let played_at = renewed.license.played_at(secs, now);
                let (refusal, rule) = (Refusal::BadRequest, "first_play");
                steps.check(played_at.is_some(), refusal, rule, "not later than now", secs)?;
                played_at
            }
            _ => None,
        };
        let none = || {
            let content = self.authorized.title.content.clone();
            Usage::none(content, token.entitlement_id.clone())
        };
        let before = past.usage.clone().unwrap_or_else(none);
        let mut usage = before.clone();
        let is_kept = request.session_type == SessionType::PersistentLicense;
        let is_second = match asker {
            Some(asker) if is_kept && renewed.is_none() => {
                let is_keeper = usage.keepers.contains(&asker.device);
                let is_full = usage.keepers.len() >= Usage::KEEPERS_MAX;
                if !is_keeper && !is_full {
                    usage.keepers.push(asker.device);
                }
                is_keeper || is_full
            }
            _ => false,
        };
        let asked = Asked { session_type: request.session_type, is_second, played_at, now };
        let end = windows::judge(asked, policy, token, &mut usage, steps)?;
        let has_windows = policy.rental_duration.is_some() || policy.playback_duration.is_some();
        Ok((end, (has_windows && usage != before).then_some(usage)))
    }

    fn allowed(&self, end: &End, id: Option<LicenseId>, counter: u64) -> Allowed {
        let Self { policy, request, now, .. } = self;
        let secs = |duration: Option<crate::domain::duration::Duration>| {
            duration.unwrap_or_default().as_secs()
        };
        let is_kept = request.session_type == SessionType::PersistentLicense;
        let life = end.expires.as_secs().saturating_sub(now.as_secs());
        let delay = match (policy.can_renew && end.can_move, id) {
            (true, Some(id)) => renewal::delay(secs(policy.renewal.delay), life, id, counter),
            _ => 0,
        };
        Allowed {
            can_persist: policy.can_persist(),
            can_renew: policy.can_renew,
            license_duration: match policy.persistent_duration {
                Some(duration) if is_kept => duration.as_secs(),
                _ => policy.license_duration.as_secs(),
            },
            rental_duration: secs(policy.rental_duration),
            playback_duration: secs(policy.playback_duration),
            renewal_delay: delay,
            renewal_retry_interval: secs(policy.renewal.retry_interval),
            renewal_recovery_duration: secs(policy.renewal.recovery),
        }
    }
}
