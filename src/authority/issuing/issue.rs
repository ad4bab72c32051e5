//! Issuing a license: the one use case of players in which content keys are in the clear, between unwrapping and
//! sealing.
//!
//! The checks go from cheap to dear, and the first that fails is the answer: token, request, proof of
//! possession, then the decision on what the store knows. The cryptography runs inline: 140 µs on the
//! way through cost less than a trip to another thread.

use std::fmt;

use reelkey_client::exchange::jwe::Parties;
use reelkey_client::exchange::request::{self, SignedRequest};
use reelkey_client::key::{ContentKey, KeyId};

use crate::authority::commit::Attempts;
use crate::authority::in_force::{Policies, Snapshot};
use crate::authority::issuing::changes;
use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::issuing::facts::{self, Facts, Wanted};
use crate::authority::issuing::license::{self, Context};
use crate::authority::issuing::proof::{Proof, prove};
use crate::authority::issuing::refused::{Refused, refuse, refuse_by};
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

/// The answer to a license request.
#[derive(Debug)]
pub enum Answer {
    /// The license: a compact JWS.
    Granted(String),
    /// No.
    Refused(Refused),
}

/// A license on its way out, and what the log says of it.
struct Granted {
    license: String,
    id: String,
    device: String,
    terms: Terms,
}

impl Authority {
    /// Answers a license request. One line of the log says what was decided and why.
    ///
    /// # Errors
    /// [`Fault`]: to be logged and answered with nothing.
    pub async fn issue(
        &self,
        token: &str,
        body: &[u8],
        circumstances: Circumstances<'_>,
    ) -> Result<Answer, Fault> {
        let in_force = self.in_force.load();
        let viewer = match token::read(&in_force.issuers, token, circumstances.now) {
            Ok(viewer) => viewer,
            Err(invalid) => {
                let refusal = match invalid {
                    token::Invalid::Expired => Refusal::TokenExpired,
                    _ => Refusal::TokenInvalid,
                };
                log_refused(circumstances, None, refusal, Some(&invalid));
                return Ok(Answer::Refused(refusal.into()));
            }
        };
        match self.issue_to(&viewer, body, &in_force, circumstances).await {
            Ok(granted) => {
                log_granted(circumstances, &viewer, &granted);
                Ok(Answer::Granted(granted.license))
            }
            Err(Stop::Refused(refused)) => {
                log_refused(circumstances, Some(&viewer), refused.refusal, refused.rule.as_ref());
                Ok(Answer::Refused(refused))
            }
            Err(Stop::Failed(fault)) => Err(fault),
        }
    }

    async fn issue_to(
        &self,
        viewer: &Viewer,
        body: &[u8],
        in_force: &Snapshot,
        circumstances: Circumstances<'_>,
    ) -> Result<Granted, Stop<Refused>> {
        let now = circumstances.now;
        let request = SignedRequest::parse(body)
            .map_err(|rule: request::Error| refuse_by(Refusal::BadRequest, rule))?;
        let proof = prove(&request, viewer, &self.service_id, now)?;
        decision::judge_kind(request.request_type).map_err(refuse)?;
        let wanted = Wanted {
            request_type: request.request_type,
            session_type: request.session_type,
            kids: &request.kids,
            content_id: request.content_id.as_deref(),
            device_level: SecurityLevel::SwSecureCrypto,
        };
        let token = viewer.entitlement();
        let (terms, records) =
            self.decide(wanted, token, &in_force.policies, circumstances).await?;
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
        Ok(Granted { license, id: license_id, device: proof.device.to_string(), terms })
    }

    /// Decides on the facts as they are, and commits what a grant leaves behind. Where somebody else changed the facts
    /// meanwhile, it decides anew.
    async fn decide(
        &self,
        wanted: Wanted<'_>,
        token: &Entitlement,
        policies: &Policies,
        circumstances: Circumstances<'_>,
    ) -> Result<(Terms, Vec<Stored<KeyRecord>>), Stop<Refused>> {
        let store = self.vault.store();
        let mut attempts = Attempts::default();
        loop {
            let facts = facts::load(&*store, wanted, token).await?;
            let (terms, left) = match judge(&facts, token, policies, circumstances)? {
                Decision::Grant(terms, left) => (terms, left),
                Decision::Refuse(refusal) => return Err(refuse(refusal)),
            };
            if attempts.commit(&*store, changes::batch(left)).await? {
                return Ok((terms, facts.records));
            }
        }
    }

    /// Unwraps the granted keys and seals them to the device. They are zeroed when this returns.
    fn seal_granted(
        &self,
        terms: &Terms,
        records: &[Stored<KeyRecord>],
        proof: &Proof,
    ) -> Result<String, Fault> {
        // After the records, so that it has what opens them.
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

/// Picks the policy and asks it.
fn judge(
    facts: &Facts,
    token: &Entitlement,
    policies: &Policies,
    circumstances: Circumstances<'_>,
) -> Result<Decision, Stop<Refused>> {
    let authorized = decision::authorize(&facts.request, &facts.title, token).map_err(refuse)?;
    let policy_id = authorized.policy_id();
    let policy = policies.get(policy_id).ok_or_else(|| Fault::NoPolicy {
        content: facts.title.content.clone(),
        policy: policy_id.to_owned(),
    })?;
    Ok(decision::decide(&facts.request, &authorized, policy, token, circumstances.now))
}

fn log_granted(circumstances: Circumstances<'_>, viewer: &Viewer, granted: &Granted) {
    let terms = &granted.terms;
    tracing::info!(request.id = %circumstances.request_id, account = %viewer,
        license.id = granted.id, content.id = %terms.content, policy = terms.policy_id,
        region = terms.region.as_ref().map(tracing::field::display), keys = terms.tracks.len(),
        device = granted.device, expires = terms.expires.as_secs(), "license granted");
}

fn log_refused(
    circumstances: Circumstances<'_>,
    viewer: Option<&Viewer>,
    refusal: Refusal,
    rule: Option<&impl fmt::Display>,
) {
    tracing::info!(request.id = %circumstances.request_id,
        account = viewer.map(tracing::field::display), reason = refusal.reason(),
        rule = rule.map(tracing::field::display), "license refused");
}
