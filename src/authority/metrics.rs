//! What the service tells of itself to whoever measures it.
//!
//! Telling reads counters. What would need a walk through the store is counted aside, at most so often that it takes a
//! fiftieth of the time.

use std::fmt;
use std::time::Duration;

use reelkey_client::time::UnixTime;
use tokio::time::{Instant, sleep};

use crate::authority::atlas::database::Database;
use crate::authority::counters::Figures;
use crate::authority::service::Authority;
use crate::authority::vault::fault::Fault;
use crate::store::record::kek::KekRecord;
use crate::store::record::stored;
use crate::store::record::title::{self, Stock};

/// The shortest pause between two counts of what is in the store.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// How many times as long as a count the pause after it is.
const PAUSE_PER_COUNT: u32 = 49;

impl Authority {
    /// Everything that is counted, as OpenMetrics 1.0 writes it, as it is at `now`.
    ///
    /// # Errors
    /// A metric that cannot be written (there is none).
    pub fn metrics(
        &self,
        now: UnixTime,
        log_lines_lost: Option<u64>,
    ) -> Result<String, fmt::Error> {
        let in_force = self.in_force();
        let fetched = in_force.issuers.fetched();
        self.counters.issuer_keys(
            fetched.filter_map(|(issuer, keys)| Some((&*issuer.iss, keys.report().fetched?.at))),
        );
        let (store_healthy, signer) = (self.is_ready(), in_force.signers.signs_since(now));
        let databases = [in_force.atlas.countries(), in_force.atlas.anonymous()];
        let databases = databases.map(|database| database.map(Database::built));
        self.counters.text(Figures { store_healthy, signer, databases, log_lines_lost })
    }

    /// Counts contents and keys now, and again after something was committed, for as long as it is polled.
    pub async fn keep_stock(&self) {
        let mut counted_at = None;
        loop {
            let (begun, commits) = (Instant::now(), self.vault.engine().meter().done.get());
            if counted_at != Some(commits) {
                match self.count_stock().await {
                    Ok(()) => counted_at = Some(commits),
                    Err(fault) => tracing::debug!(%fault, "contents and keys are not counted"),
                }
            }
            sleep(PAUSE_MIN.max(begun.elapsed() * PAUSE_PER_COUNT)).await;
        }
    }

    /// Counts contents and keys in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn stock(&self) -> Result<Stock, Fault> {
        Ok(title::stock(&*self.vault.store()).await?)
    }

    async fn count_stock(&self) -> Result<(), Fault> {
        let store = self.vault.store();
        let stock = self.stock().await?;
        self.counters.stock(stock.contents, stock.active_keys, stock.retired_keys);
        let keks = stored::all::<KekRecord>(&*store).await?;
        if let Some(kek) = keks.iter().find(|kek| kek.primary) {
            self.counters.kek_made(UnixTime::from_secs(kek.created_at));
        }
        Ok(())
    }
}
