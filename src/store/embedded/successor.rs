//! A store that is being made, and how it replaces its predecessor.
//!
//! It is filled in a temporary folder and gets its number when all of it is on disk, because sled cannot open files
//! that it made only in part.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::embedded::facts;
use crate::store::embedded::place::Place;
use crate::store::embedded::row::Sharing;
use crate::store::embedded::store::SledStore;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::owner;

/// A store that is being made. If it is dropped before [`finish`](Self::finish), it never becomes the store.
#[derive(Debug)]
pub struct NewStore {
    store: SledStore,
    /// Set to stop writes to the predecessor: once the numbers may have changed, such writes would be lost.
    predecessor: Option<Arc<AtomicBool>>,
}

impl NewStore {
    /// Begins an empty store that will be in `folder`. Files of an unfinished attempt are removed.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process is making one, [`Error::Exists`] if the store exists, otherwise as
    /// [`SledStore::open`].
    pub fn begin(folder: &Path) -> Result<Self, Error> {
        let place = Place::make(folder)?;
        if SledStore::exists(folder) {
            return Err(Error::Exists(folder.to_owned()));
        }
        Self::make(Arc::new(place), 1, None)
    }

    /// Begins an empty store that will replace `predecessor` when it is filled. It holds nothing that the predecessor
    /// ever held. It also misses what is written to the predecessor meanwhile.
    ///
    /// # Errors
    /// [`Error`].
    pub fn after(predecessor: &SledStore) -> Result<Self, Error> {
        let number = predecessor.number.saturating_add(1);
        Self::make(Arc::clone(&predecessor.place), number, Some(predecessor.engine.stopper()))
    }

    fn make(
        place: Arc<Place>,
        number: u64,
        predecessor: Option<Arc<AtomicBool>>,
    ) -> Result<Self, Error> {
        place.remove_others(number.saturating_sub(1))?;
        let aside = place.aside(number);
        owner::make_folder(&aside)?;
        Ok(Self { store: SledStore::start(&aside, place, number, Sharing::NONE)?, predecessor })
    }

    /// The store, for filling it.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &self.store
    }

    /// Becomes the store, completely or not at all. Readers of the predecessor can still read it. The predecessor
    /// accepts no more writes, even if this fails.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn finish(self) -> Result<SledStore, Error> {
        if let Some(predecessor) = &self.predecessor {
            predecessor.store(true, Ordering::Release);
        }
        let is_first = self.predecessor.is_none();
        let (place, number) = self.store.close();
        if is_first {
            facts::make(&place)?;
        }
        place.name(number)?;
        SledStore::open_newest(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::batch::Batch;
    use crate::store::conformance;
    use crate::store::embedded::place::numbers;
    use std::fs;

    fn new(folder: &Path) -> SledStore {
        NewStore::begin(folder).unwrap().finish().unwrap()
    }

    #[tokio::test]
    async fn the_engine_keeps_the_contract() {
        let folder = tempfile::tempdir().unwrap();
        conformance::run(Arc::new(new(&folder.path().join("store")))).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("store");
        let store = new(&folder);
        store.commit(Batch::default().put("a", "1")).await.unwrap();
        drop(store);
        let store = SledStore::open(&folder).unwrap();
        assert_eq!(store.get(b"a").await.unwrap().as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn a_store_that_was_never_finished_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("store");
        let unfinished = NewStore::begin(&folder).unwrap();
        assert!(matches!(SledStore::open(&folder), Err(Error::Missing(_))));
        assert!(matches!(NewStore::begin(&folder), Err(Error::InUse(_))));
        drop(unfinished);
        fs::write(folder.join("1.new/conf"), "half").unwrap();
        new(&folder);
        assert!(!folder.join("1.new").exists());
        assert!(matches!(NewStore::begin(&folder), Err(Error::Exists(_))));
    }

    #[test]
    fn an_empty_folder_is_no_store_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(SledStore::open(folder.path()), Err(Error::Missing(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_lost_file_is_damage_and_no_new_store() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("store");
        drop(new(&folder));
        fs::write(folder.join("1/db"), "").unwrap();
        assert!(matches!(SledStore::open(&folder), Err(Error::Damaged(_))));
        fs::remove_file(folder.join("1/db")).unwrap();
        assert!(matches!(SledStore::open(&folder), Err(Error::Damaged(_))));
        assert!(!folder.join("1/db").exists());
    }

    #[tokio::test]
    async fn a_successor_takes_over_while_its_predecessor_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("store");
        let old = new(&folder);
        old.commit(Batch::default().put("a", "old")).await.unwrap();
        let unfinished = NewStore::after(&old).unwrap();
        unfinished.store().commit(Batch::default().put("a", "half")).await.unwrap();
        drop(unfinished);
        let next = NewStore::after(&old).unwrap();
        assert!(next.store().get(b"a").await.unwrap().is_none());
        next.store().commit(Batch::default().put("a", "new")).await.unwrap();
        let next = next.finish().unwrap();
        let late = old.commit(Batch::default().put("a", "late")).await;
        assert!(matches!(late, Err(Error::Poisoned)));
        assert_eq!(old.get(b"a").await.unwrap().as_deref(), Some(&b"old"[..]));
        assert_eq!(next.get(b"a").await.unwrap().as_deref(), Some(&b"new"[..]));
        drop(old);
        assert!(matches!(SledStore::open(&folder), Err(Error::InUse(_))));
        next.forget_predecessors().unwrap();
        drop(next);
        assert_eq!(numbers(&folder).unwrap(), [2]);
        let next = SledStore::open(&folder).unwrap();
        assert_eq!(next.get(b"a").await.unwrap().as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn a_second_opener_is_told_that_the_store_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("store");
        let first = new(&folder);
        let half_written = folder.join("1/snap.0.generating");
        fs::write(&half_written, "").unwrap();
        assert!(matches!(SledStore::open(&folder), Err(Error::InUse(_))));
        assert!(half_written.exists(), "the second opener touched the first one's files");
        drop(first);
        SledStore::open(&folder).unwrap();
        assert!(!half_written.exists());
    }
}
