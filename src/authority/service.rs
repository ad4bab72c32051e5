//! The running service: what it knows, ready to be asked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::authority::admin::{self, Operation, Outcome, Vault};
use crate::authority::issuer::Issuers;
use crate::authority::keyring::{self, Keyring};
use crate::crypto::request_name::NamingKey;
use crate::crypto::root_key::RootKey;
use crate::crypto::sign::SigningKey;
use crate::domain::policy::Policy;
use crate::store::Store;
use crate::store::record::{self, SignerRecord};

/// Everything that a use case needs, behind one handle.
pub struct Authority {
    pub(super) service_id: String,
    pub(super) issuers: RwLock<Arc<Issuers>>,
    pub(super) policies: BTreeMap<String, Policy>,
    pub(super) store: Arc<dyn Store>,
    pub(super) keyring: Keyring,
    pub(super) signer: SigningKey,
    pub(super) naming_key: NamingKey,
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
    /// Opens the store with the root key. The root key is not kept.
    ///
    /// # Errors
    /// [`keyring::Error`].
    pub async fn open(
        setup: Setup,
        store: Arc<dyn Store>,
        root: &RootKey,
    ) -> Result<Self, keyring::Error> {
        let keyring = Keyring::open(root, &*store).await?;
        let signers = record::all::<SignerRecord>(&*store).await?;
        let newest = signers.iter().max_by_key(|signer| signer.created_at);
        let signer = keyring.signer(newest.ok_or(keyring::Error::NotSetUp)?)?;
        let naming_key = record::naming_key(&*store).await?.ok_or(keyring::Error::NotSetUp)?;
        let naming_key = keyring.naming_key(&naming_key)?;
        let Setup { service_id, issuers, policies } = setup;
        let policies = policies.into_iter().map(|policy| (policy.name.clone(), policy)).collect();
        let issuers = RwLock::new(Arc::new(issuers));
        Ok(Self { service_id, issuers, policies, store, keyring, signer, naming_key })
    }

    /// The issuers as they are now.
    pub(super) fn issuers(&self) -> Arc<Issuers> {
        Arc::clone(&self.issuers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Trusts these issuers from now on, and no other.
    pub fn set_issuers(&self, issuers: Issuers) {
        *self.issuers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(issuers);
    }

    /// Executes an operator's operation at `now`.
    ///
    /// # Errors
    /// [`admin::Error`].
    pub async fn administer(
        &self,
        operation: Operation,
        now: UnixTime,
    ) -> Result<Outcome, admin::Error> {
        let vault = Vault { store: &*self.store, keyring: &self.keyring };
        let policies: Vec<_> = self.policies.keys().cloned().collect();
        admin::execute(vault, &policies, operation, now).await
    }

    /// Whether licenses can be granted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.store.is_healthy()
    }

    /// The JWK Set by which licenses are verified (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self) -> Value {
        let mut jwk = self.signer.public_key().to_jwk();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".into(), self.signer.public_key().thumbprint().to_string().into());
            members.insert("use".into(), "sig".into());
            members.insert("alg".into(), "ES256".into());
        }
        json!({ "keys": [jwk] })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({:?}, ..)", self.service_id)
    }
}
