//! Counting what is committed and how long that takes. An engine has one meter for as long as the process runs, also
//! where one of its stores takes the place of another.
//!
//! Deliberately absent: who shows the figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use crate::store::batch::Committed;
use crate::store::error::Error;

/// The upper ends of the buckets of durations, in seconds. A sync takes from a fraction of a millisecond to what a busy
/// disk needs; a commit is given up after 15 seconds.
const SECONDS: [f64; 13] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// What was committed so far. Clones are one meter.
#[derive(Clone, Debug)]
pub struct Meter {
    /// Batches that are on disk.
    pub done: Counter,
    /// Batches that changed nothing, because something was not as they expected.
    pub conflicts: Counter,
    /// Batches of which it is not known whether they are on disk.
    pub failed: Counter,
    /// How long each took until it was answered, whatever the answer.
    pub seconds: Histogram,
    /// The same of facts alone, which grants wait for, by whether the root key was being rotated meanwhile.
    pub facts_seconds: Family<[(&'static str, &'static str); 1], Histogram>,
    /// How many rotations of the root key there are now.
    rotations: Arc<AtomicUsize>,
}

/// Whether the root key was being rotated.
const ALONE: [(&str, &str); 1] = [("root_rotation", "no")];
const BESIDE: [(&str, &str); 1] = [("root_rotation", "yes")];

/// A rotation of the root key, as long as this lives.
#[derive(Debug)]
pub struct Rotation(Arc<AtomicUsize>);

impl Drop for Rotation {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Contents, keys and all else that a rotation moves.
    Secrets,
    /// What grants leave.
    Facts,
}

impl Default for Meter {
    fn default() -> Self {
        let new = Self {
            done: Counter::default(),
            conflicts: Counter::default(),
            failed: Counter::default(),
            seconds: Histogram::new(SECONDS),
            facts_seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            rotations: Arc::default(),
        };
        // Each series begins at nought.
        for label in [ALONE, BESIDE] {
            drop(new.facts_seconds.get_or_create(&label));
        }
        new
    }
}

impl Meter {
    /// A rotation of the root key begins. It ends when the answer is dropped.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        self.rotations.fetch_add(1, Ordering::Relaxed);
        Rotation(Arc::clone(&self.rotations))
    }

    fn is_rotating(&self) -> bool {
        self.rotations.load(Ordering::Relaxed) > 0
    }

    /// Waits for a commit and counts it.
    pub(super) async fn measure(
        &self,
        kind: Kind,
        commit: impl Future<Output = Result<Committed, Error>>,
    ) -> Result<Committed, Error> {
        let (begun, was_rotating) = (Instant::now(), self.is_rotating());
        let committed = commit.await;
        let took = begun.elapsed().as_secs_f64();
        self.seconds.observe(took);
        if kind == Kind::Facts {
            let label = if was_rotating || self.is_rotating() { BESIDE } else { ALONE };
            self.facts_seconds.get_or_create(&label).observe(took);
        }
        match &committed {
            Ok(Committed::Done) => self.done.inc(),
            Ok(Committed::Conflict) => self.conflicts.inc(),
            Err(_) => self.failed.inc(),
        };
        committed
    }
}
