//! A guard around sled: its panics and errors become errors of the store.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::error::Error;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread is caught and becomes an error. Then it need not be printed.
#[must_use]
pub fn catches_panics() -> bool {
    GUARDED.get()
}

/// An open sled database. All copies are the same database.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    db: Option<sled::Db>,
    /// Set when a write has failed. After that, even closing is not safe.
    failed: Arc<AtomicBool>,
    /// Set when writing has ended because a successor replaces this store.
    stopped: Arc<AtomicBool>,
}

impl Engine {
    /// Opens the database.
    pub(super) fn open(config: &sled::Config) -> Result<Self, Error> {
        let db = Some(guard(|| config.open())?);
        Ok(Self { db, failed: Arc::default(), stopped: Arc::default() })
    }

    /// Runs a read of sled.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, Error> {
        self.db.as_ref().map_or(Err(Error::Poisoned), |db| guard(|| work(db)))
    }

    /// Runs a write of sled, unless a write has failed before or writing was stopped.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, Error> {
        if !self.takes_writes() {
            return Err(Error::Poisoned);
        }
        self.read(work).map_err(|error| {
            self.fail(&error);
            // The log has the error of the disk. What the operator must do does not depend on it.
            if matches!(error, Error::Io(_)) { Error::Poisoned } else { error }
        })
    }

    /// Ends all writing: what is on disk is unknown until the store is opened again. The operating system reports a
    /// failed fsync only once.
    pub(super) fn fail(&self, why: &dyn fmt::Display) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(%why, "the store takes no more writes");
        }
    }

    /// The flag that ends writing when it is set.
    pub(super) fn stopper(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopped)
    }

    /// Whether a write has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Whether the store accepts writes.
    pub(super) fn takes_writes(&self) -> bool {
        !self.has_failed() && !self.stopped.load(Ordering::Acquire)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let db = self.db.take();
        if self.has_failed() {
            // Closing writes too, and if writing has failed it panics or waits for ever.
            #[expect(
                clippy::mem_forget,
                reason = "the process ends soon, or opens the store again"
            )]
            std::mem::forget(db);
            return;
        }
        let closed = guard(|| {
            drop(db);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::error!(%error, "the store could not be closed; what was acknowledged is on disk");
        }
    }
}

/// Runs `work`. A panic of sled on a damaged file becomes [`Error::Damaged`].
fn guard<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    GUARDED.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    done.map_err(|panic| from_panic(&*panic))?.map_err(from_sled)
}

/// sled panics on some errors of the operating system. They do not mean that its files are damaged.
fn from_panic(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
    if text.contains("Os { code:") {
        Error::Io(io::Error::other("the disk failed"))
    } else {
        Error::Damaged("its files contradict each other".into())
    }
}

fn from_sled(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(error) => Error::Io(error),
        sled::Error::Corruption { at, .. } => Error::Damaged(format!("corruption at {at:?}")),
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_) => Error::Damaged(error.to_string()),
    }
}
