//! What an operator asks about a decision: what would happen if this viewer asked for that, and by which rules.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;

use base64ct::{Base64, Encoding};
use reelkey_client::exchange::request::{RequestType, SessionType};
use reelkey_client::key::KeyId;
use reelkey_client::strict::certificate;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authority::issuing::decided::read_viewer;
use crate::authority::issuing::facts::{self, Wanted};
use crate::authority::issuing::judge::{Court, Told};
use crate::authority::issuing::refused::Refused;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::stop::Stop;
use crate::crypto::digest::sha256;
use crate::domain::content::{ContentId, ContentPattern};
use crate::domain::decision::{Asker, Delivery, GrantedTrack, Terms, Vouched};
use crate::domain::entitlement::Entitlement;
use crate::domain::past::LicenseId;
use crate::domain::refusal::Refusal;
use crate::domain::steps::{Outcome, Step};

/// Asks what would be decided. Nothing is changed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// The viewer's token.
    pub token: Zeroizing<String>,
    /// The content that is asked for.
    pub content_id: Option<String>,
    /// A key that is asked for.
    pub kid: Option<String>,
    /// The moment of the request, in seconds since 1970. The token is judged then, too. Now, if it is not given.
    pub at: Option<u64>,
    /// The thumbprint of the device that asks. One that was never seen, if it is not given.
    pub device: Option<String>,
    /// The certificate chain of the device that asks: DER in base64, its own certificate first.
    pub certificates: Vec<String>,
    /// Whether the license is to be kept.
    pub persistent: bool,
    /// The address that the client asks from. Nobody knows it, if it is not given.
    pub address: Option<IpAddr>,
}

/// What would be decided.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    /// Whether a license would be granted.
    pub is_granted: bool,
    /// The reason of a refusal.
    pub reason: Option<String>,
    /// The policy that was asked.
    pub policy_id: Option<String>,
    /// The end of the license, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// The rule that sets the end.
    pub expires_because: Option<String>,
    /// The track types that would be granted.
    pub tracks: Vec<String>,
    /// The rules, in the order in which they are checked.
    pub steps: Vec<StepView>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// Its name.
    pub rule: String,
    /// `pass`, `fail` or `not-reached`.
    pub outcome: String,
    /// What it asks for.
    pub expected: String,
    /// What the request has.
    pub actual: String,
}

impl StepView {
    fn of(step: &Step) -> Self {
        Self {
            rule: step.rule.into(),
            outcome: step.outcome.as_str().into(),
            expected: step.expected.clone(),
            actual: step.actual.clone(),
        }
    }

    fn new(rule: &str, outcome: Outcome, expected: &str, actual: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            outcome: outcome.as_str().into(),
            expected: expected.into(),
            actual: actual.into(),
        }
    }
}

impl Operation for Explain {
    const NAME: &'static str = "policy/explain";
    type Outcome = Explained;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Explained, Stop<Infallible>> {
        let now = self.at.map_or(desk.now, UnixTime::from_secs);
        let in_force = desk.in_force.load();
        let viewer = match read_viewer(&in_force, &self.token, now) {
            Ok(viewer) => viewer,
            Err(why) => {
                let actual = why.rule.unwrap_or_default();
                let step = StepView::new("token", Outcome::Fail, "a valid token", actual);
                return Ok(refused(why.refusal, None, vec![step]));
            }
        };
        let mut told = Told::default();
        let decided = self.decide(desk, viewer.entitlement(), now, &mut told).await;
        let Told { policy: policy_id, steps, .. } = told;
        let mut shown = vec![StepView::new("token", Outcome::Pass, "a valid token", "valid")];
        match decided {
            Ok(terms) => {
                shown.push(StepView::new("content", Outcome::Pass, "permitted", "permitted"));
                shown.extend(steps.all().iter().map(StepView::of));
                Ok(granted(&terms, policy_id, shown))
            }
            Err(Stop::Refused(why)) => {
                let first = first_step(&why, policy_id.is_some());
                shown.push(first);
                shown.extend(steps.all().iter().map(StepView::of));
                Ok(refused(why.refusal, policy_id, shown))
            }
            Err(Stop::Failed(fault)) => Err(Stop::Failed(fault)),
        }
    }
}

impl Explain {
    const fn session_type(&self) -> SessionType {
        match self.persistent {
            true => SessionType::PersistentLicense,
            false => SessionType::Temporary,
        }
    }

    async fn decide(
        &self,
        desk: &Desk<'_>,
        token: &Entitlement,
        now: UnixTime,
        told: &mut Told,
    ) -> Result<Box<Terms>, Stop<Refused>> {
        let bad = |what: &str| {
            Stop::Refused(Refused { rule: Some(what.into()), ..Refusal::BadRequest.into() })
        };
        let kids = match self.kid.as_deref().map(str::parse::<KeyId>) {
            None => BTreeSet::new(),
            Some(Ok(kid)) => BTreeSet::from([kid]),
            Some(Err(_)) => return Err(bad("the KID is malformed")),
        };
        let decode = |text: &String| Base64::decode_vec(text).map_err(|_| bad("no base64"));
        let chain = self.certificates.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        let certified =
            match chain.first() {
                None => None,
                Some(own) => Some(certificate::public_key(own).ok_or_else(|| {
                    bad("the first certificate has no P-256 key that can be read")
                })?),
            };
        // A device that was never seen has a thumbprint that no key has.
        let certified_device = certified.as_ref().map(|key| Ok(key.thumbprint()));
        let device = self.device.as_deref().map(Thumbprint::parse).or(certified_device);
        let device = device.unwrap_or_else(|| Ok(Thumbprint::from_bytes(sha256(b"no device"))));
        let device = device.map_err(|_| bad("the thumbprint is malformed"))?;
        if token.device.is_some_and(|bound| self.device.is_some() && bound != device) {
            return Err(Stop::Refused(Refusal::TokenNotBound.into()));
        }
        let asker = Asker {
            device: token.device.unwrap_or(device),
            name: None,
            model: None,
            request: LicenseId::from_bytes([0; 16]),
            renews: None,
            first_play_secs: None,
            end_session: None,
        };
        let in_force = desk.in_force.load();
        let content_id = self.content_id.as_deref();
        let only = token.content.as_deref().and_then(only_content);
        let wanted = Wanted {
            request_type: RequestType::New,
            session_type: self.session_type(),
            kids: &kids,
            content_id: content_id
                .or_else(|| only.as_ref().filter(|_| kids.is_empty()).map(ContentId::as_str)),
            vouched: match &certified {
                Some(key) => in_force.makers.judge(&chain, key, now),
                None => Vouched::Nothing,
            },
            delivery: Delivery::Sealed,
            asker: Some(asker),
            of_origin: None,
        };
        if wanted.content_id.is_none() && kids.is_empty() {
            return Err(bad("say what is asked for: --content or --kid"));
        }
        let (store, seed) = (desk.vault.store(), desk.vault.period_seed());
        let facts = facts::load(&*store, seed, &wanted, token, now).await?;
        let court = Court {
            token,
            policies: &in_force.policies,
            memory: &*desk.vault.facts(),
            naming_key: &desk.vault.naming_key().await?,
            atlas: &in_force.atlas,
            client: self.address,
            now,
        };
        let judged = court.judge(&facts, told).await?;
        judged.decision.map_err(Stop::Refused)
    }
}

/// The one content that a token names exactly.
fn only_content(patterns: &[ContentPattern]) -> Option<ContentId> {
    match patterns {
        [ContentPattern::Exactly(content)] => Some(content.clone()),
        _ => None,
    }
}

/// The step about the content, which comes before any policy.
fn first_step(why: &Refused, was_policy_asked: bool) -> StepView {
    let denial = why.denial.as_deref();
    match (was_policy_asked, denial) {
        (true, _) => StepView::new("content", Outcome::Pass, "permitted", "permitted"),
        (false, Some(denial)) => {
            StepView::new(denial.rule, Outcome::Fail, &denial.expected, denial.actual.clone())
        }
        (false, None) => {
            let actual = why.rule.clone().unwrap_or_else(|| why.refusal.reason().into());
            StepView::new("request", Outcome::Fail, "a request that can be judged", actual)
        }
    }
}

fn granted(terms: &Terms, policy_id: Option<String>, steps: Vec<StepView>) -> Explained {
    let track = |track: &GrantedTrack| {
        track.track.map_or_else(|| "(none)".into(), |track| track.to_string())
    };
    Explained {
        is_granted: true,
        reason: None,
        policy_id,
        expires_at: Some(terms.expires.as_secs()),
        expires_because: Some(terms.expires_because.into()),
        tracks: terms.tracks.iter().map(track).collect(),
        steps,
    }
}

fn refused(refusal: Refusal, policy_id: Option<String>, steps: Vec<StepView>) -> Explained {
    Explained {
        is_granted: false,
        reason: Some(refusal.reason().into()),
        policy_id,
        expires_at: None,
        expires_because: None,
        tracks: Vec::new(),
        steps,
    }
}
