//! The only writer of the store.
//!
//! Batches wait in a queue and are applied in order. One flush makes a whole group of them durable, and only then are
//! they acknowledged. After the first failure nothing is acknowledged any more, because it is unknown what reached the
//! disk until the store is opened again.

use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::store::batch::{Batch, Committed};
use crate::store::embedded::guard::Engine;
use crate::store::error::Error;

/// The most batches in one group.
const GROUP_MAX: usize = 1024;

/// The longest time for a commit. sled waits for ever if one of its own threads met a disk error.
const COMMIT_SECS_MAX: Duration = Duration::from_secs(15);

type Reply = oneshot::Sender<Result<Committed, Error>>;

/// A queue, and a thread that does all writing.
#[derive(Debug)]
pub(super) struct Committer {
    queue: Option<Sender<(Batch, Reply)>>,
    thread: Option<JoinHandle<()>>,
    engine: Engine,
}

impl Committer {
    /// Starts the thread. `file` is the engine's file; it is synced after every flush.
    pub(super) fn start(engine: Engine, file: File) -> Result<Self, Error> {
        let (queue, batches) = channel();
        let writer = Writer { engine: engine.clone(), file };
        let thread = Builder::new().name("committer".into()).spawn(move || writer.run(&batches))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), engine })
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        if !self.engine.takes_writes() {
            return Err(Error::Poisoned);
        }
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(Error::Poisoned)?;
        queue.send((batch, reply)).map_err(|_| Error::Poisoned)?;
        match timeout(COMMIT_SECS_MAX, answer).await {
            Ok(answer) => answer.map_err(|_| Error::Poisoned)?,
            Err(late) => {
                self.engine.fail(&late);
                Err(Error::Poisoned)
            }
        }
    }
}

/// Closes the queue and waits until it is empty, unless the engine has failed.
impl Drop for Committer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && !self.engine.has_failed()
        {
            thread.join().ok();
        }
    }
}

struct Writer {
    engine: Engine,
    file: File,
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
                Err(error) => drop(reply.send(Err(error))),
            }
        }
        // A conflict changes nothing, and the value that it met becomes durable with the batch that wrote it.
        if done.iter().any(|(committed, _)| *committed == Committed::Done)
            && let Err(error) = self.make_durable()
        {
            self.engine.fail(&error);
        }
        let is_healthy = !self.engine.has_failed();
        for (committed, reply) in done {
            reply.send(if is_healthy { Ok(committed) } else { Err(Error::Poisoned) }).ok();
        }
    }

    fn apply(&self, batch: Batch) -> Result<Committed, Error> {
        self.engine.write(|db| {
            // Only this thread writes, so the check still holds when the batch is applied.
            for (key, expected) in &batch.expected {
                if db.get(key)?.as_deref() != expected.as_deref() {
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
            db.apply_batch(changes)?;
            Ok(Committed::Done)
        })
    }

    /// sled's flush hands its log to the operating system, which may still hold it in memory. Measurements show that
    /// the log survives power loss only if the file is synced after the flush.
    fn make_durable(&self) -> Result<(), Error> {
        self.engine.write(|db| db.flush().map(|_| ()))?;
        self.file.sync_data().map_err(Error::Io)
    }
}
