//! The one writer.
//!
//! Batches queue up here and are applied in turn; one flush makes a whole group of them durable, and
//! only then is any of them acknowledged. After the first failure nothing is: what reached the disk is
//! unknown until the store is opened again (the lesson of fsync errors that are reported once).

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use tokio::sync::oneshot;

use crate::store::guard::guard;
use crate::store::{Batch, Committed, Error};

/// The most batches that one flush carries.
const GROUP_MAX: usize = 1024;

type Reply = oneshot::Sender<Result<Committed, Error>>;

/// A queue in front of a thread that owns all writing.
#[derive(Debug)]
pub(super) struct Committer {
    queue: Option<Sender<(Batch, Reply)>>,
    thread: Option<JoinHandle<()>>,
    poisoned: Arc<AtomicBool>,
}

impl Committer {
    /// Starts the thread. `file` is the engine's file, synced after every flush.
    pub(super) fn start(db: sled::Db, file: File) -> Result<Self, Error> {
        let (queue, batches) = channel();
        let poisoned = Arc::new(AtomicBool::new(false));
        let writer = Writer { db, file, poisoned: Arc::clone(&poisoned) };
        let thread = Builder::new().name("committer".into()).spawn(move || writer.run(&batches))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), poisoned })
    }

    pub(super) fn is_healthy(&self) -> bool {
        !self.poisoned.load(Ordering::Acquire)
    }

    /// Set, it makes the store take no more writes.
    pub(super) fn poison(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.poisoned)
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        if !self.is_healthy() {
            return Err(Error::Poisoned);
        }
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(Error::Poisoned)?;
        queue.send((batch, reply)).map_err(|_| Error::Poisoned)?;
        answer.await.map_err(|_| Error::Poisoned)?
    }
}

/// Closes the queue and waits until what is in it is done.
impl Drop for Committer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Writer {
    db: sled::Db,
    file: File,
    poisoned: Arc<AtomicBool>,
}

impl Writer {
    fn run(&self, batches: &Receiver<(Batch, Reply)>) {
        while let Ok(first) = batches.recv() {
            let group: Vec<_> =
                std::iter::once(first).chain(batches.try_iter().take(GROUP_MAX - 1)).collect();
            self.commit(group);
        }
    }

    fn commit(&self, group: Vec<(Batch, Reply)>) {
        let mut done = Vec::new();
        for (batch, reply) in group {
            match self.apply(batch) {
                Ok(committed) => done.push((committed, reply)),
                Err(error) => {
                    self.poison(&error);
                    reply.send(Err(error)).ok();
                }
            }
        }
        // A conflict changed nothing, and what it met was made durable with its own group.
        let is_changed = done.iter().any(|(committed, _)| *committed == Committed::Done);
        if is_changed && let Err(error) = self.make_durable() {
            self.poison(&error);
        }
        let healthy = !self.poisoned.load(Ordering::Acquire);
        for (committed, reply) in done {
            reply.send(if healthy { Ok(committed) } else { Err(Error::Poisoned) }).ok();
        }
    }

    fn apply(&self, batch: Batch) -> Result<Committed, Error> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(Error::Poisoned);
        }
        guard(|| {
            // Only this thread writes, so what is checked here still holds when it is applied.
            for (key, expected) in &batch.expected {
                if self.db.get(key)?.as_deref() != expected.as_deref() {
                    return Ok(Committed::Conflict);
                }
            }
            let mut changes = sled::Batch::default();
            for (key, value) in batch.puts {
                changes.insert(key, value);
            }
            for key in batch.removes {
                changes.remove(key);
            }
            self.db.apply_batch(changes)?;
            Ok(Committed::Done)
        })
    }

    /// sled's flush hands its log to the operating system, which may keep it in memory; what was
    /// measured to survive power loss is a sync of the file after it.
    fn make_durable(&self) -> Result<(), Error> {
        guard(|| self.db.flush().map(|_| ()))?;
        self.file.sync_data().map_err(Error::Io)
    }

    fn poison(&self, error: &Error) {
        if !self.poisoned.swap(true, Ordering::AcqRel) {
            tracing::error!(error = %error, "the store takes no more writes");
        }
    }
}
