//! Fetching issuers' keys while the service runs: each when it is due, all beside each other, none in the way of a license.
//!
//! Keys that were fetched are in force at once, and then kept in the data folder. Why a fetch failed is in the log, in the
//! metrics and in `doctor`.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::sleep;

use crate::authority::fetched_keys::{FetchedKeys, KeySet};
use crate::authority::service::Authority;
use crate::cli::clock;
use crate::cli::folder::kept_keys;
use crate::cli::folder::paths::Folder;
use crate::cli::issuer_source::fetch_set;
use crate::cli::terminal::output::Failure;
use crate::crypto::issuer_key::Algorithm;

/// How often somebody looks whether keys are due. Looking reads a few numbers; and a clock that was set is noticed.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Begins to fetch, until the task is aborted.
pub(crate) fn start(authority: &Arc<Authority>, folder: &Folder) -> JoinHandle<()> {
    tokio::spawn(fetch_keys(Arc::clone(authority), folder.clone()))
}

async fn fetch_keys(authority: Arc<Authority>, folder: Folder) {
    warn_of_missing(&authority);
    let mut fetches = JoinSet::new();
    loop {
        let issuers = Arc::clone(&authority.in_force().issuers);
        let mut fetches_any = false;
        for (issuer, keys) in issuers.fetched() {
            fetches_any = true;
            if keys.begins(clock::now()) {
                fetches.spawn(
                    Fetch {
                        authority: Arc::clone(&authority),
                        folder: folder.clone(),
                        iss: issuer.iss.clone(),
                        algorithms: issuer.algorithms.clone(),
                        keys: keys.clone(),
                    }
                    .run(),
                );
            }
        }
        tokio::select! {
            () = issuers.called() => {}
            () = sleep(BETWEEN_LOOKS), if fetches_any => {}
            Some(_) = fetches.join_next() => {}
        }
    }
}

/// Names the issuers whose tokens are refused until keys have come.
fn warn_of_missing(authority: &Authority) {
    for (issuer, keys) in authority.in_force().issuers.fetched() {
        if let Err(why) = keys.usable(clock::now()) {
            let url = keys.source().url.as_str();
            tracing::warn!(iss = issuer.iss, url, %why, "this issuer's tokens are refused until its keys are fetched");
        }
    }
}

/// One attempt.
struct Fetch {
    authority: Arc<Authority>,
    folder: Folder,
    iss: String,
    algorithms: Vec<Algorithm>,
    keys: FetchedKeys,
}

impl Fetch {
    async fn run(self) {
        match fetch_set(self.keys.source(), &self.algorithms).await {
            Ok(set) => self.succeeded(set).await,
            Err(failure) => self.failed(&failure),
        }
    }

    async fn succeeded(self, set: KeySet) {
        let (count, set) = (set.keys.count(), Arc::new(set));
        let url = self.keys.source().url.as_str();
        self.authority.counters().keys_fetched(&self.iss, true);
        match self.keys.succeeded(Arc::clone(&set)) {
            true => {
                tracing::info!(iss = self.iss, url, keys = count, "this issuer has other keys now")
            }
            false => tracing::debug!(iss = self.iss, url, "this issuer's keys were fetched"),
        }
        // Meanwhile the operator may have named another address, and the keys from there are kept already.
        let issuers = Arc::clone(&self.authority.in_force().issuers);
        let mut now_fetched = issuers.fetched();
        if !now_fetched
            .any(|(issuer, keys)| issuer.iss == self.iss && keys.source() == self.keys.source())
        {
            return;
        }
        let Self { folder, iss, keys, .. } = self;
        let kept = spawn_blocking(move || {
            let kept = kept_keys::write(&folder, &iss, keys.source(), &set);
            kept.map_err(|error| tracing::warn!(iss, %error, "the keys are in force, and not kept for the next start"))
        });
        kept.await.ok();
    }

    fn failed(&self, failure: &Failure) {
        let now = clock::now();
        self.keys.failed(now, failure.to_string());
        self.authority.counters().keys_fetched(&self.iss, false);
        let (iss, why) = (self.iss.as_str(), failure.to_string());
        match self.keys.usable(now) {
            Ok(_) => {
                let good_until =
                    self.keys.report().good_until.map(|time| clock::show(time.as_secs()));
                tracing::warn!(iss, why, good_until, "keys cannot be fetched; the last ones serve");
            }
            Err(_) => tracing::error!(
                iss,
                why,
                "keys cannot be fetched; this issuer's tokens are refused"
            ),
        }
    }
}
