//! What is in force: what the operator decided, and the keys that sign. One snapshot, swapped as a whole, so that a request
//! sees all of a change or nothing of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, MutexGuard};

use crate::authority::issuer::Issuers;
use crate::authority::vault::signers::Signers;
use crate::domain::origin::Origin;
use crate::domain::policy::Policy;

/// The policies, by name.
pub type Policies = BTreeMap<String, Policy>;

/// What is in force at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What contents may be put under.
    pub policies: Arc<Policies>,
    /// Who may issue authorization tokens.
    pub issuers: Arc<Issuers>,
    /// Whose pages may ask.
    pub origins: Arc<[Origin]>,
    /// What licenses are signed with.
    pub signers: Arc<Signers>,
}

/// Holds the snapshot. Readers never wait.
#[derive(Debug)]
pub struct InForce {
    current: ArcSwap<Snapshot>,
    /// Held from reading something anew until it is in force, so that the later reading stays.
    turn: Mutex<()>,
}

impl InForce {
    /// Puts a snapshot in force.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot), turn: Mutex::default() }
    }

    /// What is in force now.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Begins a change. Until it is put in force or dropped, no other begins.
    pub async fn change(&self) -> Change<'_> {
        Change { in_force: self, _turn: self.turn.lock().await }
    }
}

/// A change of what is in force. Dropped, it changes nothing.
#[derive(Debug)]
pub struct Change<'a> {
    in_force: &'a InForce,
    _turn: MutexGuard<'a, ()>,
}

impl Change<'_> {
    /// What is in force, to start from.
    #[must_use]
    pub fn before(&self) -> Snapshot {
        Snapshot::clone(&self.in_force.load())
    }

    /// Puts a snapshot in force.
    pub fn put(self, snapshot: Snapshot) {
        self.in_force.current.store(Arc::new(snapshot));
    }
}
