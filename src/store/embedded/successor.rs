//! A store in the making, and how it takes the place of the one before.
//!
//! It is filled aside and gets its number once all of it is on disk: sled cannot open what it had only half made.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::embedded::place::Place;
use crate::store::embedded::store::SledStore;
use crate::store::engine::Store;
use crate::store::error::Error;

/// A store in the making. Dropped before [`finish`](Self::finish), it never is one.
#[derive(Debug)]
pub struct NewStore {
    store: SledStore,
    /// Set, it stops the predecessor: once the numbers may have changed, what it took would be lost.
    predecessor: Option<Arc<AtomicBool>>,
}

impl NewStore {
    /// Makes an empty store that will be in `folder`. What an unfinished attempt left is removed.
    ///
    /// # Errors
    /// [`Error::InUse`] where another process is making one, [`Error::Exists`] where there is one, else as
    /// [`SledStore::open`].
    pub fn begin(folder: &Path) -> Result<Self, Error> {
        let place = Place::make(folder)?;
        if SledStore::exists(folder) {
            return Err(Error::Exists(folder.to_owned()));
        }
        Self::make(Arc::new(place), 1, None)
    }

    /// Makes an empty store that takes the place of `predecessor` once it is filled, free of everything that the
    /// predecessor has ever held. What is written to the predecessor meanwhile is not in it.
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
        DirBuilder::new().mode(0o700).create(&aside)?;
        Ok(Self { store: SledStore::start(&aside, place, number)?, predecessor })
    }

    /// The store, to be filled.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &self.store
    }

    /// Takes its place, wholly or not at all. Readers of the predecessor go on reading it; it takes no more writes,
    /// also if this fails.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn finish(self) -> Result<SledStore, Error> {
        if let Some(predecessor) = &self.predecessor {
            predecessor.store(true, Ordering::Release);
        }
        let (place, number) = self.store.close();
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
