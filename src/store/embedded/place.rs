//! The folder of an embedded store, held by this process: its lock and its numbered databases.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::store::error::Error;
use crate::store::meter::Meter;
use crate::store::owner;

/// How often to try the lock, with a pause after each try: a fifth of a second, because another process may keep it.
const LOCK_TRIES: u32 = 20;

/// The pause between two tries of a lock.
pub(super) const PAUSE: Duration = Duration::from_millis(10);

/// In place of a number: the database of facts, which is never replaced.
pub(super) const FACTS: u64 = 0;

/// A folder that only this process may change, as long as this value lives.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    /// Of every store that this folder has while this lives.
    pub(super) meter: Meter,
    _lock: File,
}

impl Place {
    /// Locks the folder, which must exist. sled has a lock too, but takes it only after it has begun to read.
    pub(super) fn take(folder: &Path) -> Result<Self, Error> {
        let lock = folder.join("lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(lock)?;
        // When a process starts another one, both share its locks for a moment. So one try is not enough.
        for _ in 0..LOCK_TRIES {
            match lock.try_lock() {
                Ok(()) => {
                    // Also what an interrupted command of root's left.
                    owner::give_all(folder)?;
                    let (folder, meter) = (folder.to_owned(), Meter::default());
                    return Ok(Self { folder, meter, _lock: lock });
                }
                Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => return Err(Error::Io(error)),
            }
        }
        Err(Error::InUse(folder.to_owned()))
    }

    /// Makes the folder if it is missing, and locks it.
    pub(super) fn make(folder: &Path) -> Result<Self, Error> {
        owner::make_folder(folder)?;
        Self::take(folder)
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the database with this number.
    pub(super) fn numbered(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    /// The folder in which the database with this number is made.
    pub(super) fn aside(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.new"))
    }

    /// The number of the store: the highest that exists.
    pub(super) fn newest(&self) -> io::Result<Option<u64>> {
        Ok(numbers(&self.folder)?.pop())
    }

    /// Deletes the predecessors of the store with this number, and unfinished databases.
    pub(super) fn remove_others(&self, number: u64) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let unfinished =
                name.strip_suffix(".new").is_some_and(|name| name.parse::<u64>().is_ok());
            if unfinished || name.parse::<u64>().is_ok_and(|other| other < number) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        sync_folder(&self.folder)
    }

    /// Renames a finished database to its number: **from this moment on it is the store**.
    pub(super) fn name(&self, number: u64) -> io::Result<()> {
        self.put(&self.aside(number), &self.numbered(number))
    }

    /// Renames a finished database from `aside` to `folder`.
    pub(super) fn put(&self, aside: &Path, folder: &Path) -> io::Result<()> {
        // The file names must survive power loss too, not only the contents of the files.
        for entry in fs::read_dir(aside)? {
            File::open(entry?.path())?.sync_all()?;
        }
        sync_folder(aside)?;
        fs::rename(aside, folder)?;
        sync_folder(&self.folder)?;
        match self.folder.parent() {
            Some(parent) if parent.as_os_str().is_empty() => sync_folder(Path::new(".")),
            Some(parent) => sync_folder(parent),
            None => Ok(()),
        }
    }
}

impl Drop for Place {
    /// sled makes its files itself, so what root has let it make is given to the folder's owner now.
    fn drop(&mut self) {
        if let Err(error) = owner::give_all(&self.folder) {
            tracing::error!(%error, "files of the store may still belong to root");
        }
    }
}

/// The numbers of the databases in the folder, the current one last.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
