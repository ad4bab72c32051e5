//! The running service: what it knows, ready to be asked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use reelkey_client::time::UnixTime;
use serde_json::{Value, json};
use tokio::sync;

use crate::authority::admin;
use crate::authority::issuer::Issuers;
use crate::authority::keyring;
use crate::authority::operation::{Operation, Outcome};
use crate::authority::signers::Signers;
use crate::authority::vault::{self, Vault};
use crate::crypto::request_name::NamingKey;
use crate::domain::policy::Policy;
use crate::store::record;

/// Everything that a use case needs, behind one handle.
pub struct Authority {
    pub(super) service_id: String,
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) vault: Vault,
    pub(super) naming_key: NamingKey,
    issuers: RwLock<Arc<Issuers>>,
    signers: RwLock<Arc<Signers>>,
    /// Held from reading issuers or signers anew until they are in force, so that the later reading stays.
    turn: sync::Mutex<()>,
}

/// What the operator decided.
#[derive(Debug)]
pub struct Setup {
    /// The `aud` of requests and the `iss` of licenses.
    pub service_id: String,
    /// Who may issue tokens.
    pub issuers: Issuers,
    /// The policies.
    pub policies: Vec<Policy>,
}

impl Authority {
    /// Makes a service of an open vault.
    ///
    /// # Errors
    /// [`vault::Error`].
    pub async fn open(setup: Setup, vault: Vault) -> Result<Self, vault::Error> {
        let naming_key = record::naming_key(&*vault.store()).await?;
        let naming_key = naming_key.ok_or(keyring::Error::Incomplete("key that names requests"))?;
        let naming_key = vault.keyring().naming_key(&naming_key)?;
        let signers = RwLock::new(Arc::new(Signers::read(&vault).await?));
        let Setup { service_id, issuers, policies } = setup;
        let issuers = RwLock::new(Arc::new(issuers));
        let policies = policies.into_iter().map(|policy| (policy.name.clone(), policy)).collect();
        Ok(Self {
            service_id,
            policies,
            vault,
            naming_key,
            issuers,
            signers,
            turn: sync::Mutex::new(()),
        })
    }

    /// The issuers as they are now.
    pub(super) fn issuers(&self) -> Arc<Issuers> {
        Arc::clone(&self.issuers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The signing keys as they are now.
    pub(super) fn signers(&self) -> Arc<Signers> {
        Arc::clone(&self.signers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Trusts the issuers that `read` answers from now on, and no other.
    ///
    /// # Errors
    /// What `read` says; then nothing is changed.
    pub async fn replace_issuers<E>(
        &self,
        read: impl FnOnce() -> Result<Issuers, E>,
    ) -> Result<(), E> {
        let _turn = self.turn.lock().await;
        let issuers = Arc::new(read()?);
        *self.issuers.write().unwrap_or_else(PoisonError::into_inner) = issuers;
        Ok(())
    }

    /// Executes an operator's operation at `now`. What it changes is in force when it is answered.
    ///
    /// # Errors
    /// [`admin::Error`].
    pub async fn administer(
        &self,
        operation: Operation,
        now: UnixTime,
    ) -> Result<Outcome, admin::Error> {
        let policies: Vec<_> = self.policies.keys().cloned().collect();
        let outcome = admin::execute(&self.vault, &policies, operation, now).await?;
        if let Outcome::Signers { .. } = outcome {
            let _turn = self.turn.lock().await;
            let signers = Arc::new(Signers::read(&self.vault).await?);
            *self.signers.write().unwrap_or_else(PoisonError::into_inner) = signers;
        }
        Ok(outcome)
    }

    /// Whether licenses can be granted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.vault.store().is_healthy()
    }

    /// The JWK Set by which licenses are verified at `now` (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self, now: UnixTime) -> Value {
        let longest = self.policies.values().map(|policy| policy.license_duration.as_secs()).max();
        let keys: Vec<_> = self
            .signers()
            .published(now, longest.unwrap_or(0))
            .map(|signer| {
                let mut jwk = signer.public_key().to_jwk();
                if let Some(members) = jwk.as_object_mut() {
                    let kid = signer.public_key().thumbprint().to_string();
                    members.insert("kid".into(), kid.into());
                    members.insert("use".into(), "sig".into());
                    members.insert("alg".into(), "ES256".into());
                }
                jwk
            })
            .collect();
        json!({ "keys": keys })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({:?}, ..)", self.service_id)
    }
}
