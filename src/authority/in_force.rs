//! What is in force: the operator's configuration and the signing keys. They are one snapshot, which is replaced as a
//! whole. So a request sees either all of a change or nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, MutexGuard};

use crate::authority::atlas::asked::Atlas;
use crate::authority::issuer::Issuers;
use crate::authority::key_directory::KeyDirectory;
use crate::authority::makers::Makers;
use crate::authority::packager::Packagers;
use crate::authority::vault::signers::Signers;
use crate::domain::logged_address::LoggedAddress;
use crate::domain::origin::Origin;
use crate::domain::policy::Policy;

/// The policies, by name.
pub type Policies = BTreeMap<String, Policy>;

/// Everything that is in force at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The policies that a content can be put under.
    pub policies: Arc<Policies>,
    /// The issuers of authorization tokens.
    pub issuers: Arc<Issuers>,
    /// The CAs that vouch for devices.
    pub makers: Arc<Makers>,
    /// The origins whose pages may send requests (CORS).
    pub origins: Arc<[Origin]>,
    /// Where addresses are.
    pub atlas: Arc<Atlas>,
    /// How much of clients' addresses the log may have.
    pub addresses: LoggedAddress,
    /// The folders of keys that origins write.
    pub key_directories: Arc<[KeyDirectory]>,
    /// The keys that sign licenses.
    pub signers: Arc<Signers>,
    /// The packagers.
    pub packagers: Arc<Packagers>,
    /// The fingerprints of [`Decided::made_of`].
    pub made_of: Arc<BTreeMap<String, String>>,
}

/// What the operator decided, as it was read from its files.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// The issuers of authorization tokens.
    pub issuers: Issuers,
    /// The policies.
    pub policies: Vec<Policy>,
    /// The CAs that vouch for devices.
    pub makers: Makers,
    /// The origins whose pages may ask.
    pub origins: Vec<Origin>,
    /// Where addresses are.
    pub atlas: Arc<Atlas>,
    /// How much of clients' addresses the log may have.
    pub addresses: LoggedAddress,
    /// The folders of keys that origins write.
    pub key_directories: Vec<KeyDirectory>,
    /// A fingerprint of each file or entry that this was read from, by a name of the reader's. It tells whether the
    /// files have changed since.
    pub made_of: BTreeMap<String, String>,
}

impl Snapshot {
    /// A snapshot of what the operator decided, with these signing keys and packagers of the store.
    #[must_use]
    pub fn new(decided: Decided, signers: Arc<Signers>, packagers: Arc<Packagers>) -> Self {
        let Decided {
            issuers,
            policies,
            makers,
            origins,
            atlas,
            addresses,
            key_directories,
            made_of,
        } = decided;
        let named = policies.into_iter().map(|policy| (policy.name.clone(), policy));
        Self {
            policies: Arc::new(named.collect()),
            issuers: Arc::new(issuers),
            makers: Arc::new(makers),
            origins: origins.into(),
            atlas,
            addresses,
            key_directories: key_directories.into(),
            signers,
            packagers,
            made_of: Arc::new(made_of),
        }
    }
}

/// Holds the current snapshot. Readers never wait.
#[derive(Debug)]
pub struct InForce {
    current: ArcSwap<Snapshot>,
    /// Held while a new snapshot is read and put in force, so that a slow, older reading cannot replace a newer one.
    turn: Mutex<()>,
}

impl InForce {
    /// Starts with this snapshot in force.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot), turn: Mutex::default() }
    }

    /// The current snapshot.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Begins a change. No other change can begin until this one is put in force or dropped.
    pub async fn change(&self) -> Change<'_> {
        Change { in_force: self, _turn: self.turn.lock().await }
    }
}

/// A change of what is in force. If it is dropped, nothing changes.
#[derive(Debug)]
pub struct Change<'a> {
    in_force: &'a InForce,
    _turn: MutexGuard<'a, ()>,
}

impl Change<'_> {
    /// A copy of the current snapshot, as the basis of the new one.
    #[must_use]
    pub fn before(&self) -> Snapshot {
        Snapshot::clone(&self.in_force.load())
    }

    /// Puts a snapshot in force.
    pub fn put(self, snapshot: Snapshot) {
        self.in_force.current.store(Arc::new(snapshot));
    }
}
