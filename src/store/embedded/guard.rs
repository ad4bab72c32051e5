//! A guard around sled: what it panics or fails with becomes an error of the store.

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

/// Whether a panic of this thread is caught and becomes an error, so that nobody has to be told of it besides.
#[must_use]
pub fn catches_panics() -> bool {
    GUARDED.get()
}

/// An open sled. Its copies are one.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    db: Option<sled::Db>,
    /// Writing has failed, so that not even closing can be trusted.
    failed: Arc<AtomicBool>,
    /// Writing has ended, because something else takes over.
    stopped: Arc<AtomicBool>,
}

impl Engine {
    /// Opens it.
    pub(super) fn open(config: &sled::Config) -> Result<Self, Error> {
        let db = Some(guard(|| config.open())?);
        Ok(Self { db, failed: Arc::default(), stopped: Arc::default() })
    }

    /// Lets sled read.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, Error> {
        self.db.as_ref().map_or(Err(Error::Poisoned), |db| guard(|| work(db)))
    }

    /// Lets sled write, unless that has failed before or was stopped.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, Error> {
        if !self.takes_writes() {
            return Err(Error::Poisoned);
        }
        self.read(work).map_err(|error| {
            self.fail(&error);
            // What the disk said is in the log; what it asks for is the same whatever that was.
            if matches!(error, Error::Io(_)) { Error::Poisoned } else { error }
        })
    }

    /// From now on nothing is written: what is on disk is unknown until the store is opened again (the lesson
    /// of fsync errors, which are reported once).
    pub(super) fn fail(&self, why: &dyn fmt::Display) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            tracing::error!(%why, "the store takes no more writes");
        }
    }

    /// The flag that ends writing once it is set.
    pub(super) fn stopper(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stopped)
    }

    /// Whether writing has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Whether anything can be written.
    pub(super) fn takes_writes(&self) -> bool {
        !self.has_failed() && !self.stopped.load(Ordering::Acquire)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let db = self.db.take();
        if self.has_failed() {
            // Closing writes, and where writing fails it panics or waits for ever.
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

/// Runs what sled does, so that a panic of sled's on a damaged file is damage and nothing worse.
fn guard<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    GUARDED.set(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(false);
    done.map_err(|panic| from_panic(&*panic))?.map_err(from_sled)
}

/// sled unwraps some errors of the operating system, which say nothing of its files.
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
