//! The state of the running service. The use cases that work on it are in [`issuing`](crate::authority::issuing) and
//! [`operation`](crate::authority::operation).

use std::fmt;
use std::sync::Arc;

use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::authority::in_force::{InForce, Policies, Snapshot};
use crate::authority::issuer::Issuers;
use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;
use crate::authority::vault::signers::Signers;
use crate::crypto::request_name::NamingKey;
use crate::domain::origin::Origin;
use crate::domain::policy::Policy;
use crate::store::record::naming_key::NamingKeyRecord;
use crate::store::record::stored;

/// Everything that the use cases need, in one value.
pub struct Authority {
    pub(super) service_id: String,
    pub(super) vault: Vault,
    pub(super) naming_key: NamingKey,
    pub(super) in_force: InForce,
}

/// The operator's configuration.
#[derive(Debug)]
pub struct Setup {
    /// The `aud` of requests and the `iss` of licenses.
    pub service_id: String,
    /// The trusted issuers of authorization tokens.
    pub issuers: Issuers,
    /// The policies.
    pub policies: Vec<Policy>,
    /// The origins whose pages may send requests (CORS).
    pub origins: Vec<Origin>,
}

impl Authority {
    /// Starts a service on an open vault.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn open(setup: Setup, vault: Vault) -> Result<Self, Fault> {
        let naming_key = stored::only::<NamingKeyRecord>(&*vault.store()).await?;
        let naming_key = naming_key.ok_or(Fault::Incomplete("key that names requests"))?;
        let naming_key = vault.keyring().naming_key(&naming_key)?;
        let Setup { service_id, issuers, policies, origins } = setup;
        let policies: Policies =
            policies.into_iter().map(|policy| (policy.name.clone(), policy)).collect();
        let in_force = InForce::new(Snapshot {
            policies: Arc::new(policies),
            issuers: Arc::new(issuers),
            origins: origins.into(),
            signers: Arc::new(Signers::read(&vault).await?),
        });
        Ok(Self { service_id, vault, naming_key, in_force })
    }

    /// The current snapshot.
    #[must_use]
    pub fn in_force(&self) -> Arc<Snapshot> {
        self.in_force.load()
    }

    /// Replaces the trusted issuers by those that `read` returns.
    ///
    /// # Errors
    /// The error of `read`. In this case nothing is changed.
    pub async fn replace_issuers<E>(
        &self,
        read: impl FnOnce() -> Result<Issuers, E> + Send,
    ) -> Result<(), E> {
        let change = self.in_force.change().await;
        let issuers = Arc::new(read()?);
        let snapshot = Snapshot { issuers, ..change.before() };
        change.put(snapshot);
        Ok(())
    }

    /// Whether licenses can be granted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.vault.store().is_healthy()
    }

    /// The JWK Set by which licenses are verified at `now` (RFC 7517 section 5).
    #[must_use]
    pub fn jwks(&self, now: UnixTime) -> Value {
        let snapshot = self.in_force();
        let policies = snapshot.policies.values();
        let longest = policies.map(|policy| policy.license_duration.as_secs()).max();
        let keys: Vec<_> = snapshot
            .signers
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
