//! The only writer of the store.
//!
//! Batches wait in a queue. Those that are there together are a group: they are judged in order, each as if those before
//! it were applied, and their changes are made at once. One flush makes the group durable, and only then are they
//! acknowledged. After the first failure nothing is acknowledged any more, because it is unknown what reached the disk
//! until the store is opened again.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::store::batch::{Batch, Committed};
use crate::store::embedded::guard::Engine;
use crate::store::embedded::row::Sharing;
use crate::store::embedded::view::View;
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
    queue: Arc<Queue<(Batch, Reply)>>,
    thread: Option<JoinHandle<()>>,
    engine: Engine,
}

impl Committer {
    /// Starts the thread. `file` is the engine's file; it is synced after every flush.
    pub(super) fn start(engine: Engine, sharing: Sharing, file: File) -> Result<Self, Error> {
        let queue = Arc::new(Queue::new());
        let writer = Writer { engine: engine.clone(), sharing, file, queue: Arc::clone(&queue) };
        let thread = Builder::new().name("committer".into()).spawn(move || writer.run())?;
        Ok(Self { queue, thread: Some(thread), engine })
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        if !self.engine.takes_writes() {
            return Err(Error::Poisoned);
        }
        let (reply, answer) = oneshot::channel();
        self.queue.push((batch, reply));
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
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && !self.engine.has_failed()
        {
            thread.join().ok();
        }
    }
}

/// What waits for the writer.
///
/// A channel would wake the writer for every batch that comes while it waits for a group. Here it is woken once there are as many
/// as it wants.
#[derive(Debug)]
struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    is_enough: Condvar,
}

#[derive(Debug)]
struct Waiting<T> {
    batches: VecDeque<T>,
    wanted: usize,
    is_closed: bool,
}

impl<T> Waiting<T> {
    fn lacks(&mut self) -> bool {
        !self.is_closed && self.batches.len() < self.wanted
    }
}

impl<T> Queue<T> {
    const fn new() -> Self {
        let waiting = Waiting { batches: VecDeque::new(), wanted: 1, is_closed: false };
        Self { waiting: Mutex::new(waiting), is_enough: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch. A closed queue drops it.
    fn push(&self, batch: T) {
        let mut waiting = self.lock();
        if !waiting.is_closed {
            waiting.batches.push_back(batch);
        }
        if !waiting.lacks() {
            self.is_enough.notify_one();
        }
    }

    /// Takes no more batches. Those that wait are still written.
    fn close(&self) {
        self.lock().is_closed = true;
        self.is_enough.notify_one();
    }

    /// Takes no more batches, and drops those that wait.
    fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.batches.clear();
    }

    /// The next group. It waits for the first batch as long as it takes, and then no longer than `time` until `wanted` are there.
    /// `None` if the queue is closed and empty.
    fn group(&self, wanted: usize, time: Duration) -> Option<Vec<T>> {
        let lacks = Waiting::lacks;
        let mut waiting = self.lock();
        waiting.wanted = 1;
        waiting = self.is_enough.wait_while(waiting, lacks).unwrap_or_else(PoisonError::into_inner);
        waiting.wanted = wanted;
        let waited = self.is_enough.wait_timeout_while(waiting, time, lacks);
        (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let size = waiting.batches.len().min(GROUP_MAX);
        (size > 0).then(|| waiting.batches.drain(..size).collect())
    }
}

/// How large groups are and what one costs, so that a group waits for those that are about to come.
///
/// Whoever commits again and again, as many players do, comes back a moment after the answer. Without a wait, the first of them
/// would begin a group of its own, and the threads that write would be busy with groups that are too small. A wait for all of
/// them would leave nobody to work while a group is written; so it is for three quarters.
#[derive(Debug, Default)]
struct Pace {
    /// The sizes of the last two groups.
    sizes: [usize; 2],
    /// What the last group took.
    cost: Duration,
}

impl Pace {
    /// How many batches a group waits for: three quarters of those in the larger of the last two. A single writer never waits.
    fn wanted(&self) -> usize {
        self.sizes.into_iter().max().unwrap_or_default() * 3 / 4
    }

    /// How long it waits for them: as long as a group takes.
    fn time(&self) -> Duration {
        self.cost.min(GATHERING_MAX)
    }

    fn note(&mut self, size: usize, cost: Duration) {
        let [last, _] = self.sizes;
        (self.sizes, self.cost) = ([size, last], cost);
    }
}

struct Writer {
    engine: Engine,
    sharing: Sharing,
    file: File,
    queue: Arc<Queue<(Batch, Reply)>>,
}

/// When the thread ends, by a panic too, those who still wait get an error at once.
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

impl Writer {
    fn run(&self) {
        let mut pace = Pace::default();
        while let Some(group) = self.queue.group(pace.wanted(), pace.time()) {
            let (begun, size) = (Instant::now(), group.len());
            self.commit(group);
            pace.note(size, begun.elapsed());
        }
    }

    fn commit(&self, group: Vec<(Batch, Reply)>) {
        let (mut view, mut done) = (View::new(&self.engine, self.sharing), Vec::new());
        for (batch, reply) in group {
            match view.add(batch) {
                Ok(committed) => done.push((committed, reply)),
                Err(error) => drop(reply.send(Err(error))),
            }
        }
        // A conflict changes nothing, and the value that it met becomes durable with the batch that wrote it.
        let mut failure = None;
        if done.iter().any(|(committed, _)| *committed == Committed::Done)
            && let Err(error) = self.apply(view.changes()).and_then(|()| self.make_durable())
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

    /// Applies the changes of a group as one batch of sled, which is one write of its log: a batch for each would be one write
    /// each, and the sync would wait for all of them.
    fn apply(&self, changes: sled::Batch) -> Result<(), Error> {
        self.engine.write(|db| db.apply_batch(changes))
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
    use std::thread;

    use super::*;

    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(600);

    fn queue(batches: std::ops::Range<usize>) -> Queue<usize> {
        let queue = Queue::new();
        batches.for_each(|batch| queue.push(batch));
        queue
    }

    #[test]
    fn a_single_writer_never_waits() {
        let mut pace = Pace::default();
        for batch in 0..3 {
            let queue = queue(batch..batch + 1);
            assert_eq!(queue.group(pace.wanted(), LONG).unwrap(), [batch]);
            pace.note(1, LONG);
        }
        assert_eq!(
            queue(0..2).group(pace.wanted(), LONG).unwrap(),
            [0, 1],
            "what is there is taken"
        );
    }

    #[test]
    fn a_group_waits_until_enough_are_there_and_loses_nothing() {
        let queue = queue(0..0);
        let group = thread::scope(|scope| {
            scope.spawn(|| (0..16).for_each(|batch| queue.push(batch)));
            queue.group(8, LONG).unwrap()
        });
        assert!(group.len() >= 8, "{group:?}");
        queue.close();
        let rest = queue.group(8, LONG).unwrap_or_default();
        assert_eq!([group, rest].concat(), (0..16).collect::<Vec<_>>());
    }

    #[test]
    fn a_group_ends_when_nobody_comes() {
        assert_eq!(queue(0..1).group(2, Duration::from_millis(1)).unwrap(), [0]);
        assert_eq!(queue(0..3).group(9, NONE).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn a_closed_queue_is_emptied_and_takes_nothing() {
        let queue = queue(0..2);
        queue.close();
        queue.push(2);
        assert_eq!(queue.group(9, LONG).unwrap(), [0, 1]);
        assert_eq!(queue.group(0, LONG), None);
    }

    #[test]
    fn a_writer_that_waits_learns_that_the_queue_is_closed() {
        let queue = queue(0..0);
        thread::scope(|scope| {
            let writer = scope.spawn(|| queue.group(0, LONG));
            queue.close();
            assert_eq!(writer.join().unwrap(), None);
        });
    }

    #[tokio::test]
    async fn whoever_waits_for_a_writer_that_has_ended_learns_it() {
        let queue = Queue::new();
        let (reply, answer) = oneshot::channel::<()>();
        queue.push(reply);
        queue.abandon();
        answer.await.unwrap_err();
        let (reply, answer) = oneshot::channel::<()>();
        queue.push(reply);
        answer.await.unwrap_err();
    }

    #[test]
    fn a_group_has_a_greatest_size() {
        let queue = queue(0..2 * GROUP_MAX + 1);
        let sizes = [(); 3].map(|()| queue.group(0, NONE).unwrap().len());
        assert_eq!(sizes, [GROUP_MAX, GROUP_MAX, 1]);
    }

    #[test]
    fn three_quarters_of_the_larger_of_the_last_two_groups_are_waited_for() {
        let mut pace = Pace::default();
        pace.note(15, Duration::from_micros(300));
        assert_eq!((pace.wanted(), pace.time()), (11, Duration::from_micros(300)));
        pace.note(1, Duration::from_secs(4));
        assert_eq!((pace.wanted(), pace.time()), (11, GATHERING_MAX));
        pace.note(2, NONE);
        assert_eq!((pace.wanted(), pace.time()), (1, NONE));
    }
}
