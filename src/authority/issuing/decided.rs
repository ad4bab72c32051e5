//! What every request for keys goes through, whichever way the keys are then delivered: the token is read, the facts are
//! decided on, and one line of the log says what was decided and why.

use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::in_force::Snapshot;
use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::issuing::facts::{self, Keys, Wanted};
use crate::authority::issuing::judge::{Court, Told};
use crate::authority::issuing::refused::Refused;
use crate::authority::issuing::token::{self, Viewer};
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::domain::decision::{Delivery, Terms, Vouched};
use crate::domain::denial::listed;
use crate::domain::entitlement::Entitlement;
use crate::domain::location::Source;
use crate::domain::logged_address::LoggedAddress;
use crate::domain::policy::Evidence;
use crate::domain::refusal::Refusal;

/// The result of a request for keys.
#[derive(Debug)]
pub enum Answer<T> {
    /// What was asked for.
    Granted(T),
    /// The refusal.
    Refused(Refused),
}

/// A grant on its way out.
pub(super) struct Granted<T> {
    /// What is sent.
    pub(super) answer: T,
    /// The license ID, where there is a license.
    pub(super) id: Option<String>,
    /// The terms. A release has none, and is not granted anything.
    pub(super) terms: Option<Terms>,
}

/// What is known of a request so far, for the one line of the log about it.
pub(in crate::authority) struct Trail {
    pub(in crate::authority) delivery: Delivery,
    pub(super) content: Option<String>,
    pub(in crate::authority) device: Option<Thumbprint>,
    /// What is vouched for about the device.
    pub(super) vouched: Vouched,
    /// What the decision told.
    told: Told,
    /// How much of the client's address may be told.
    addresses: LoggedAddress,
}

impl Trail {
    /// Nothing is known yet.
    pub(in crate::authority) fn new(delivery: Delivery, in_force: &Snapshot) -> Self {
        let (told, addresses) = (Told::default(), in_force.addresses);
        let vouched = Vouched::Nothing;
        Self { delivery, content: None, device: None, vouched, told, addresses }
    }

    /// The client's address, as far as it may be told.
    fn client(&self, circumstances: Circumstances<'_>) -> Option<String> {
        circumstances.client.and_then(|address| self.addresses.of(address))
    }

    /// The source of the viewer's region, as one word: `token`, `network`, `database`, or a token and one of them.
    fn region_from(&self, by_token: bool) -> Option<String> {
        let source = self.told.located.as_ref().and_then(|located| located.source);
        let source = source.map(Source::as_str);
        match self.told.evidence.unwrap_or_default() {
            Evidence::Token => by_token.then(|| "token".to_owned()),
            Evidence::Ip => source.map(str::to_owned),
            Evidence::TokenAndIp => match (by_token, source) {
                (true, Some(source)) => Some(format!("token-and-{source}")),
                (true, None) => Some("token".to_owned()),
                (false, source) => source.map(str::to_owned),
            },
        }
    }

    /// The regions of the client's address, if the policy asked for them.
    fn by_address(&self) -> Option<String> {
        let located = self.told.located.as_ref().filter(|located| !located.regions.is_empty());
        located.map(|located| listed(&located.regions))
    }

    /// When the database was built that the policy asked.
    fn database_built(&self) -> Option<u64> {
        let located = self.told.located.as_ref()?;
        located.source?.built().map(UnixTime::as_secs)
    }
}

impl Authority {
    /// Reads the token, lets `grant` decide for its viewer, and logs and counts what came of it.
    ///
    /// # Errors
    /// [`Fault`]: the caller logs it. The player learns nothing about it.
    pub(super) async fn decided<T>(
        &self,
        token: &str,
        delivery: Delivery,
        circumstances: Circumstances<'_>,
        grant: impl AsyncFnOnce(&Viewer, &Snapshot, &mut Trail) -> Result<Granted<T>, Stop<Refused>>,
    ) -> Result<Answer<T>, Fault> {
        let timer = self.counters.license();
        let in_force = self.in_force.load();
        let mut trail = Trail::new(delivery, &in_force);
        let viewer = match read_viewer(&in_force, token, circumstances.now) {
            Ok(viewer) => viewer,
            Err(refused) => {
                log_refused(circumstances, None, &trail, &refused);
                timer.refused(refused.refusal);
                return Ok(Answer::Refused(refused.refusal.into()));
            }
        };
        match grant(&viewer, &in_force, &mut trail).await {
            Ok(granted) => {
                match &granted.terms {
                    Some(terms) => {
                        log_granted(circumstances, &viewer, &trail, granted.id.as_deref(), terms);
                        timer.granted();
                    }
                    None => timer.released(),
                }
                Ok(Answer::Granted(granted.answer))
            }
            Err(Stop::Refused(refused)) => {
                log_refused(circumstances, Some(&viewer), &trail, &refused);
                timer.refused(refused.refusal);
                Ok(Answer::Refused(refused))
            }
            Err(Stop::Failed(fault)) => {
                timer.failed();
                Err(fault)
            }
        }
    }

    /// Decides on the current facts, and commits the changes of a grant. If another task has changed the facts
    /// meanwhile, it decides again.
    ///
    /// `make` makes the answer while the changes are on their way to the disk. The answer is given back once they are on disk.
    pub(super) async fn decide<T>(
        &self,
        wanted: &Wanted<'_>,
        token: &Entitlement,
        in_force: &Snapshot,
        circumstances: Circumstances<'_>,
        trail: &mut Trail,
        make: impl Fn(&Terms, &Keys) -> Result<T, Fault>,
    ) -> Result<(Terms, Keys, T), Stop<Refused>> {
        let (store, memory) = (self.vault.store(), self.vault.facts());
        let court = Court {
            token,
            policies: &in_force.policies,
            memory: &*memory,
            naming_key: &self.naming_key,
            atlas: &in_force.atlas,
            client: circumstances.client,
            now: circumstances.now,
        };
        let mut attempts = Attempts::default();
        loop {
            let seed = self.vault.period_seed();
            let facts = facts::load(&*store, seed, wanted, token, circumstances.now).await?;
            trail.content = Some(facts.title.content.to_string());
            let judged = court.judge(&facts, &mut trail.told).await?;
            let terms = judged.decision.map_err(Stop::Refused)?;
            let answer = || make(&terms, &facts.keys);
            if let Some(answer) = attempts.commit_while(&*memory, judged.batch, answer).await? {
                return Ok((*terms, facts.keys, answer));
            }
        }
    }

    /// Unwraps the granted keys. They are zeroed when they are dropped.
    pub(super) fn unwrap_granted(
        &self,
        terms: &Terms,
        keys: &Keys,
    ) -> Result<Vec<(KeyId, ContentKey)>, Fault> {
        keys.unwrap(&self.vault, |kid| terms.tracks.iter().any(|track| track.kid == kid))
    }
}

/// Reads a token. The rule that it breaks is for the log alone.
pub(in crate::authority) fn read_viewer(
    in_force: &Snapshot,
    token: &str,
    now: UnixTime,
) -> Result<Viewer, Refused> {
    token::read(&in_force.issuers, token, now).map_err(|invalid| {
        let refusal = match invalid {
            token::Invalid::Expired => Refusal::TokenExpired,
            token::Invalid::NoKeys(_) => Refusal::Unavailable,
            _ => Refusal::TokenInvalid,
        };
        Refused { rule: Some(invalid.to_string()), ..refusal.into() }
    })
}

fn log_granted(
    circumstances: Circumstances<'_>,
    viewer: &Viewer,
    trail: &Trail,
    id: Option<&str>,
    terms: &Terms,
) {
    let token = viewer.entitlement();
    tracing::info!(request.id = %circumstances.request_id, client = trail.client(circumstances),
        issuer = token.account.iss, account = token.account.sub,
        license.id = id, content.id = %terms.content, policy = terms.policy_id,
        region = terms.region.as_ref().map(tracing::field::display),
        region.from = trail.region_from(token.region.is_some()),
        region.by_address = trail.by_address(), region.database_built = trail.database_built(),
        keys = terms.tracks.len(), device = trail.device.map(tracing::field::display),
        device.ca = trail.vouched.by(), device.level = trail.vouched.by().map(|_| trail.vouched.level().as_str()),
        expires = terms.expires.as_secs(), expires_because = terms.expires_because,
        kept = trail.told.steps.kept(), in_the_clear = in_the_clear(trail.delivery),
        took_us = micros(circumstances), "license granted");
}

pub(in crate::authority) fn log_refused(
    circumstances: Circumstances<'_>,
    viewer: Option<&Viewer>,
    trail: &Trail,
    refused: &Refused,
) {
    let region = viewer.and_then(|viewer| viewer.entitlement().region.as_ref());
    let account = viewer.map(|viewer| &viewer.entitlement().account);
    let (denial, rule) = (refused.denial.as_ref(), refused.rule.as_deref());
    tracing::info!(request.id = %circumstances.request_id, client = trail.client(circumstances),
        issuer = account.map(|account| &*account.iss),
        account = account.map(|account| &*account.sub), content.id = trail.content,
        policy = trail.told.policy, region = region.map(tracing::field::display),
        region.from = trail.region_from(region.is_some()),
        region.by_address = trail.by_address(), region.database_built = trail.database_built(),
        device = trail.device.map(tracing::field::display),
        device.ca = trail.vouched.by(),
        in_the_clear = in_the_clear(trail.delivery),
        reason = refused.refusal.reason(), rule = denial.map_or(rule, |denial| Some(denial.rule)),
        expected = denial.map(|denial| &*denial.expected),
        actual = denial.map(|denial| &*denial.actual), kept = trail.told.steps.kept(),
        took_us = micros(circumstances), "license refused");
}

/// The way in which keys would leave in the clear; absent for a license.
const fn in_the_clear(delivery: Delivery) -> Option<&'static str> {
    match delivery {
        Delivery::Sealed => None,
        Delivery::ClearKey => Some("clearkey"),
        Delivery::HlsAes128 => Some("hls-aes128"),
    }
}

/// How long the request took so far.
fn micros(circumstances: Circumstances<'_>) -> u64 {
    u64::try_from((circumstances.age)().as_micros()).unwrap_or(u64::MAX)
}
