//! Issuing a license. This is the only use case of players that handles content keys in the clear: between unwrapping
//! and sealing.
//!
//! Cheap checks come before expensive ones, and the first failed check is the answer: token, request, proof of
//! possession, then the decision on the facts from the store. The cryptography runs on the same thread, because it
//! takes 140 µs, less than a switch to another thread.

use reelkey_client::exchange::jwe::Parties;
use reelkey_client::exchange::request::{self, SignedRequest};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::in_force::{Policies, Snapshot};
use crate::authority::issuing::changes;
use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::issuing::facts::{self, Wanted};
use crate::authority::issuing::judge::judge;
use crate::authority::issuing::license::{self, Context};
use crate::authority::issuing::proof::{Proof, prove};
use crate::authority::issuing::refused::{Refused, refuse_by};
use crate::authority::issuing::token::{self, Viewer};
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::crypto::seal;
use crate::domain::decision::{self, Decision, Terms};
use crate::domain::entitlement::Entitlement;
use crate::domain::refusal::Refusal;
use crate::domain::security_level::SecurityLevel;
use crate::store::record::key::KeyRecord;
use crate::store::record::stored::Stored;

/// The result of a license request.
#[derive(Debug)]
pub enum Answer {
    /// The license: a compact JWS.
    Granted(String),
    /// The refusal.
    Refused(Refused),
}

/// A license on its way out.
struct Granted {
    license: String,
    id: String,
    terms: Terms,
}

/// What is known of a request so far, for the one line of the log about it.
#[derive(Default)]
struct Trail {
    content: Option<String>,
    device: Option<Thumbprint>,
    policy: Option<String>,
}

impl Authority {
    /// Decides on a license request. One line of the log says what was decided and why.
    ///
    /// # Errors
    /// [`Fault`]: the caller logs it. The player learns nothing about it.
    pub async fn issue(
        &self,
        token: &str,
        body: &[u8],
        circumstances: Circumstances<'_>,
    ) -> Result<Answer, Fault> {
        let timer = self.counters.license();
        let in_force = self.in_force.load();
        let mut trail = Trail::default();
        let viewer = match token::read(&in_force.issuers, token, circumstances.now) {
            Ok(viewer) => viewer,
            Err(invalid) => {
                let refusal = match invalid {
                    token::Invalid::Expired => Refusal::TokenExpired,
                    _ => Refusal::TokenInvalid,
                };
                let why = Refused { rule: Some(invalid.to_string()), ..refusal.into() };
                log_refused(circumstances, None, &trail, &why);
                timer.refused(refusal);
                return Ok(Answer::Refused(refusal.into()));
            }
        };
        match self.issue_to(&viewer, body, &in_force, circumstances, &mut trail).await {
            Ok(granted) => {
                log_granted(circumstances, &viewer, &trail, &granted);
                timer.granted();
                Ok(Answer::Granted(granted.license))
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

    async fn issue_to(
        &self,
        viewer: &Viewer,
        body: &[u8],
        in_force: &Snapshot,
        circumstances: Circumstances<'_>,
        trail: &mut Trail,
    ) -> Result<Granted, Stop<Refused>> {
        let now = circumstances.now;
        let request = SignedRequest::parse(body)
            .map_err(|rule: request::Error| refuse_by(Refusal::BadRequest, rule))?;
        trail.content.clone_from(&request.content_id);
        trail.device = Some(request.device_key.thumbprint());
        let proof = prove(&request, viewer, &self.service_id, now)?;
        decision::judge_kind(request.request_type)?;
        let wanted = Wanted {
            request_type: request.request_type,
            session_type: request.session_type,
            kids: &request.kids,
            content_id: request.content_id.as_deref(),
            device_level: SecurityLevel::SwSecureCrypto,
        };
        let token = viewer.entitlement();
        let (terms, records) = self.decide(wanted, token, &in_force.policies, now, trail).await?;
        let sealed_keys = self.seal_granted(&terms, &records, &proof)?;
        let license_id = self.naming_key.license_id(request.signing_input);
        let context = Context {
            service_id: &self.service_id,
            account: &token.account.sub,
            license_id: license_id.clone(),
            device: proof.device,
            nonce: request.jti,
            session_type: request.session_type,
            sealed_keys,
        };
        let signer = in_force.signers.current(now).ok_or(Fault::Incomplete("signing key"))?;
        let license = license::sign(&terms, context, signer)?;
        Ok(Granted { license, id: license_id, terms })
    }

    /// Decides on the current facts, and commits the changes of a grant. If another task has changed the facts
    /// meanwhile, it decides again.
    async fn decide(
        &self,
        wanted: Wanted<'_>,
        token: &Entitlement,
        policies: &Policies,
        now: UnixTime,
        trail: &mut Trail,
    ) -> Result<(Terms, Vec<Stored<KeyRecord>>), Stop<Refused>> {
        let store = self.vault.store();
        let mut attempts = Attempts::default();
        loop {
            let facts = facts::load(&*store, wanted, token).await?;
            trail.content = Some(facts.title.content.to_string());
            let (terms, left) = match judge(&facts, token, policies, now, &mut trail.policy)? {
                Decision::Grant(terms, left) => (terms, left),
                Decision::Refuse(denial) => return Err(denial.into()),
            };
            if attempts.commit(&*store, changes::batch(left)).await? {
                return Ok((terms, facts.records));
            }
        }
    }

    /// Unwraps the granted keys and seals them to the device. The keys are zeroed when this returns.
    fn seal_granted(
        &self,
        terms: &Terms,
        records: &[Stored<KeyRecord>],
        proof: &Proof,
    ) -> Result<String, Fault> {
        // Taken after the records were read, so that it can open them.
        let keyring = self.vault.keyring();
        let is_granted =
            |record: &&Stored<KeyRecord>| terms.tracks.iter().any(|track| track.kid == record.kid);
        let keys: Vec<(KeyId, ContentKey)> = records
            .iter()
            .filter(is_granted)
            .map(|record| Ok((record.kid, keyring.content_key(record)?)))
            .collect::<Result<_, Fault>>()?;
        let parties = Parties { apu: self.service_id.as_bytes(), apv: &proof.request_hash };
        Ok(seal::seal(&keys, &proof.recipient, parties)?)
    }
}

fn log_granted(
    circumstances: Circumstances<'_>,
    viewer: &Viewer,
    trail: &Trail,
    granted: &Granted,
) {
    let (terms, region) = (&granted.terms, viewer.entitlement().region.as_ref());
    let account = &viewer.entitlement().account;
    tracing::info!(request.id = %circumstances.request_id,
        client = circumstances.client.map(tracing::field::display), issuer = account.iss,
        account = account.sub,
        license.id = granted.id, content.id = %terms.content, policy = terms.policy_id,
        region = region.map(tracing::field::display), region.from = region.map(|_| "token"),
        keys = terms.tracks.len(), device = trail.device.map(tracing::field::display),
        expires = terms.expires.as_secs(), took_us = micros(circumstances), "license granted");
}

fn log_refused(
    circumstances: Circumstances<'_>,
    viewer: Option<&Viewer>,
    trail: &Trail,
    refused: &Refused,
) {
    let region = viewer.and_then(|viewer| viewer.entitlement().region.as_ref());
    let account = viewer.map(|viewer| &viewer.entitlement().account);
    let (denial, rule) = (refused.denial.as_ref(), refused.rule.as_deref());
    tracing::info!(request.id = %circumstances.request_id,
        client = circumstances.client.map(tracing::field::display),
        issuer = account.map(|account| &*account.iss),
        account = account.map(|account| &*account.sub), content.id = trail.content,
        policy = trail.policy, region = region.map(tracing::field::display),
        region.from = region.map(|_| "token"), device = trail.device.map(tracing::field::display),
        reason = refused.refusal.reason(), rule = denial.map_or(rule, |denial| Some(denial.rule)),
        expected = denial.map(|denial| &*denial.expected),
        actual = denial.map(|denial| &*denial.actual), took_us = micros(circumstances),
        "license refused");
}

/// How long the request took so far.
fn micros(circumstances: Circumstances<'_>) -> u64 {
    u64::try_from((circumstances.age)().as_micros()).unwrap_or(u64::MAX)
}
