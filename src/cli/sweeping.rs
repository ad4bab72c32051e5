//! The sweep of a running service: facts that ended long ago are removed, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::authority::registry::sweep::Sweep;
use crate::authority::service::Authority;
use crate::cli::clock;
use crate::cli::folder::retention::RetentionTable;

/// The shortest and the longest pause between two steps of a sweep.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The pause after a step, as a multiple of what it took. A license that comes during a step may wait for it. These are one in two
/// hundred, too few to be seen in a p99, as long as a step takes at most 10 ms. Slower ones get [`PAUSE_MAX`], so that a sweep ends.
const PAUSE_FACTOR: u32 = 200;

/// Sweeps until it is dropped. A step that fails is logged, and the next sweep tries again.
pub(crate) async fn sweep(authority: Arc<Authority>, table: RetentionTable) {
    loop {
        sleep(table.every()).await;
        let retention = table.under(&authority.in_force().policies);
        let (mut sweep, mut removed) = (Sweep::default(), 0);
        loop {
            let begun = Instant::now();
            match sweep.step(&*authority.facts(), retention, clock::now()).await {
                Ok(Some(more)) => {
                    removed += more;
                    authority.counters().facts_swept(more);
                }
                Ok(None) => break,
                Err(fault) => {
                    tracing::error!(%fault, "facts that ended are kept for now");
                    break;
                }
            }
            sleep(pause(begun.elapsed())).await;
        }
        if removed > 0 {
            tracing::info!(removed, "facts that ended long ago were removed");
        }
    }
}

/// The pause after a step that took so long.
fn pause(step: Duration) -> Duration {
    step.saturating_mul(PAUSE_FACTOR).clamp(PAUSE_MIN, PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_two_hundred_times_its_step_within_bounds() {
        let pauses = [0, 250, 251, 1_000, 25_000, 4_000_000].map(|micros| {
            let pause = pause(Duration::from_micros(micros));
            pause.as_micros()
        });
        assert_eq!(pauses, [50_000, 50_000, 50_200, 200_000, 2_000_000, 2_000_000]);
        assert_eq!(pause(Duration::MAX), PAUSE_MAX);
    }
}
