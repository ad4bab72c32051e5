//! Which engine a store's name asks for, and opening it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::store::batch::{Batch, Committed};
use crate::store::embedded::store::SledStore;
use crate::store::embedded::successor::NewStore;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::migration::migrate;

/// The name of a store: `sled:DIRECTORY`. Another engine gets another scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// The embedded engine, in this folder.
    Sled(PathBuf),
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some(("sled", folder)) if !folder.is_empty() => Ok(Self::Sled(folder.into())),
            _ => Err(Error::Name(text.into())),
        }
    }
}

/// An open store, by its engine. Its copies are one.
#[derive(Clone, Debug)]
pub struct OpenStore(Engine);

#[derive(Clone, Debug)]
enum Engine {
    Sled(Arc<SledStore>),
}

impl OpenStore {
    /// The store, whatever its engine.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        let Engine::Sled(store) = &self.0;
        Arc::<SledStore>::clone(store)
    }

    /// An empty store that takes this one's place once it is filled, free of everything that this one has ever held.
    /// What is written here meanwhile is not in it. **The embedded engine's alone**: another engine wraps its records
    /// anew where they are.
    ///
    /// # Errors
    /// [`Error`].
    pub fn successor(&self) -> Result<Successor, Error> {
        let Engine::Sled(store) = &self.0;
        Ok(Successor(NewStore::after(store)?))
    }

    /// Whether anybody else holds this store open.
    #[must_use]
    pub fn has_other_readers(&self) -> bool {
        let Engine::Sled(store) = &self.0;
        Arc::strong_count(store) > 1
    }

    /// Deletes what the store was made of and does not need any more, once it is known that it opens.
    ///
    /// # Errors
    /// [`Error`]; doing it again finishes it.
    pub fn forget_predecessors(&self) -> Result<(), Error> {
        let Engine::Sled(store) = &self.0;
        store.forget_predecessors()
    }
}

/// A store that has not taken its predecessor's place yet. Dropped, it never does.
#[derive(Debug)]
pub struct Successor(NewStore);

impl Successor {
    /// The store, to be filled.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.0.store()
    }

    /// Takes the predecessor's place, wholly or not at all. Readers of the predecessor go on reading it; it takes no
    /// more writes, also if this fails.
    ///
    /// # Errors
    /// [`Error`].
    pub fn finish(self) -> Result<OpenStore, Error> {
        Ok(OpenStore(Engine::Sled(Arc::new(self.0.finish()?))))
    }
}

/// Whether there is a store of that name, be it damaged.
#[must_use]
pub fn exists(url: &StoreUrl) -> bool {
    match url {
        StoreUrl::Sled(folder) => SledStore::exists(folder),
    }
}

/// Makes a store that holds what `first` puts, and nothing else: wholly or not at all.
///
/// # Errors
/// [`Error::Exists`] where there is one.
pub async fn create(url: &StoreUrl, first: Batch) -> Result<(), Error> {
    match url {
        StoreUrl::Sled(folder) => {
            let new = NewStore::begin(folder)?;
            match new.store().commit(first).await? {
                Committed::Done => new.finish().map(|_| ()),
                Committed::Conflict => Err(Error::Exists(folder.clone())),
            }
        }
    }
}

/// Opens the store of that name, and brings it up to date if an earlier version made it.
///
/// # Errors
/// [`Error::Missing`], [`Error::InUse`], [`Error::Damaged`], [`Error::Newer`], or what the operating system says.
pub async fn open(url: &StoreUrl) -> Result<OpenStore, Error> {
    let StoreUrl::Sled(folder) = url;
    let store = SledStore::open(folder)?;
    migrate(&store).await?;
    Ok(OpenStore(Engine::Sled(Arc::new(store))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_engine_and_its_folder() {
        assert_eq!("sled:a/b".parse::<StoreUrl>().unwrap(), StoreUrl::Sled("a/b".into()));
        for wrong in ["", "a/b", "sled:", "sled", "rocks:a", "postgres://localhost/reelkey"] {
            assert!(matches!(wrong.parse::<StoreUrl>(), Err(Error::Name(_))), "{wrong}");
        }
    }
}
