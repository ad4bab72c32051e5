//! The embedded engine, on sled 0.34.
//!
//! A store's folder holds `lock` and one numbered folder of sled's. A successor is made in `2.new` and, once
//! all of it is on disk, named `2`: the highest number is the store, and that rename is the instant of the
//! change. The predecessor keeps its path, so who reads it goes on reading, and is deleted last.
//!
//! sled is quick and small, and has known traps; the guards against them are here and in the
//! committer. They were each measured before they were written:
//!
//! - a kill while sled writes a snapshot leaves `snap.*.generating`, and no later open succeeds: such a
//!   file is removed first, under our own lock;
//! - a kill while sled makes its files leaves some that it cannot open: hence `.new`;
//! - it takes a missing or empty file for a new store: that is damage, and is not opened;
//! - its log keeps what was overwritten: only a successor is free of it;
//! - `flush` alone does not survive power loss: the committer syncs the file after it;
//! - a damaged file makes sled panic: what it does is run under a guard, and a panic is damage;
//! - where the disk fails, closing it panics, and a flush may wait for ever: a failed store is left as it is, and a
//!   commit has a time limit;
//! - its cache would grow to 1 GiB: it is bounded.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;

use crate::store::committer::Committer;
use crate::store::guard::Engine;
use crate::store::{Batch, Committed, Entry, Error, Store, Successor};

/// Enough for the inner nodes of a million records; a small machine has it.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// A store in a folder of its own.
#[derive(Debug)]
pub struct SledStore {
    // In the order in which they have to go: the writer, the engine, the lock.
    committer: Committer,
    engine: Engine,
    lock: Arc<File>,
    folder: PathBuf,
    number: u64,
}

/// How often a lock is tried, a pause apart: a fifth of a second for ours, which somebody else may hold for
/// good; five seconds for sled's, which is on its way to be free.
const LOCK_TRIES: u32 = 20;
const CLOSING_TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

impl SledStore {
    /// Whether there is a store in `folder`, be it damaged.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        numbers(folder).is_ok_and(|numbers| !numbers.is_empty())
    }

    /// Opens the store in `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none, [`Error::InUse`] where another process has it,
    /// [`Error::Damaged`] where its files are.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if !Self::exists(folder) {
            return Err(Error::Missing(folder.to_owned()));
        }
        Self::open_locked(folder, lock(folder)?)
    }

    fn open_locked(folder: &Path, lock: Arc<File>) -> Result<Self, Error> {
        let number = numbers(folder)?.pop().ok_or_else(|| Error::Missing(folder.to_owned()))?;
        let files = folder.join(number.to_string());
        match fs::metadata(files.join("db")) {
            Ok(db) if db.len() > 0 => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => return Err(Error::Damaged("its file `db` is missing or empty".into())),
        }
        Self::start(&files, lock, folder, number)
    }

    fn start(files: &Path, lock: Arc<File>, folder: &Path, number: u64) -> Result<Self, Error> {
        remove_half_written_snapshots(files)?;
        let config = sled::Config::new()
            .path(files)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(Some(200));
        let engine = open_once_closed(&config)?;
        let file = OpenOptions::new().read(true).write(true).open(files.join("db"))?;
        let committer = Committer::start(engine.clone(), file)?;
        Ok(Self { committer, engine, lock, folder: folder.to_owned(), number })
    }
}

/// A store in the making. It is filled aside and gets its number once all of it is on disk: sled cannot
/// open what it had only half made.
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
    /// [`Error::InUse`] where another process is making one, [`Error::Damaged`] where there is one, else as
    /// [`SledStore::open`].
    pub fn begin(folder: &Path) -> Result<Self, Error> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let lock = lock(folder)?;
        if SledStore::exists(folder) {
            return Err(Error::Damaged("a store is made where one is".into()));
        }
        Self::make(folder, lock, 1, None)
    }

    fn make(
        folder: &Path,
        lock: Arc<File>,
        number: u64,
        predecessor: Option<Arc<AtomicBool>>,
    ) -> Result<Self, Error> {
        remove_others(folder, number.saturating_sub(1))?;
        let aside = aside(folder, number);
        DirBuilder::new().mode(0o700).create(&aside)?;
        Ok(Self { store: SledStore::start(&aside, lock, folder, number)?, predecessor })
    }

    /// The store, to be filled.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &self.store
    }

    /// Gives the store its number and opens it there.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn finish(self) -> Result<SledStore, Error> {
        if let Some(predecessor) = &self.predecessor {
            predecessor.store(true, Ordering::Release);
        }
        let SledStore { committer, engine, lock, folder, number } = self.store;
        drop((committer, engine));
        let aside = aside(&folder, number);
        // The names have to survive power loss as well as what is in the files.
        for entry in fs::read_dir(&aside)? {
            File::open(entry?.path())?.sync_all()?;
        }
        File::open(&aside)?.sync_all()?;
        fs::rename(&aside, folder.join(number.to_string()))?;
        sync_folder(&folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        }
        SledStore::open_locked(&folder, lock)
    }
}

impl Successor for NewStore {
    fn store(&self) -> &dyn Store {
        Self::store(self)
    }

    fn finish(self: Box<Self>) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::new(Self::finish(*self)?))
    }
}

/// Where the store with this number is made.
fn aside(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.new"))
}

/// The numbers of the stores in the folder, the current one last.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Deletes predecessors of the store with this number, and what was never finished.
fn remove_others(folder: &Path, number: u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let unfinished = name.strip_suffix(".new").is_some_and(|name| name.parse::<u64>().is_ok());
        if unfinished || name.parse::<u64>().is_ok_and(|other| other < number) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Takes the folder for this process. sled has a lock too, but takes it after it began to read.
fn lock(folder: &Path) -> Result<Arc<File>, Error> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    // A process that starts another one shares its locks with it for an instant, so one look is not enough.
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(Arc::new(file)),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(Error::Io(error)),
        }
    }
    Err(Error::InUse(folder.to_owned()))
}

/// sled keeps its own lock for a moment after it was closed, in threads that it does not wait for. We hold
/// the folder's lock, so whoever has sled's is on its way out.
fn open_once_closed(config: &sled::Config) -> Result<Engine, Error> {
    for _ in 0..CLOSING_TRIES {
        match Engine::open(config) {
            // The version is pinned, and this text is all that it says of the reason.
            Err(Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                thread::sleep(PAUSE);
            }
            opened => return opened,
        }
    }
    Engine::open(config)
}

fn remove_half_written_snapshots(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = ?name, "removing a snapshot that was never finished");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.engine.read(|db| db.get(key)).map(|value| value.map(|value| value.to_vec()))
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        self.engine.read(|db| {
            db.range::<&[u8], _>((from, Bound::Unbounded))
                .take_while(|entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
                .take(limit)
                .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect()
        })
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        if batch.is_too_long() {
            return Err(Error::TooLong);
        }
        self.committer.commit(batch).await
    }

    fn is_healthy(&self) -> bool {
        self.engine.takes_writes()
    }

    fn successor(&self) -> Result<Box<dyn Successor>, Error> {
        let number = self.number.saturating_add(1);
        let (lock, stop) = (Arc::clone(&self.lock), self.engine.stopper());
        Ok(Box::new(NewStore::make(&self.folder, lock, number, Some(stop))?))
    }

    fn forget_predecessors(&self) -> Result<(), Error> {
        Ok(remove_others(&self.folder, self.number)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;
    use std::sync::Arc;

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
        assert!(matches!(NewStore::begin(&folder), Err(Error::Damaged(_))));
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
        let unfinished = old.successor().unwrap();
        unfinished.store().commit(Batch::default().put("a", "half")).await.unwrap();
        drop(unfinished);
        let next = old.successor().unwrap();
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
