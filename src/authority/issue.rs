//! Issuing a license: the one use case in which content keys are in the clear, between unwrapping and
//! sealing.
//!
//! The checks go from cheap to dear, and the first that fails is the answer: token, request, proof of
//! possession, then the decision on what the store knows. The cryptography runs inline: 140 µs on the
//! way through cost less than a trip to another thread.

use std::fmt;

use reelkey_client::exchange::jwe::Parties;
use reelkey_client::exchange::license::IAT_DISTANCE_SECS_MAX;
use reelkey_client::exchange::request::{self, SignedRequest};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::strict::jwk::PublicKey;
use reelkey_client::time::UnixTime;

use crate::authority::keyring;
use crate::authority::license::{self, Context};
use crate::authority::service::Authority;
use crate::authority::token::{self, Viewer};
use crate::crypto::digest::sha256;
use crate::crypto::{seal, sign};
use crate::domain::content::ContentId;
use crate::domain::decision::{self, Decision, Request, Terms, Title, TitleKey};
use crate::domain::refusal::Refusal;
use crate::domain::scope::{Asked, scope};
use crate::domain::security_level::SecurityLevel;
use crate::store;
use crate::store::record::{self, KeyRecord, KeyState};

/// The answer to a license request.
#[derive(Debug)]
pub enum Answer {
    /// The license: a compact JWS.
    Granted(String),
    /// No.
    Refused(Refused),
}

/// A refusal, and where it is the sender's to mend, the rule that was broken.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// The broken rule; nothing of the request stands in it.
    pub rule: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, rule: None }
    }
}

/// The request may have been right; the service failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// A stored secret does not open.
    #[error("a stored secret does not open")]
    Keyring(#[from] keyring::Error),
    /// The keys could not be sealed.
    #[error("the keys could not be sealed")]
    Seal(#[from] seal::Error),
    /// The license could not be signed.
    #[error("the license could not be written")]
    License(#[from] license::Error),
    /// A title names a policy that is not loaded.
    #[error(
        "content {content} names the policy {policy:?}, and there is no policies/{policy}.toml"
    )]
    NoPolicy {
        /// The title.
        content: ContentId,
        /// The missing policy.
        policy: String,
    },
}

/// Why a request got no license.
enum Stop {
    Refused(Refused),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn refuse(refusal: Refusal) -> Stop {
    Stop::Refused(refusal.into())
}

fn refuse_by(refusal: Refusal, rule: impl fmt::Display) -> Stop {
    Stop::Refused(Refused { refusal, rule: Some(rule.to_string()) })
}

impl Authority {
    /// Answers a license request at `now`. `request_id` names it in the log, where one line says what
    /// was decided and why.
    ///
    /// # Errors
    /// [`Error`]: our fault, to be logged and answered with nothing.
    pub async fn issue(
        &self,
        token: &str,
        body: &[u8],
        now: UnixTime,
        request_id: &(dyn fmt::Display + Sync),
    ) -> Result<Answer, Error> {
        let viewer = match token::read(&self.issuers(), token, now) {
            Ok(viewer) => viewer,
            Err(fault) => {
                let refusal = match fault {
                    token::Fault::Expired => Refusal::TokenExpired,
                    _ => Refusal::TokenInvalid,
                };
                tracing::info!(request.id = %request_id, reason = refusal.reason(), rule = %fault,
                    "license refused");
                return Ok(Answer::Refused(refusal.into()));
            }
        };
        match self.issue_to(&viewer, body, now).await {
            Ok(granted) => {
                tracing::info!(request.id = %request_id, account = %viewer, license.id = granted.id,
                    content.id = %granted.terms.content, policy = granted.terms.policy_id,
                    region = granted.terms.region.as_ref().map(tracing::field::display),
                    keys = granted.terms.tracks.len(), device = %granted.device,
                    expires = granted.terms.expires.as_secs(), "license granted");
                Ok(Answer::Granted(granted.license))
            }
            Err(Stop::Refused(refused)) => {
                tracing::info!(request.id = %request_id, account = %viewer,
                    reason = refused.refusal.reason(), rule = refused.rule, "license refused");
                Ok(Answer::Refused(refused))
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn issue_to(&self, viewer: &Viewer, body: &[u8], now: UnixTime) -> Result<Granted, Stop> {
        let request = SignedRequest::parse(body)
            .map_err(|rule: request::Error| refuse_by(Refusal::BadRequest, rule))?;
        let recipient = self.prove(&request, viewer, now)?;
        let (terms, records) = self.decide(&request, viewer, now).await?;

        let request_hash = sha256(request.signing_input.as_bytes());
        let parties = Parties { apu: self.service_id.as_bytes(), apv: &request_hash };
        let sealed_keys = {
            let keys = self.unwrap_granted(&terms, &records)?;
            seal::seal(&keys, &recipient, parties)?
        };
        let device = request.device_key.thumbprint();
        let license_id = self.naming_key.license_id(request.signing_input);
        let context = Context {
            service_id: &self.service_id,
            account: &viewer.entitlement().account.sub,
            license_id: license_id.clone(),
            device,
            nonce: request.jti,
            session_type: request.session_type,
            sealed_keys,
        };
        let signers = self.signers();
        let signer = signers.current(now).ok_or(keyring::Error::Incomplete("signing key"))?;
        let license = license::sign(&terms, context, signer)?;
        Ok(Granted { license, id: license_id, device: device.to_string(), terms })
    }

    /// Whether the request is by who sends it, for this service, now, and with this token. Answers the
    /// key to seal to.
    fn prove(
        &self,
        request: &SignedRequest<'_>,
        viewer: &Viewer,
        now: UnixTime,
    ) -> Result<PublicKey, Stop> {
        let message = request.signing_input.as_bytes();
        if !sign::verify(&request.device_key, message, &request.signature) {
            let rule = "the request's signature does not verify under its own jwk";
            return Err(refuse_by(Refusal::ProofInvalid, rule));
        }
        if request.aud != self.service_id {
            return Err(refuse_by(Refusal::BadRequest, "aud is not the id of this service"));
        }
        if request.iat.abs_diff(now) > IAT_DISTANCE_SECS_MAX {
            return Err(refuse(Refusal::RequestStale));
        }
        if request.ath != *viewer.token_hash() {
            let rule = "ath is not the SHA-256 of the authorization token that was sent";
            return Err(refuse_by(Refusal::ProofInvalid, rule));
        }
        let device = request.device_key.thumbprint();
        if viewer.entitlement().device.is_some_and(|bound| bound != device) {
            return Err(refuse(Refusal::TokenNotBound));
        }
        let recipient = PublicKey::from_jwk(&request.enc_jwk)
            .map_err(|why| refuse_by(Refusal::BadRequest, format_args!("enc_jwk: {why}")))?;
        if recipient == request.device_key {
            let rule = "enc_jwk is the device key; one key has one purpose";
            return Err(refuse_by(Refusal::BadRequest, rule));
        }
        Ok(recipient)
    }

    async fn decide(
        &self,
        request: &SignedRequest<'_>,
        viewer: &Viewer,
        now: UnixTime,
    ) -> Result<(Terms, Vec<KeyRecord>), Stop> {
        decision::judge_kind(request.request_type).map_err(refuse)?;
        let token = viewer.entitlement();
        let store = self.vault.store();
        let mut asked = Asked {
            content_id: request.content_id.clone(),
            known_kids: Vec::new(),
            names_kids: !request.kids.is_empty(),
        };
        for kid in &request.kids {
            if let Some(record) = record::key(&*store, *kid).await? {
                asked.known_kids.push((record.kid, record.content_id));
            }
        }
        let scope = scope(&asked, token).map_err(refuse)?;
        let content = record::content(&*store, &scope.content).await?;
        let content = content.ok_or_else(|| refuse(Refusal::NotAuthorized))?;
        let records = record::keys_of(&*store, &content.content_id).await?;
        let title = Title {
            content: content.content_id,
            policies: content.policies,
            keys: records.iter().map(title_key).collect(),
        };
        let request = Request {
            request_type: request.request_type,
            session_type: request.session_type,
            kids: scope.kids,
            device_level: SecurityLevel::SwSecureCrypto,
        };
        let authorized = decision::authorize(&request, &title, token).map_err(refuse)?;
        let policy_id = authorized.policy_id();
        let policy = self.policies.get(policy_id).ok_or_else(|| Error::NoPolicy {
            content: title.content.clone(),
            policy: policy_id.to_owned(),
        })?;
        match decision::decide(&request, &authorized, policy, token, now) {
            Decision::Grant(terms) => Ok((terms, records)),
            Decision::Refuse(refusal) => Err(refuse(refusal)),
        }
    }

    fn unwrap_granted(
        &self,
        terms: &Terms,
        records: &[KeyRecord],
    ) -> Result<Vec<(KeyId, ContentKey)>, Error> {
        let keyring = self.vault.keyring();
        let granted =
            |record: &&KeyRecord| terms.tracks.iter().any(|track| track.kid == record.kid);
        records
            .iter()
            .filter(granted)
            .map(|record| Ok((record.kid, keyring.content_key(record)?)))
            .collect()
    }
}

/// A license on its way out, and what the log says of it.
struct Granted {
    license: String,
    id: String,
    device: String,
    terms: Terms,
}

fn title_key(record: &KeyRecord) -> TitleKey {
    let KeyRecord { kid, track_type, state, .. } = record;
    TitleKey { kid: *kid, track: *track_type, active: *state == KeyState::Active }
}
