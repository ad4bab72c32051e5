//! Counting what is committed and how long that takes. An engine has one meter for as long as the process runs, also
//! where one of its stores takes the place of another.
//!
//! Deliberately absent: who shows the figures.

use prometheus_client::metrics::counter::Counter;
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
}

impl Default for Meter {
    fn default() -> Self {
        let (done, conflicts, failed) =
            (Counter::default(), Counter::default(), Counter::default());
        Self { done, conflicts, failed, seconds: Histogram::new(SECONDS) }
    }
}

impl Meter {
    /// Waits for a commit and counts it.
    pub(super) async fn measure(
        &self,
        commit: impl Future<Output = Result<Committed, Error>>,
    ) -> Result<Committed, Error> {
        let begun = Instant::now();
        let committed = commit.await;
        self.seconds.observe(begun.elapsed().as_secs_f64());
        match &committed {
            Ok(Committed::Done) => self.done.inc(),
            Ok(Committed::Conflict) => self.conflicts.inc(),
            Err(_) => self.failed.inc(),
        };
        committed
    }
}
