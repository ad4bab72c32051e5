//! Releases: a device gives a license back and gets a receipt for it.
//!
//! The device key and the license ID are enough: a page that closes sends a request that it signed ahead, and its token may be
//! gone by then. A release is answered whatever became of policy or device, and as often as it comes.

use reelkey_client::exchange::license::Confirmation;
use reelkey_client::exchange::receipt::{Claims, TYP};
use reelkey_client::exchange::request::{RequestType, SignedRequest};

use crate::authority::commit::Attempts;
use crate::authority::in_force::Snapshot;
use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::issuing::decided::{Answer, Granted, Trail};
use crate::authority::issuing::license::signed;
use crate::authority::issuing::proof;
use crate::authority::issuing::refused::{Refused, refuse, refuse_by};
use crate::authority::issuing::token::Viewer;
use crate::authority::registry::held::Held;
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::domain::decision::Delivery;
use crate::domain::refusal::Refusal;
use crate::domain::release::{Release, release};
use crate::store::record::fact::account::AccountId;

impl Authority {
    /// Answers a release that came without a token, and counts it. The answer is a receipt, a compact JWS. Returns `None` if the
    /// body is not a release: every other request needs a token. **The caller logs a refusal**: anybody can cause it, so its lines
    /// have to be few.
    ///
    /// # Errors
    /// [`Fault`], as [`Authority::issue`].
    pub async fn release_without_token(
        &self,
        body: &[u8],
        circumstances: Circumstances<'_>,
    ) -> Result<Option<Answer<String>>, Fault> {
        let request = match SignedRequest::parse(body) {
            Ok(request) if request.request_type == RequestType::Release => request,
            _ => return Ok(None),
        };
        let (timer, in_force) = (self.counters().license(), self.in_force());
        let mut trail = Trail::new(Delivery::Sealed, &in_force);
        let receipt = self.release(&request, None, &in_force, circumstances, &mut trail).await;
        match receipt {
            Ok(released) => {
                timer.released();
                Ok(Some(Answer::Granted(released.answer)))
            }
            Err(Stop::Refused(refused)) => {
                timer.refused(refused.refusal);
                Ok(Some(Answer::Refused(refused)))
            }
            Err(Stop::Failed(fault)) => {
                timer.failed();
                Err(fault)
            }
        }
    }

    /// Gives a license back. Returns the receipt.
    pub(super) async fn release(
        &self,
        request: &SignedRequest<'_>,
        viewer: Option<&Viewer>,
        in_force: &Snapshot,
        circumstances: Circumstances<'_>,
        trail: &mut Trail,
    ) -> Result<Granted<String>, Stop<Refused>> {
        let now = circumstances.now;
        let device = request.device_key.thumbprint();
        trail.device = Some(device);
        proof::prove_release(request, viewer, &self.service_id)?;
        let unknown = || refuse(Refusal::NotAuthorized);
        let id = request.license_id.as_deref().and_then(|id| id.parse().ok());
        let id = id.ok_or_else(unknown)?;
        let account = viewer.map(|viewer| {
            let account = &viewer.entitlement().account;
            AccountId::from_bytes(self.naming_key.account_id(&account.iss, &account.sub))
        });
        let memory = self.vault.facts();
        let mut attempts = Attempts::default();
        let (license, is_first) = loop {
            let held = Held::find(&*memory, id).await?.ok_or_else(unknown)?;
            let is_account = account.is_none_or(|account| account == held.account());
            if !is_account || held.license().device != device {
                return Err(unknown());
            }
            let license = held.license();
            trail.content = Some(license.content.to_string());
            if license.session_type != request.session_type {
                let rule = "session_type is not that of the license";
                return Err(refuse_by(Refusal::BadRequest, rule));
            }
            let said = Release { signed_at: request.iat, first_play_secs: request.first_play, now };
            let (usage, slot) = (held.usage(), held.slot());
            let changes = release(said, &license, usage.as_ref(), slot.as_ref())?;
            let batch = held.batch(&changes)?;
            let is_first = !batch.is_empty();
            if attempts.commit(&*memory, batch).await? {
                break (license, is_first);
            }
        };
        // A release is answered as often as it comes, and logged once.
        if is_first {
            tracing::info!(request.id = %circumstances.request_id, license.id = %id,
                content.id = %license.content, device = %device, "license released");
        }
        let signer = in_force.signers.current(now).ok_or(Fault::Incomplete("signing key"))?;
        let claims = Claims {
            iss: self.service_id.clone(),
            sub: license.sub,
            jti: id.to_string(),
            iat: now.as_secs(),
            nonce: request.jti.clone(),
            cnf: Confirmation { jkt: device.to_string() },
            counter: license.counter,
        };
        Ok(Granted { answer: signed(TYP, &claims, signer)?, id: None, terms: None })
    }
}
