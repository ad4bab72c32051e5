//! The state of the running service. The use cases that work on it are in [`issuing`](crate::authority::issuing) and
//! [`operation`](crate::authority::operation).

use std::fmt;
use std::sync::Arc;

use reelkey_client::time::UnixTime;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::authority::counters::Counters;
use crate::authority::in_force::{Change, Decided, InForce, Snapshot};
use crate::authority::packager::Packagers;
use crate::authority::stop::{Remedy, Stop};
use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;
use crate::authority::vault::signers::Signers;
use crate::crypto::request_name::NamingKey;
use crate::domain::content::ContentId;
use crate::store::engine::Store;
use crate::store::record::title;

/// How many files of origins are read at once. A read takes some microseconds, unless the disk does not answer.
const ORIGIN_READS_MAX: usize = 32;

/// Everything that the use cases need, in one value.
pub struct Authority {
    pub(super) service_id: String,
    pub(super) vault: Vault,
    pub(super) naming_key: NamingKey,
    pub(super) in_force: InForce,
    pub(super) counters: Counters,
    /// The readers of keys that origins wrote.
    pub(super) origin_reads: Arc<Semaphore>,
}

/// What the names of issuers begin with in [`Decided::made_of`].
pub const ISSUER: &str = "issuer ";

/// Why what the operator decided is not put in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("content {content} names the policy {policy:?}, and there is no policies/{policy}.toml")]
pub struct PolicyInUse {
    /// The content.
    pub content: ContentId,
    /// The policy that would be missing.
    pub policy: String,
}

impl Remedy for PolicyInUse {
    fn remedy(&self) -> Option<String> {
        Some(format!(
            "put policies/{}.toml back, or retire the keys of {}",
            self.policy, self.content
        ))
    }
}

impl Authority {
    /// Starts a service on an open vault.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn open(service_id: String, decided: Decided, vault: Vault) -> Result<Self, Fault> {
        let naming_key = vault.naming_key().await?;
        let signers = Arc::new(Signers::read(&vault).await?);
        let packagers = Arc::new(Packagers::read(&vault, &Packagers::default()).await?);
        let in_force = InForce::new(Snapshot::new(decided, signers, packagers));
        let counters = Counters::new(vault.engine().meter());
        let origin_reads = Arc::new(Semaphore::new(ORIGIN_READS_MAX));
        Ok(Self { service_id, vault, naming_key, in_force, counters, origin_reads })
    }

    /// The current snapshot.
    #[must_use]
    pub fn in_force(&self) -> Arc<Snapshot> {
        self.in_force.load()
    }

    /// Begins a change of what is in force. The caller then reads its files: the later reading stays.
    pub async fn change(&self) -> Change<'_> {
        self.in_force.change().await
    }

    /// Puts in force what the operator decided: all of it, or nothing.
    ///
    /// # Errors
    /// [`PolicyInUse`], or a failure of the store.
    pub async fn put(&self, change: Change<'_>, decided: Decided) -> Result<(), Stop<PolicyInUse>> {
        let before = change.before();
        let decided = Decided { issuers: decided.issuers.after(&before.issuers), ..decided };
        let snapshot = Snapshot::new(decided, before.signers, before.packagers);
        for title in title::titles(&*self.vault.store()).await? {
            let mut named = title.content.policies.iter();
            if let Some(policy) = named.find(|name| !snapshot.policies.contains_key(*name)) {
                let (content, policy) = (title.content.content_id.clone(), policy.clone());
                return Err(Stop::Refused(PolicyInUse { content, policy }));
            }
        }
        change.put(snapshot);
        Ok(())
    }

    /// Puts the issuers in force that the operator decided on, and nothing else.
    pub fn put_issuers(&self, change: Change<'_>, decided: Decided) {
        let before = change.before();
        let is_issuer = |name: &&String| name.starts_with(ISSUER);
        let others = before.made_of.iter().filter(|(name, _)| !is_issuer(name));
        let issuers = decided.made_of.iter().filter(|(name, _)| is_issuer(name));
        let made_of = others.chain(issuers).map(|(name, made)| (name.clone(), made.clone()));
        change.put(Snapshot {
            issuers: Arc::new(decided.issuers.after(&before.issuers)),
            made_of: Arc::new(made_of.collect()),
            ..before
        });
    }

    /// What grants left behind.
    #[must_use]
    pub fn facts(&self) -> Arc<dyn Store> {
        self.vault.facts()
    }

    /// What the service counts.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
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
        let longest = policies.map(|policy| policy.longest_license().as_secs()).max();
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
