//! The sweep of a running service: facts that ended long ago are removed, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use crate::authority::registry::sweep::Sweep;
use crate::authority::service::Authority;
use crate::cli::clock;
use crate::cli::folder::retention::RetentionTable;

/// The pause between two steps of a sweep, so that licenses come first.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);

/// Sweeps until it is dropped. A step that fails is logged, and the next sweep tries again.
pub(crate) async fn sweep(authority: Arc<Authority>, table: RetentionTable) {
    loop {
        tokio::time::sleep(table.every()).await;
        let retention = table.under(&authority.in_force().policies);
        let (mut sweep, mut removed) = (Sweep::default(), 0);
        loop {
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
            tokio::time::sleep(BETWEEN_STEPS).await;
        }
        if removed > 0 {
            tracing::info!(removed, "facts that ended long ago were removed");
        }
    }
}
