//! What is counted about issuers whose keys are fetched. The label `issuer` is the operator's text, one for each that is
//! configured.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use reelkey_client::time::UnixTime;

type Label = (&'static str, String);

/// The counters.
#[derive(Debug, Default)]
pub(super) struct IssuerCounters {
    fetches: Family<[Label; 2], Counter>,
    fetched: Family<[Label; 1], Gauge>,
}

impl IssuerCounters {
    pub(super) fn register(&self, told: &mut Registry) {
        let help = "Attempts to fetch an issuer's keys, by issuer and result";
        told.register("issuer_key_fetches", help, self.fetches.clone());
        let help = "When the keys of an issuer were fetched that are there now; their age is time() minus this";
        let fetched = self.fetched.clone();
        told.register_with_unit("issuer_keys_fetched_timestamp", help, Unit::Seconds, fetched);
    }

    /// An attempt to fetch keys has ended.
    pub(super) fn count(&self, iss: &str, has_succeeded: bool) {
        let result = if has_succeeded { "fetched" } else { "failed" };
        let labels = [("issuer", iss.to_owned()), ("result", result.to_owned())];
        self.fetches.get_or_create(&labels).inc();
    }

    /// These issuers' keys were fetched then. Others are not told of any more.
    pub(super) fn show<'a>(&self, issuers: impl Iterator<Item = (&'a str, UnixTime)>) {
        self.fetched.clear();
        for (iss, at) in issuers {
            let gauge = self.fetched.get_or_create_owned(&[("issuer", iss.to_owned())]);
            gauge.set(i64::try_from(at.as_secs()).unwrap_or(i64::MAX));
        }
    }
}
