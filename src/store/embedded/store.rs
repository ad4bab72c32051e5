//! An open store in a folder of its own.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use async_trait::async_trait;

use crate::store::batch::{Batch, Committed, Entry};
use crate::store::embedded::committer::Committer;
use crate::store::embedded::guard::Engine;
use crate::store::embedded::place::{self, FACTS, PAUSE, Place};
use crate::store::embedded::reading;
use crate::store::embedded::row::Sharing;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::meter::{Kind, Meter};

/// How often a thread of sled cleans its log and syncs it, in milliseconds. Commits do not wait for it, because they sync
/// themselves; but a sync that it begins makes theirs slower.
const CLEANING_MS: u64 = 1_000;

/// Enough for the inner nodes of a million records, and small enough for a small machine.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// How often to try sled's own lock, with a pause after each try: five seconds, because it will soon be free.
const CLOSING_TRIES: u32 = 500;

/// A store on sled.
#[derive(Debug)]
pub struct SledStore {
    // Dropped in this order: first the writer, then the engine, then the lock.
    committer: Committer,
    pub(super) engine: Engine,
    sharing: Sharing,
    pub(super) place: Arc<Place>,
    pub(super) number: u64,
}

impl SledStore {
    /// Whether a store exists in `folder`, even if it is damaged.
    #[must_use]
    pub fn exists(folder: &Path) -> bool {
        place::numbers(folder).is_ok_and(|numbers| !numbers.is_empty())
    }

    /// Opens the store in `folder`.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no store, [`Error::InUse`] if another process has opened it, [`Error::Damaged`]
    /// if its files are damaged.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if !Self::exists(folder) {
            return Err(Error::Missing(folder.to_owned()));
        }
        Self::open_newest(Arc::new(Place::take(folder)?))
    }

    /// Opens the store in a folder that this process has locked.
    pub(super) fn open_newest(place: Arc<Place>) -> Result<Self, Error> {
        let number = place.newest()?.ok_or_else(|| Error::Missing(place.folder().to_owned()))?;
        let files = place.numbered(number);
        match fs::metadata(files.join("db")) {
            Ok(db) if db.len() > 0 => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => return Err(Error::Damaged("its file `db` is missing or empty".into())),
        }
        Self::start(&files, place, number, Sharing::NONE)
    }

    /// Opens sled's files, or makes them.
    pub(super) fn start(
        files: &Path,
        place: Arc<Place>,
        number: u64,
        sharing: Sharing,
    ) -> Result<Self, Error> {
        remove_half_written_snapshots(files)?;
        let config = sled::Config::new()
            .path(files)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::LowSpace)
            .flush_every_ms(Some(CLEANING_MS));
        let engine = open_once_closed(&config)?;
        let file = OpenOptions::new().read(true).write(true).open(files.join("db"))?;
        let committer = Committer::start(engine.clone(), sharing, file)?;
        Ok(Self { committer, engine, sharing, place, number })
    }

    /// What was committed, in the stores before this one too.
    pub(in crate::store) fn meter(&self) -> &Meter {
        &self.place.meter
    }

    /// Closes it. The folder stays taken.
    pub(super) fn close(self) -> (Arc<Place>, u64) {
        let Self { committer, engine, place, number, .. } = self;
        drop((committer, engine));
        (place, number)
    }

    /// Deletes the predecessors of this store, and unfinished databases.
    ///
    /// # Errors
    /// [`Error`]; a second call completes the work.
    pub fn forget_predecessors(&self) -> Result<(), Error> {
        Ok(self.place.remove_others(self.number)?)
    }
}

/// After sled was closed, threads that it does not wait for keep its lock for a moment. We hold the folder's lock, so
/// whoever holds sled's lock is about to release it.
fn open_once_closed(config: &sled::Config) -> Result<Engine, Error> {
    for _ in 0..CLOSING_TRIES {
        match Engine::open(config) {
            // The version of sled is pinned. This text is its only sign of this cause.
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
            tracing::warn!(file = %name, "removing a snapshot that was never finished");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let mut values = reading::get(&self.engine, self.sharing, [key])?;
        Ok(values.pop().flatten())
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        reading::get(&self.engine, self.sharing, keys.iter().map(Vec::as_slice))
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        reading::scan(&self.engine, self.sharing, prefix, after, limit)
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        if batch.is_too_long() {
            return Err(Error::TooLong);
        }
        let kind = if self.number == FACTS { Kind::Facts } else { Kind::Secrets };
        self.place.meter.measure(kind, self.committer.commit(batch)).await
    }

    fn is_healthy(&self) -> bool {
        self.engine.takes_writes()
    }
}
