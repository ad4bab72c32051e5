//! Picks the engine by the store's name, and opens the store.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::store::batch::{Batch, Committed};
use crate::store::embedded::facts;
use crate::store::embedded::store::SledStore;
use crate::store::embedded::successor::NewStore;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::facts_migration;
use crate::store::meter::Meter;
use crate::store::migration::migrate;
use crate::store::record::fact;
use crate::store::record::fact::account::ROWS;
use crate::store::record::header::{self, FORMAT};

/// The name of a store: `sled:DIRECTORY`. Another engine will have another scheme.
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

/// An open store, with its engine. All copies are the same store.
#[derive(Clone, Debug)]
pub struct OpenStore(Engine);

#[derive(Clone, Debug)]
enum Engine {
    Sled { store: Arc<SledStore>, facts: Arc<SledStore> },
}

impl OpenStore {
    /// The store, independent of its engine.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        let Engine::Sled { store, .. } = &self.0;
        Arc::<SledStore>::clone(store)
    }

    /// The facts that grants leave, in a database of their own that no rotation replaces.
    #[must_use]
    pub fn facts(&self) -> Arc<dyn Store> {
        let Engine::Sled { facts, .. } = &self.0;
        Arc::<SledStore>::clone(facts)
    }

    /// What was committed so far, also by a store whose place this one took.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        let Engine::Sled { store, .. } = &self.0;
        store.meter()
    }

    /// Makes an empty store that will replace this one when it is filled. It holds nothing that this one ever held. It
    /// also misses what is written to this one meanwhile. **Only the embedded engine has this**: another engine wraps
    /// its records again where they are.
    ///
    /// # Errors
    /// [`Error`].
    pub fn successor(&self) -> Result<Successor, Error> {
        let Engine::Sled { store, facts } = &self.0;
        Ok(Successor { new: NewStore::after(store)?, facts: Arc::clone(facts) })
    }

    /// Whether anyone else keeps this store open.
    #[must_use]
    pub fn has_other_readers(&self) -> bool {
        let Engine::Sled { store, .. } = &self.0;
        Arc::strong_count(store) > 1
    }

    /// Deletes the store's predecessors and unfinished files. Called once it is known that the store opens.
    ///
    /// # Errors
    /// [`Error`]; a second call completes the work.
    pub fn forget_predecessors(&self) -> Result<(), Error> {
        let Engine::Sled { store, .. } = &self.0;
        store.forget_predecessors()
    }
}

/// A store that has not yet replaced its predecessor. If it is dropped, it never does.
#[derive(Debug)]
pub struct Successor {
    new: NewStore,
    facts: Arc<SledStore>,
}

impl Successor {
    /// The store, for filling it.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.new.store()
    }

    /// Replaces the predecessor, completely or not at all. Readers of the predecessor can still read it. The
    /// predecessor accepts no more writes, even if this fails.
    ///
    /// # Errors
    /// [`Error`].
    pub fn finish(self) -> Result<OpenStore, Error> {
        let Self { new, facts } = self;
        Ok(OpenStore(Engine::Sled { store: Arc::new(new.finish()?), facts }))
    }
}

/// Whether a store of this name exists, even if it is damaged.
#[must_use]
pub fn exists(url: &StoreUrl) -> bool {
    match url {
        StoreUrl::Sled(folder) => SledStore::exists(folder),
    }
}

/// Makes a store that holds exactly what `first` puts, completely or not at all.
///
/// # Errors
/// [`Error::Exists`] if the store exists.
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

/// Opens the store of this name. Brings it up to date if an earlier version wrote it.
///
/// # Errors
/// [`Error::Missing`], [`Error::InUse`], [`Error::Damaged`], [`Error::Newer`], or an error of the operating system.
pub async fn open(url: &StoreUrl) -> Result<OpenStore, Error> {
    let StoreUrl::Sled(folder) = url;
    let store = SledStore::open(folder)?;
    let header = header::header(&store).await?;
    // A store without a header is damaged, which others say; one of an earlier format has no facts yet.
    let is_older = header.as_ref().is_some_and(|header| header.format < FORMAT);
    let facts = facts::open(&store, ROWS, is_older)?;
    if let Some(header) = &header {
        fact::header::settle(&facts, &header.store_id).await?;
        facts_migration::migrate(&facts).await?;
    }
    migrate(&store).await?;
    Ok(OpenStore(Engine::Sled { store: Arc::new(store), facts: Arc::new(facts) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::header::Header;

    #[test]
    fn a_store_is_named_by_its_engine_and_its_folder() {
        assert_eq!("sled:a/b".parse::<StoreUrl>().unwrap(), StoreUrl::Sled("a/b".into()));
        for wrong in ["", "a/b", "sled:", "sled", "rocks:a", "postgres://localhost/reelkey"] {
            assert!(matches!(wrong.parse::<StoreUrl>(), Err(Error::Name(_))), "{wrong}");
        }
    }

    /// A store of this format, and the folder of its facts.
    async fn store_of_format(format: u32) -> (tempfile::TempDir, StoreUrl, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sled(folder.path().join("store"));
        let (store_id, root_key_check) = ([1; 16], [2; 16]);
        let header = Header { format, store_id, epoch: 1, root_key_check, created_at: 1 };
        create(&url, Batch::default().add_record(&header).unwrap()).await.unwrap();
        let facts = folder.path().join("store/facts");
        assert!(facts.join("db").exists());
        (folder, url, facts)
    }

    async fn damage(url: &StoreUrl) -> String {
        match open(url).await {
            Err(Error::Damaged(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    async fn put_fact(url: &StoreUrl, key: &str, value: &str) {
        let store = open(url).await.unwrap();
        let batch = Batch::default().put(key, value);
        assert_eq!(store.facts().commit(batch).await.unwrap(), Committed::Done);
    }

    #[tokio::test]
    async fn facts_stay_and_belong_to_the_store() {
        let (_folder, url, facts) = store_of_format(FORMAT).await;
        put_fact(&url, "owner/a", "1").await;
        let store = open(&url).await.unwrap();
        assert_eq!(store.facts().get(b"owner/a").await.unwrap().as_deref(), Some(&b"1"[..]));
        assert!(store.store().get(b"owner/a").await.unwrap().is_none());
        // A successor of the store has the same facts, and takes over nothing of the predecessor's records.
        let header = header::header(&*store.store()).await.unwrap().unwrap();
        let next = store.successor().unwrap();
        let batch = Batch::default().add_record(&*header).unwrap();
        next.store().commit(batch).await.unwrap();
        let next = next.finish().unwrap();
        assert_eq!(next.facts().get(b"owner/a").await.unwrap().as_deref(), Some(&b"1"[..]));
        drop((store, next));
        let store = open(&url).await.unwrap();
        store.forget_predecessors().unwrap();
        assert_eq!(store.facts().get(b"owner/a").await.unwrap().as_deref(), Some(&b"1"[..]));
        drop(store);

        let (_other_folder, other, others) = store_of_format(FORMAT).await;
        let other_header = Header { store_id: [9; 16], ..Header::clone(&header) };
        let opened = open(&other).await.unwrap();
        let batch = Batch::default().replace_record(&header, &other_header).unwrap();
        assert_eq!(opened.store().commit(batch).await.unwrap(), Committed::Done);
        drop(opened);
        assert!(damage(&other).await.contains("another store"));
        std::fs::remove_dir_all(&facts).unwrap();
        std::fs::rename(others, facts).unwrap();
        // They are those of a store with this ID.
        assert!(open(&url).await.unwrap().facts().get(b"owner/a").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn facts_that_are_lost_are_damage_and_never_made_anew() {
        let (_folder, url, facts) = store_of_format(FORMAT).await;
        put_fact(&url, "owner/a", "1").await;
        std::fs::rename(&facts, facts.with_extension("away")).unwrap();
        for _ in 0..2 {
            assert!(damage(&url).await.contains("`facts` is missing"));
            assert!(!facts.exists());
        }
        std::fs::create_dir(&facts).unwrap();
        assert!(damage(&url).await.contains("missing or empty"));
        std::fs::write(facts.join("db"), "").unwrap();
        assert!(damage(&url).await.contains("missing or empty"));
        std::fs::remove_dir_all(&facts).unwrap();
        std::fs::rename(facts.with_extension("away"), &facts).unwrap();
        let store = open(&url).await.unwrap();
        store.facts().commit(Batch::default().remove("facts")).await.unwrap();
        drop(store);
        assert!(damage(&url).await.contains("has lost its header"));
    }

    #[tokio::test]
    async fn facts_of_a_newer_version_are_left_alone() {
        let (_folder, url, _) = store_of_format(FORMAT).await;
        let newer = r#"{"format":5,"store_id":"01010101-0101-0101-0101-010101010101"}"#;
        put_fact(&url, "facts", newer).await;
        assert!(matches!(open(&url).await, Err(Error::Newer { format: 5, newest: 4 })));
    }

    #[tokio::test]
    async fn a_store_of_an_earlier_format_is_given_facts_once() {
        for is_half_made in [false, true] {
            let (_folder, url, facts) = store_of_format(FORMAT - 1).await;
            std::fs::remove_dir_all(&facts).unwrap();
            if is_half_made {
                std::fs::create_dir(facts.with_extension("new")).unwrap();
                std::fs::write(facts.with_extension("new").join("conf"), "half").unwrap();
            }
            put_fact(&url, "owner/a", "1").await;
            let store = open(&url).await.unwrap();
            assert_eq!(header::header(&*store.store()).await.unwrap().unwrap().format, FORMAT);
            assert!(store.facts().get(b"owner/a").await.unwrap().is_some());
            drop(store);
            assert!(!facts.with_extension("new").exists());
            std::fs::remove_dir_all(&facts).unwrap();
            assert!(damage(&url).await.contains("`facts` is missing"));
        }
    }
}
