//! An open store and the keys to it, which rotations replace while others read.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::authority::keyring::{self, Keyring};
use crate::authority::root_key_file;
use crate::crypto::root_key::RootKey;
use crate::store::{self, Store};

/// The store, what opens it, and where the root key is. The root key itself is read when it is needed
/// and not kept.
pub struct Vault {
    store: Arc<dyn Store>,
    keyring: RwLock<Arc<Keyring>>,
    root_key_file: PathBuf,
}

/// The vault does not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root key cannot be read.
    #[error(transparent)]
    RootKey(#[from] root_key_file::Error),
    /// The store's secrets do not open.
    #[error(transparent)]
    Keyring(#[from] keyring::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Vault {
    /// Opens `store` with the root key in that file.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn open(store: Arc<dyn Store>, root_key_file: PathBuf) -> Result<Self, Error> {
        let root = root_key_file::read(&root_key_file)?;
        let keyring = RwLock::new(Arc::new(Keyring::open(&root, &*store).await?));
        Ok(Self { store, keyring, root_key_file })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The keys as they are now.
    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The root key, to be dropped soon.
    ///
    /// # Errors
    /// [`Error::RootKey`].
    pub fn root_key(&self) -> Result<RootKey, Error> {
        Ok(root_key_file::read(&self.root_key_file)?)
    }

    /// Reads the KEKs anew, after one was added or dropped.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn reopen(&self, root: &RootKey) -> Result<(), Error> {
        let keyring = Arc::new(Keyring::open(root, &*self.store).await?);
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = keyring;
        Ok(())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}
