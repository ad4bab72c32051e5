//! The open store and its keyring. Rotations replace both while other tasks read.
//!
//! **Read the record first, then take the [keyring](Vault::keyring)**: that order guarantees that the keyring can open
//! the record. A caller that writes holds [`shared`](Vault::shared). A caller that changes the KEKs or the root key
//! holds [`exclusive`](Vault::exclusive).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync;

use crate::authority::vault::additions::Additions;
use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::Keyring;
use crate::authority::vault::period_seed;
use crate::authority::vault::root_key_file;
use crate::crypto::period::PeriodSeed;
use crate::crypto::request_name::NamingKey;
use crate::crypto::root_key::RootKey;
use crate::store::engine::Store;
use crate::store::open::OpenStore;
use crate::store::record::header::{self, Header};
use crate::store::record::naming_key::NamingKeyRecord;
use crate::store::record::stored::{self, Stored};

/// The store, its keyring, and the path of the root key. The root key itself is read when it is needed, and not kept.
pub struct Vault {
    store: RwLock<OpenStore>,
    keyring: RwLock<Arc<Keyring>>,
    root_key_file: PathBuf,
    gate: sync::RwLock<()>,
    additions: Box<Additions>,
    period_seed: PeriodSeed,
}

impl Vault {
    /// Opens `store` with the root key in this file. Finishes or undoes an interrupted rotation of the root key.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn open(store: OpenStore, root_key_file: PathBuf) -> Result<Self, Fault> {
        let header = header_of(&*store.store()).await?;
        settle(&header, &root_key_file)?;
        let root = root_key_file::read(&root_key_file)?;
        let keyring = Keyring::open(&root, &*store.store()).await?;
        let period_seed = period_seed::open(&*store.store(), &keyring).await?;
        // Not earlier: until here, the predecessors may still be needed.
        store.forget_predecessors()?;
        Ok(Self {
            store: RwLock::new(store),
            keyring: RwLock::new(Arc::new(keyring)),
            root_key_file,
            gate: sync::RwLock::new(()),
            additions: Box::default(),
            period_seed,
        })
    }

    /// The current store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.engine().store()
    }

    /// What grants leave behind. No rotation replaces it.
    #[must_use]
    pub fn facts(&self) -> Arc<dyn Store> {
        self.engine().facts()
    }

    /// The current store, with the functions of its engine.
    pub(in crate::authority) fn engine(&self) -> OpenStore {
        self.store.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current keyring.
    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the root key and checks that it belongs to this store. A secret wrapped under another root key would be
    /// lost. The caller drops the key soon.
    ///
    /// # Errors
    /// [`Fault::RootKey`], or [`Fault::WrongRootKey`] if the file now holds another key.
    pub async fn root_key(&self) -> Result<RootKey, Fault> {
        let header = header_of(&*self.store()).await?;
        let root = root_key_file::read(&self.root_key_file)?;
        if fits(&root, &header) { Ok(root) } else { Err(Fault::WrongRootKey) }
    }

    /// The key that names requests and accounts.
    ///
    /// # Errors
    /// [`Fault`], also if there is none.
    pub async fn naming_key(&self) -> Result<NamingKey, Fault> {
        let record = stored::only::<NamingKeyRecord>(&*self.store()).await?;
        let record = record.ok_or(Fault::Incomplete("key that names requests"))?;
        self.keyring().naming_key(&record)
    }

    /// The seed of the keys of crypto periods.
    #[must_use]
    pub fn period_seed(&self) -> &PeriodSeed {
        &self.period_seed
    }

    /// The order in which contents are given keys.
    pub(in crate::authority) fn additions(&self) -> &Additions {
        &self.additions
    }

    /// The path of the root key.
    pub(in crate::authority) fn root_key_file(&self) -> &Path {
        &self.root_key_file
    }

    /// Keeps the store and its primary KEK unchanged while the caller writes.
    pub async fn shared(&self) -> sync::RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Keeps all writers out.
    pub async fn exclusive(&self) -> sync::RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// Reads the KEKs again, after one was added or removed.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn reopen(&self, root: &RootKey) -> Result<(), Fault> {
        let keyring = Keyring::open(root, &*self.store()).await?;
        self.take_keyring(keyring);
        Ok(())
    }

    /// Replaces the store and the keyring. Returns the old store.
    pub(in crate::authority) fn take_over(&self, store: OpenStore, keyring: Keyring) -> OpenStore {
        // The keyring first: a reader that finds the new records must also find the keys that open them.
        self.take_keyring(keyring);
        let mut current = self.store.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, store)
    }

    fn take_keyring(&self, mut keyring: Keyring) {
        let mut current = self.keyring.write().unwrap_or_else(PoisonError::into_inner);
        keyring.remember(&current);
        *current = Arc::new(keyring);
    }
}

/// Reads the header, which every store has.
pub(in crate::authority) async fn header_of(store: &dyn Store) -> Result<Stored<Header>, Fault> {
    header::header(store).await?.ok_or(Fault::Incomplete("header"))
}

/// Whether this root key belongs to the store with this header.
fn fits(root: &RootKey, header: &Header) -> bool {
    root.check_value(&header.store_id) == header.root_key_check
}

/// Finishes or undoes an interrupted rotation of the root key. If the store needs the next root key, that one becomes
/// the root key. If the store needs the current one, the next one is deleted.
fn settle(header: &Header, root_key_file: &Path) -> Result<(), root_key_file::Error> {
    match root_key_file::read_next(root_key_file)? {
        Some(next) if fits(&next, header) => {
            tracing::warn!("finishing a rotation of the root key");
            root_key_file::promote_next(root_key_file)
        }
        Some(_) if root_key_file::read(root_key_file).is_ok_and(|root| fits(&root, header)) => {
            tracing::warn!("undoing a rotation of the root key");
            root_key_file::remove_next(root_key_file)
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}
