//! The embedded engine, on sled 0.34.
//!
//! sled is quick and small, and has known traps; the guards against them are here and in the
//! committer. They were each measured before they were written:
//!
//! - a kill while sled writes a snapshot leaves `snap.*.generating`, and no later open succeeds: such a
//!   file is removed first, under our own lock;
//! - `flush` alone does not survive power loss: the committer syncs the file after it;
//! - a damaged file makes sled panic: what it does is run under a guard, and a panic is damage;
//! - its cache would grow to 1 GiB: it is bounded.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;

use crate::store::committer::Committer;
use crate::store::guard::guard;
use crate::store::{Batch, Committed, Entry, Error, Store};

/// Enough for the inner nodes of a million records; a small machine has it.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// A store in a folder of its own.
#[derive(Debug)]
pub struct SledStore {
    // In the order in which they have to go: the writer, the engine, the lock.
    committer: Committer,
    db: sled::Db,
    _lock: File,
}

/// How often a lock is tried, a pause apart: a fifth of a second for ours, which somebody else may hold for
/// good; five seconds for sled's, which is on its way to be free.
const LOCK_TRIES: u32 = 20;
const CLOSING_TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

impl SledStore {
    /// Opens the store in `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none, [`Error::InUse`] where another process has it,
    /// [`Error::Damaged`] where its files are.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if !folder.join("db").exists() {
            return Err(Error::Missing(folder.to_owned()));
        }
        Self::open_locked(folder, lock(folder)?)
    }

    fn open_locked(folder: &Path, lock: File) -> Result<Self, Error> {
        remove_half_written_snapshots(folder)?;
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(Some(200));
        let db = open_once_closed(&config)?;
        let file = OpenOptions::new().read(true).write(true).open(folder.join("db"))?;
        Ok(Self { committer: Committer::start(db.clone(), file)?, db, _lock: lock })
    }
}

/// A store in the making. It is filled in a folder beside its own, which takes its name once all of it is
/// on disk: sled cannot open what it had only half made.
#[derive(Debug)]
pub struct NewStore {
    store: SledStore,
    aside: PathBuf,
    folder: PathBuf,
}

impl NewStore {
    /// Makes an empty store that will be in `folder`. What an unfinished attempt left is removed.
    ///
    /// # Errors
    /// [`Error::InUse`] where another process is making one, else as [`SledStore::open`].
    pub fn begin(folder: &Path) -> Result<Self, Error> {
        let mut aside = folder.as_os_str().to_owned();
        aside.push(".new");
        let aside = PathBuf::from(aside);
        if aside.exists() {
            drop(lock(&aside)?);
            fs::remove_dir_all(&aside)?;
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&aside)?;
        let store = SledStore::open_locked(&aside, lock(&aside)?)?;
        Ok(Self { store, aside, folder: folder.to_owned() })
    }

    /// The store, to be filled.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &self.store
    }

    /// Gives the store its name and opens it there.
    ///
    /// # Errors
    /// As [`SledStore::open`].
    pub fn finish(self) -> Result<SledStore, Error> {
        let Self { store, aside, folder } = self;
        drop(store);
        // The names have to survive power loss as well as what is in the files.
        for entry in fs::read_dir(&aside)? {
            File::open(entry?.path())?.sync_all()?;
        }
        File::open(&aside)?.sync_all()?;
        fs::rename(&aside, &folder)?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        SledStore::open(&folder)
    }
}

/// Takes the folder for this process. sled has a lock too, but takes it after it began to read.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    // A process that starts another one shares its locks with it for an instant, so one look is not enough.
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(Error::Io(error)),
        }
    }
    Err(Error::InUse(folder.to_owned()))
}

/// sled keeps its own lock for a moment after it was closed, in threads that it does not wait for. We hold
/// the folder's lock, so whoever has sled's is on its way out.
fn open_once_closed(config: &sled::Config) -> Result<sled::Db, Error> {
    for _ in 0..CLOSING_TRIES {
        match guard(|| config.open()) {
            // The version is pinned, and this text is all that it says of the reason.
            Err(Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                thread::sleep(PAUSE);
            }
            opened => return opened,
        }
    }
    guard(|| config.open())
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
        guard(|| self.db.get(key)).map(|value| value.map(|value| value.to_vec()))
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        guard(|| {
            self.db
                .range::<&[u8], _>((from, Bound::Unbounded))
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
        self.committer.is_healthy()
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
        let aside = unfinished.aside.clone();
        drop(unfinished);
        fs::write(aside.join("conf"), "half").unwrap();
        new(&folder);
        assert!(!aside.exists());
    }

    #[test]
    fn an_empty_folder_is_no_store_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(SledStore::open(folder.path()), Err(Error::Missing(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_second_opener_is_told_that_the_store_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("store");
        let first = new(&folder);
        let half_written = folder.join("snap.0.generating");
        fs::write(&half_written, "").unwrap();
        assert!(matches!(SledStore::open(&folder), Err(Error::InUse(_))));
        assert!(half_written.exists(), "the second opener touched the first one's files");
        drop(first);
        SledStore::open(&folder).unwrap();
        assert!(!half_written.exists());
    }
}
