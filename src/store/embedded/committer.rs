//! The only writer of the store.
//!
//! Batches wait in a queue. Those that are there together are a group: they are judged in order, each as if those before
//! it were applied, and their changes are made at once. One flush makes the group durable, and only then are they
//! acknowledged. After the first failure nothing is acknowledged any more, because it is unknown what reached the disk
//! until the store is opened again.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::store::batch::{Batch, Committed};
use crate::store::embedded::guard::Engine;
use crate::store::error::Error;

/// The most batches in one group.
const GROUP_MAX: usize = 1024;

/// The longest time for which a group waits for more batches.
const GATHERING_MAX: Duration = Duration::from_millis(1);

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

/// How large groups are and what one costs, so that a group waits for those that are about to come.
///
/// Whoever commits again and again, as many players do, comes back a moment after the answer. Without a wait, the first of them
/// would begin a group of its own, and all others would wait for two syncs.
#[derive(Debug, Default)]
struct Pace {
    /// The sizes of the last two groups.
    sizes: [usize; 2],
    /// What the last group took.
    cost: Duration,
}

impl Pace {
    /// The batches that are there, and those that come soon: as many as in one of the last groups, within a quarter of what a
    /// group takes. A single writer never waits.
    fn gather<T>(&self, first: T, batches: &Receiver<T>) -> Vec<T> {
        let expected = self.sizes.into_iter().max().unwrap_or_default().min(GROUP_MAX);
        let deadline = Instant::now() + (self.cost / 4).min(GATHERING_MAX);
        let mut group = vec![first];
        loop {
            let room = GROUP_MAX.saturating_sub(group.len());
            group.extend(batches.try_iter().take(room));
            if group.len() >= expected {
                return group;
            }
            match batches.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(next) => group.push(next),
                Err(_) => return group,
            }
        }
    }

    fn note(&mut self, size: usize, cost: Duration) {
        let [last, _] = self.sizes;
        (self.sizes, self.cost) = ([size, last], cost);
    }
}

/// The changes of the batches of a group: the value that each key gets, or `None` if it is removed.
#[derive(Debug, Default)]
struct Merged(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Merged {
    /// Adds a batch, whose expectations hold.
    fn add(&mut self, batch: Batch) {
        self.0.extend(batch.puts.into_iter().map(|(key, value)| (key, Some(value))));
        self.0.extend(batch.removes.into_iter().map(|key| (key, None)));
    }
}

struct Writer {
    engine: Engine,
    file: File,
}

impl Writer {
    fn run(&self, batches: &Receiver<(Batch, Reply)>) {
        let mut pace = Pace::default();
        while let Ok(first) = batches.recv() {
            let group = pace.gather(first, batches);
            let (begun, size) = (Instant::now(), group.len());
            self.commit(group);
            pace.note(size, begun.elapsed());
        }
    }

    fn commit(&self, group: Vec<(Batch, Reply)>) {
        let (mut merged, mut done) = (Merged::default(), Vec::new());
        for (batch, reply) in group {
            match self.judge(&batch, &merged) {
                Ok(Committed::Conflict) => done.push((Committed::Conflict, reply)),
                Ok(Committed::Done) => {
                    merged.add(batch);
                    done.push((Committed::Done, reply));
                }
                Err(error) => drop(reply.send(Err(error))),
            }
        }
        // A conflict changes nothing, and the value that it met becomes durable with the batch that wrote it.
        let mut failure = None;
        if done.iter().any(|(committed, _)| *committed == Committed::Done)
            && let Err(error) = self.apply(merged).and_then(|()| self.make_durable())
        {
            self.engine.fail(&error);
            failure = Some(error);
        }
        let is_healthy = !self.engine.has_failed();
        for (committed, reply) in done {
            let answer = if is_healthy {
                Ok(committed)
            } else {
                Err(failure.take().unwrap_or(Error::Poisoned))
            };
            reply.send(answer).ok();
        }
    }

    /// Whether everything is as the batch expects, once `merged` is applied.
    fn judge(&self, batch: &Batch, merged: &Merged) -> Result<Committed, Error> {
        self.engine.write(|db| {
            // Only this thread writes, so the check still holds when the batch is applied.
            for (key, expected) in &batch.expected {
                let is_as_expected = match merged.0.get(key) {
                    Some(value) => value.as_deref() == expected.as_deref(),
                    None => db.get(key)?.as_deref() == expected.as_deref(),
                };
                if !is_as_expected {
                    return Ok(Committed::Conflict);
                }
            }
            Ok(Committed::Done)
        })
    }

    /// Applies the changes of a group as one batch of sled, which is one write of its log: a batch for each would be one write
    /// each, and the sync would wait for all of them.
    fn apply(&self, merged: Merged) -> Result<(), Error> {
        self.engine.write(|db| {
            let mut changes = sled::Batch::default();
            for (key, value) in merged.0 {
                match value {
                    Some(value) => changes.insert(key, value),
                    None => changes.remove(key),
                }
            }
            db.apply_batch(changes)
        })
    }

    /// sled's flush hands its log to the operating system, which may still hold it in memory. Measurements show that
    /// the log survives power loss only if the file is synced after the flush.
    fn make_durable(&self) -> Result<(), Error> {
        self.engine.write(|db| db.flush().map(|_| ()))?;
        self.file.sync_data().map_err(Error::Io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(sizes: [usize; 2]) -> Pace {
        Pace { sizes, cost: Duration::from_secs(9) }
    }

    #[test]
    fn a_single_writer_never_waits() {
        let (sender, batches) = channel();
        assert_eq!(Pace::default().gather(0, &batches), [0]);
        assert_eq!(pace([1, 1]).gather(0, &batches), [0]);
        sender.send(1).unwrap();
        assert_eq!(pace([1, 1]).gather(0, &batches), [0, 1], "what is there is taken");
    }

    #[test]
    fn a_group_ends_when_it_is_as_large_as_one_before_or_nobody_comes() {
        let (sender, batches) = channel();
        let coming = std::thread::spawn(move || {
            for number in 1..16 {
                sender.send(number).unwrap();
            }
            sender
        });
        let group = pace([1, 16]).gather(0, &batches);
        let sender = coming.join().unwrap();
        // Those that were late for a wait of a millisecond, on a very busy machine, are the next group.
        let rest: Vec<_> = batches.try_iter().collect();
        assert_eq!([group, rest].concat(), (0..16).collect::<Vec<_>>(), "nothing is lost");
        assert_eq!(pace([2, 2]).gather(0, &batches), [0], "nobody comes");
        drop(sender);
        assert_eq!(pace([2, 2]).gather(0, &batches), [0], "nobody can come any more");
    }

    #[test]
    fn a_group_has_a_greatest_size() {
        let (sender, batches) = channel();
        (0..2 * GROUP_MAX).for_each(|number| sender.send(number).unwrap());
        assert_eq!(pace([9 * GROUP_MAX, 1]).gather(0, &batches).len(), GROUP_MAX);
    }

    #[test]
    fn the_last_two_groups_are_remembered() {
        let mut pace = Pace::default();
        pace.note(15, Duration::from_millis(3));
        pace.note(1, Duration::from_millis(4));
        assert_eq!((pace.sizes, pace.cost), ([1, 15], Duration::from_millis(4)));
    }
}
