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
use crate::domain::duration::Duration;
use crate::domain::entitlement::Entitlement;
pub use crate::domain::granted::{GrantedTrack, KEYS_MAX};
use crate::domain::licenses::{self, Asking, Granting};
use crate::domain::location::Arrival;
use crate::domain::past::{Device, License, LicenseId, Past, Slot, Usage};
use crate::domain::policy::{Policy, Registration};
use crate::domain::refusal::Refusal;
use crate::domain::region::Region;
use crate::domain::renewal::{self, Renewed};
pub use crate::domain::request::{Asker, Delivery, Request, Title, TitleKey, Vouched};
use crate::domain::slots::{self, Session};
use crate::domain::steps::Steps;
use crate::domain::windows::{self, Asked, End};
use crate::domain::{devices, granted, whereabouts};

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
    /// The viewer's region, as the evidence of the policy says.
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
    /// Whether the license is remembered, so that a device gives it back.
    pub can_release: bool,
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
    arrival: Arrival<'_>,
    steps: &mut Steps,
) -> Decision {
    let case = Case { request, authorized, policy, token, past, arrival, now: arrival.at };
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
    arrival: Arrival<'a>,
    now: UnixTime,
}

impl Case<'_> {
    fn judge(&self, steps: &mut Steps) -> Result<(Terms, Changes), Denial> {
        self.judge_use(steps)?;
        let rule = self.policy.region.as_ref();
        let regions = whereabouts::judge(rule, self.token, self.arrival, steps)?;
        let devices = self.judge_device(steps)?;
        let tracks = granted::judge(self.request, self.policy, &self.authorized.keys, steps)?;
        let before = self.judge_license(&devices, steps)?;
        let (end, usage) = self.judge_windows(before.as_ref(), &regions, steps)?;
        let slot = self.judge_slot(&end, steps)?;
        let asker = self.request.asker.as_ref();
        let counter = before.as_ref().map_or(0, |before| before.counter_for(asker));
        let licenses = self.remember_license(before, &end, counter);
        let terms = self.terms(end, regions, counter, tracks);
        Ok((terms, Changes { devices, usage, slot, licenses }))
    }

    /// The ID of the license that is granted: of a new one, the name of the request.
    fn license_id(&self) -> Option<LicenseId> {
        self.request.asker.as_ref().map(|asker| asker.renews.unwrap_or(asker.request))
    }

    fn content(&self) -> &ContentId {
        &self.authorized.title.content
    }

    fn terms(
        &self,
        end: End,
        mut regions: Vec<Region>,
        counter: u64,
        tracks: Vec<GrantedTrack>,
    ) -> Terms {
        let id = self.license_id();
        Terms {
            license: id,
            counter,
            content: self.content().clone(),
            policy_id: self.policy.name.clone(),
            region: regions.pop(),
            not_before: self.now,
            expires: end.expires,
            expires_because: end.because,
            allowed: self.allowed(&end, id, counter),
            tracks,
        }
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

    /// The requirements for the device, and its place among the account's.
    fn judge_device(&self, steps: &mut Steps) -> Result<Vec<Device>, Denial> {
        let Self { request, policy, token, .. } = self;
        if policy.device.require_binding {
            let (refusal, rule) = (Refusal::TokenNotBound, "device.require_binding");
            let actual = if token.device.is_some() { "cnf" } else { "none" };
            steps.check(token.device.is_some(), refusal, rule, "cnf in the token", actual)?;
        }
        self.judge_certificate(steps)?;
        let level = request.vouched.level();
        steps.check(
            policy.device.security_level <= level,
            Refusal::SecurityLevel,
            "device.security_level",
            policy.device.security_level.as_str(),
            level.as_str(),
        )?;
        let Some(asker) = &request.asker else { return Ok(Vec::new()) };
        devices::judge(asker, self.is_renewal(), policy, self.past, self.now, steps)
    }

    /// A chain that is not valid is refused under every policy: a device that has one is meant to be what it says.
    fn judge_certificate(&self, steps: &mut Steps) -> Result<(), Denial> {
        let (refusal, rule) = (Refusal::DeviceNotEnrolled, "device.certificate");
        let must_have = self.policy.device.registration == Registration::Certified;
        let (is_kept, actual) = match &self.request.vouched {
            Vouched::Nothing if !must_have => return Ok(()),
            Vouched::Nothing => (false, "no certificate"),
            Vouched::Level { by, .. } => (true, &**by),
            Vouched::Invalid(why) => (false, &**why),
        };
        steps.check(is_kept, refusal, rule, "a chain to a device CA", actual)
    }

    /// The license that the request is about, if there is one already. `devices` are those that are to be remembered.
    fn judge_license(
        &self,
        devices: &[Device],
        steps: &mut Steps,
    ) -> Result<Option<Renewed>, Denial> {
        let Some(asker) = &self.request.asker else { return Ok(None) };
        let own = devices.iter().find(|device| device.jkt == asker.device);
        let asking = Asking {
            asker,
            session_type: self.request.session_type,
            registered_at: own.map(|own| own.registered_at),
            now: self.now,
        };
        licenses::judge(asking, self.policy, self.past, steps)
    }

    /// The slot of a session for playing now, if the policy counts streams.
    fn judge_slot(&self, end: &End, steps: &mut Steps) -> Result<Option<Slot>, Denial> {
        let (Some(asker), Some(license)) = (&self.request.asker, self.license_id()) else {
            return Ok(None);
        };
        let is_temporary = self.request.session_type == SessionType::Temporary;
        let Some(rule) = self.policy.concurrency.filter(|_| is_temporary) else { return Ok(None) };
        let session = Session {
            asker,
            license,
            content: self.content(),
            expires: end.expires,
            is_renewal: self.is_renewal(),
            now: self.now,
        };
        slots::judge(session, rule, &self.past.slots, steps).map(Some)
    }

    /// What is to be remembered of the license, and of one that it ends.
    fn remember_license(&self, before: Option<Renewed>, end: &End, counter: u64) -> Vec<License> {
        let (Some(asker), Some(id)) = (&self.request.asker, self.license_id()) else {
            return Vec::new();
        };
        if !self.policy.needs_memory() {
            return Vec::new();
        }
        let granting = Granting {
            asker,
            id,
            counter,
            content: self.content(),
            policy: self.policy,
            token: self.token,
            session_type: self.request.session_type,
            expires: end.expires,
            now: self.now,
        };
        licenses::remember(granting, before, self.past)
    }

    /// The end of the license, and what is to be remembered of the first uses.
    fn judge_windows(
        &self,
        renewed: Option<&Renewed>,
        regions: &[Region],
        steps: &mut Steps,
    ) -> Result<(End, Option<Usage>), Denial> {
        let Self { request, policy, token, past, now, .. } = *self;
        let played_at = self.judge_first_play(renewed, steps)?;
        let none = || Usage::none(self.content().clone(), token.entitlement_id.clone());
        let before = past.usage.clone().unwrap_or_else(none);
        let mut usage = before.clone();
        let is_kept = request.session_type == SessionType::PersistentLicense;
        let keeper = request.asker.as_ref().filter(|_| is_kept && renewed.is_none());
        let is_second = keeper.is_some_and(|asker| !usage.keep(asker.device));
        let session_type = request.session_type;
        let asked = Asked { session_type, is_second, played_at, regions, now };
        let end = windows::judge(asked, policy, token, &mut usage, steps)?;
        let has_windows = policy.rental_duration.is_some() || policy.playback_duration.is_some();
        Ok((end, (has_windows && usage != before).then_some(usage)))
    }

    /// When the device says that the title was first played, if it says so.
    fn judge_first_play(
        &self,
        renewed: Option<&Renewed>,
        steps: &mut Steps,
    ) -> Result<Option<UnixTime>, Denial> {
        let secs = self.request.asker.as_ref().and_then(|asker| asker.first_play_secs);
        let (Some(renewed), Some(secs)) = (renewed, secs) else { return Ok(None) };
        let played_at = renewed.license.played_at(secs, self.now);
        let (refusal, rule) = (Refusal::BadRequest, "first_play");
        steps.check(played_at.is_some(), refusal, rule, "not later than now", secs)?;
        Ok(played_at)
    }

    fn allowed(&self, end: &End, id: Option<LicenseId>, counter: u64) -> Allowed {
        let Self { policy, request, now, .. } = self;
        let secs = |duration: Option<Duration>| duration.unwrap_or_default().as_secs();
        let is_kept = request.session_type == SessionType::PersistentLicense;
        let life = end.expires.as_secs().saturating_sub(now.as_secs());
        let delay = match (policy.can_renew && end.can_move, id) {
            (true, Some(id)) => renewal::delay(secs(policy.renewal.delay), life, id, counter),
            _ => 0,
        };
        Allowed {
            can_persist: policy.can_persist(),
            can_renew: policy.can_renew,
            can_release: policy.needs_memory(),
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
