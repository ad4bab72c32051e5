//! Issuing a license: content keys are in the clear only between unwrapping and sealing.
//!
//! Cheap checks come before expensive ones, and the first failed check is the answer: token, request, proof of
//! possession, then the decision on the facts from the store. The cryptography runs on the same thread, because it
//! takes 140 µs, less than a switch to another thread.

use reelkey_client::exchange::jwe::Parties;
use reelkey_client::exchange::request::{self, RequestType, SignedRequest};
use reelkey_client::strict::jwk::{PublicKey, Thumbprint};
use reelkey_client::time::UnixTime;

use crate::authority::in_force::Snapshot;
use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::issuing::decided::{Answer, Granted, Trail};
use crate::authority::issuing::facts::{Keys, Wanted};
use crate::authority::issuing::license::{self, Context};
use crate::authority::issuing::proof::{Proof, prove, recipient};
use crate::authority::issuing::refused::{Refused, refuse_by};
use crate::authority::issuing::token::Viewer;
use crate::authority::registry::held::Held;
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::crypto::seal;
use crate::domain::decision::{Asker, Delivery, Terms, Vouched};
use crate::domain::denial::Denial;
use crate::domain::entitlement::Entitlement;
use crate::domain::past::LicenseId;
use crate::domain::refusal::Refusal;
use crate::store::record::fact::account::AccountId;

impl Authority {
    /// Decides on a license request. The license is a compact JWS. One line of the log says what was decided and why.
    ///
    /// # Errors
    /// [`Fault`]: the caller logs it. The player learns nothing about it.
    pub async fn issue(
        &self,
        token: &str,
        body: &[u8],
        circumstances: Circumstances<'_>,
    ) -> Result<Answer<String>, Fault> {
        let grant = async |viewer: &Viewer, in_force: &Snapshot, trail: &mut Trail| {
            self.issue_to(viewer, body, in_force, circumstances, trail).await
        };
        self.decided(token, Delivery::Sealed, circumstances, grant).await
    }

    async fn issue_to(
        &self,
        viewer: &Viewer,
        body: &[u8],
        in_force: &Snapshot,
        circumstances: Circumstances<'_>,
        trail: &mut Trail,
    ) -> Result<Granted<String>, Stop<Refused>> {
        let now = circumstances.now;
        let request = SignedRequest::parse(body)
            .map_err(|rule: request::Error| refuse_by(Refusal::BadRequest, rule))?;
        trail.content.clone_from(&request.content_id);
        trail.device = Some(request.device_key.thumbprint());
        if request.request_type == RequestType::Release {
            let viewer = Some(viewer);
            return self.release(&request, viewer, in_force, circumstances, trail).await;
        }
        let proof = prove(&request, viewer, &self.service_id, now)?;
        let recipient = recipient(&request)?;
        let token = viewer.entitlement();
        let asker = self.asker(&request, proof.device);
        let renewed = self.renewed_content(&request, &asker, token).await?;
        let wanted = Wanted {
            request_type: request.request_type,
            session_type: request.session_type,
            kids: &request.kids,
            content_id: renewed.as_deref().or(request.content_id.as_deref()),
            vouched: self.vouched(&request, in_force, now, trail),
            delivery: Delivery::Sealed,
            asker: Some(asker),
            of_origin: None,
        };
        let make = |terms: &Terms, keys: &Keys| {
            let license_id = terms.license.ok_or(Fault::Incomplete("license ID"))?.to_string();
            let context = Context {
                service_id: &self.service_id,
                account: &token.account.sub,
                license_id: license_id.clone(),
                device: proof.device,
                nonce: request.jti.clone(),
                session_type: request.session_type,
                sealed_keys: self.seal_granted(terms, keys, &proof, &recipient)?,
            };
            let signer = in_force.signers.current(now).ok_or(Fault::Incomplete("signing key"))?;
            Ok((license::sign(terms, context, signer)?, license_id))
        };
        let decided = self.decide(&wanted, token, in_force, circumstances, trail, make);
        let (terms, _, (license, id)) = decided.await?;
        Ok(Granted { answer: license, id: Some(id), terms: Some(terms) })
    }

    /// What the certificates of the request vouch for.
    fn vouched(
        &self,
        request: &SignedRequest<'_>,
        in_force: &Snapshot,
        now: UnixTime,
        trail: &mut Trail,
    ) -> Vouched {
        let vouched = in_force.makers.judge(&request.certificates, &request.device_key, now);
        trail.vouched = vouched.clone();
        vouched
    }

    /// The device that asks, and which license it asks for.
    fn asker(&self, request: &SignedRequest<'_>, device: Thumbprint) -> Asker {
        let parsed = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Asker {
            device,
            name: request.device.name.clone(),
            model: request.device.model.clone(),
            request: LicenseId::from_bytes(self.naming_key.license_id(request.signing_input)),
            renews: parsed(&request.license_id),
            first_play_secs: request.first_play,
            end_session: parsed(&request.end_session),
        }
    }

    /// The content of the license that is renewed; `None` for a new one.
    async fn renewed_content(
        &self,
        request: &SignedRequest<'_>,
        asker: &Asker,
        token: &Entitlement,
    ) -> Result<Option<String>, Stop<Refused>> {
        if request.request_type != RequestType::Renewal {
            return Ok(None);
        }
        let unknown = |actual: &str| {
            let (rule, expected) = ("license_id", "a license of this account and device");
            Stop::from(Denial::new(Refusal::NotAuthorized, rule, expected, actual))
        };
        let id = asker.renews.ok_or_else(|| unknown("malformed"))?;
        let account = &token.account;
        let account = self.naming_key.account_id(&account.iss, &account.sub);
        let account = AccountId::from_bytes(account);
        let held = Held::of(&*self.vault.facts(), account, asker.device, id).await?;
        let license = held.ok_or_else(|| unknown("unknown"))?.license();
        if license.entitlement_id != token.entitlement_id {
            return Err(unknown("granted for another entitlement_id"));
        }
        Ok(Some(license.content.to_string()))
    }

    /// Seals the granted keys to the device. The keys are zeroed when this returns.
    fn seal_granted(
        &self,
        terms: &Terms,
        keys: &Keys,
        proof: &Proof,
        recipient: &PublicKey,
    ) -> Result<String, Fault> {
        let keys = self.unwrap_granted(terms, keys)?;
        let parties = Parties { apu: self.service_id.as_bytes(), apv: &proof.request_hash };
        Ok(seal::seal(&keys, recipient, parties)?)
    }
}
