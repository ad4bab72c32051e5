//! What a viewer's own pages ask: which devices the account has, what became of a license.
//!
//! A token of the account is enough; for devices its `scope` has to name them. Nothing here grants keys.

use reelkey_client::exchange::license::IAT_DISTANCE_SECS_MAX;
use reelkey_client::exchange::registration::SignedRegistration;
use reelkey_client::strict::jwk::Thumbprint;

use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::issuing::decided::{Answer, Trail, log_refused, read_viewer};
use crate::authority::issuing::refused::{Refused, refuse, refuse_by};
use crate::authority::issuing::token::Viewer;
use crate::authority::registry::{devices, licenses};
use crate::authority::service::Authority;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::crypto::sign;
use crate::domain::decision::Delivery;
use crate::domain::denial::Denial;
use crate::domain::past::{Device, DeviceStatus, License, LicenseId};
use crate::domain::refusal::Refusal;
use crate::domain::registry::Introduction;
use crate::store::record::fact::account::AccountId;

/// A license, and the device that has it if it is still known.
#[derive(Clone, Debug)]
pub struct Status {
    /// The license.
    pub license: License,
    /// Its device.
    pub device: Option<Device>,
}

impl Authority {
    /// The devices of the viewer's account, for a token whose scope has `devices`.
    ///
    /// # Errors
    /// [`Fault`]: the caller logs it. The viewer learns nothing about it.
    pub async fn devices(
        &self,
        token: &str,
        circumstances: Circumstances<'_>,
    ) -> Result<Answer<Vec<Device>>, Fault> {
        self.asked(token, circumstances, async |viewer, _| {
            let account = self.managed(viewer)?;
            Ok(devices::list(&*self.vault.facts(), &account).await?)
        })
        .await
    }

    /// Makes the device that signed `body` one of the account's.
    ///
    /// # Errors
    /// [`Fault`], as [`Authority::devices`].
    pub async fn add_device(
        &self,
        token: &str,
        body: &[u8],
        circumstances: Circumstances<'_>,
    ) -> Result<Answer<Device>, Fault> {
        self.asked(token, circumstances, async |viewer, trail| {
            let account = self.managed(viewer)?;
            let new = self.introduced(viewer, body, circumstances, trail)?;
            let added = devices::add(&*self.vault.facts(), &account, &new, circumstances.now).await;
            let Some(device) = added? else {
                let most = format!("at most {}", devices::DEVICES_MAX);
                return Err(Denial::new(Refusal::DeviceLimit, "devices", most, "more").into());
            };
            if device.status == DeviceStatus::Revoked {
                return Err(refuse(Refusal::DeviceRevoked));
            }
            tracing::info!(request.id = %circumstances.request_id, device = %device.jkt,
                "device added");
            Ok(device)
        })
        .await
    }

    /// Removes a device from the account. One that was removed before stays removed.
    ///
    /// # Errors
    /// [`Fault`], as [`Authority::devices`].
    pub async fn remove_device(
        &self,
        token: &str,
        jkt: &str,
        circumstances: Circumstances<'_>,
    ) -> Result<Answer<Device>, Fault> {
        self.asked(token, circumstances, async |viewer, trail| {
            let account = self.managed(viewer)?;
            let jkt = Thumbprint::parse(jkt).map_err(|_| refuse(Refusal::NotFound))?;
            trail.device = Some(jkt);
            let (facts, now) = (self.vault.facts(), circumstances.now);
            let known = devices::find(&*facts, &account, jkt).await?;
            // A viewer must not undo what the operator has revoked.
            if known.is_some_and(|known| known.status == DeviceStatus::Revoked) {
                return Err(refuse(Refusal::DeviceRevoked));
            }
            let removed = DeviceStatus::Removed;
            let set = devices::set_status(&*facts, &account, jkt, removed, now).await?;
            let (device, changed) = set.ok_or_else(|| refuse(Refusal::NotFound))?;
            if changed {
                tracing::info!(request.id = %circumstances.request_id, device = %jkt,
                    "device removed");
            }
            Ok(device)
        })
        .await
    }

    /// What became of a license of the viewer's account.
    ///
    /// # Errors
    /// [`Fault`], as [`Authority::devices`].
    pub async fn license_status(
        &self,
        token: &str,
        id: &str,
        circumstances: Circumstances<'_>,
    ) -> Result<Answer<Status>, Fault> {
        self.asked(token, circumstances, async |viewer, _| {
            let unknown = || {
                let (rule, expected) = ("license_id", "a license of this account");
                Stop::from(Denial::new(Refusal::NotAuthorized, rule, expected, "unknown"))
            };
            let id: LicenseId = id.parse().map_err(|_| unknown())?;
            let (facts, account) = (self.vault.facts(), self.account_of(viewer));
            let owned = licenses::find(&*facts, id).await?;
            let owned = owned.filter(|owned| owned.account == account).ok_or_else(unknown)?;
            let license = owned.license;
            let device = devices::find(&*facts, &account, license.device).await?;
            Ok(Status { license, device })
        })
        .await
    }

    /// Reads the token, lets `answer` answer its viewer, and logs a refusal.
    async fn asked<T>(
        &self,
        token: &str,
        circumstances: Circumstances<'_>,
        answer: impl AsyncFnOnce(&Viewer, &mut Trail) -> Result<T, Stop<Refused>>,
    ) -> Result<Answer<T>, Fault> {
        let in_force = self.in_force();
        let mut trail = Trail::new(Delivery::Sealed, &in_force);
        let viewer = match read_viewer(&in_force, token, circumstances.now) {
            Ok(viewer) => viewer,
            Err(refused) => {
                log_refused(circumstances, None, &trail, &refused);
                return Ok(Answer::Refused(refused.refusal.into()));
            }
        };
        match answer(&viewer, &mut trail).await {
            Ok(answer) => Ok(Answer::Granted(answer)),
            Err(Stop::Refused(refused)) => {
                log_refused(circumstances, Some(&viewer), &trail, &refused);
                Ok(Answer::Refused(refused))
            }
            Err(Stop::Failed(fault)) => Err(fault),
        }
    }

    /// The account of a token that may manage devices.
    fn managed(&self, viewer: &Viewer) -> Result<AccountId, Stop<Refused>> {
        match viewer.entitlement().manages_devices {
            true => Ok(self.account_of(viewer)),
            false => {
                let (rule, expected) = ("scope", "devices");
                Err(Denial::new(Refusal::NotAuthorized, rule, expected, "none").into())
            }
        }
    }

    fn account_of(&self, viewer: &Viewer) -> AccountId {
        let account = &viewer.entitlement().account;
        AccountId::from_bytes(self.naming_key.account_id(&account.iss, &account.sub))
    }

    /// The device that signed a registration, once it has proved that it holds its key.
    fn introduced(
        &self,
        viewer: &Viewer,
        body: &[u8],
        circumstances: Circumstances<'_>,
        trail: &mut Trail,
    ) -> Result<Introduction, Stop<Refused>> {
        let said =
            SignedRegistration::parse(body).map_err(|rule| refuse_by(Refusal::BadRequest, rule))?;
        let jkt = said.device_key.thumbprint();
        trail.device = Some(jkt);
        if !sign::verify(&said.device_key, said.signing_input.as_bytes(), &said.signature) {
            let rule = "the registration's signature does not verify under its own jwk";
            return Err(refuse_by(Refusal::ProofInvalid, rule));
        }
        if said.aud != self.service_id {
            return Err(refuse_by(Refusal::BadRequest, "aud is not the id of this service"));
        }
        if said.iat.abs_diff(circumstances.now) > IAT_DISTANCE_SECS_MAX {
            return Err(refuse(Refusal::RequestStale));
        }
        if said.ath != *viewer.token_hash() {
            let rule = "ath is not the SHA-256 of the authorization token that was sent";
            return Err(refuse_by(Refusal::ProofInvalid, rule));
        }
        if viewer.entitlement().device.is_some_and(|bound| bound != jkt) {
            return Err(refuse(Refusal::TokenNotBound));
        }
        Ok(Introduction { jkt, name: said.device.name, model: said.device.model })
    }
}
