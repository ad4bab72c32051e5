//! What the service counts, and the names under which it is told.
//!
//! Counting changes a few words in memory: it cannot fail, and it waits for nobody but another who counts the same thing
//! at that moment. Labels are this program's own words only, so a client can choose neither their number nor their text.
//!
//! One file because it is one list: what there is, under which name, and where it is counted.
//!
//! Deliberately absent: the store, HTTP, the wall clock.

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use reelkey_client::time::UnixTime;
use tokio::time::Instant;

use crate::authority::issuer_counters::IssuerCounters;
use crate::domain::refusal::Refusal;
use crate::store::meter::Meter;

/// The upper ends of the buckets of a license's duration, in seconds: it takes a fifth of a millisecond on an idle
/// machine, and 20 seconds are the most that a request may take.
const LICENSE_SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0,
];

/// The names and values of `N` labels.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// A gauge that is told once it is known.
type Known = Family<Labels<0>, Gauge>;

/// Everything that is counted.
#[derive(Debug)]
pub struct Counters {
    registry: Registry,
    licenses: Family<Labels<2>, Counter>,
    license_seconds: Family<Labels<1>, Histogram>,
    operations: Family<Labels<2>, Counter>,
    packagers: Family<[(&'static str, String); 3], Counter>,
    refused_requests: Family<Labels<1>, Counter>,
    issuers: IssuerCounters,
    connections: Attendance,
    requests: Attendance,
    contents: Known,
    keys: Family<Labels<1>, Gauge>,
    signer: Known,
    kek: Known,
    certificate: Known,
    databases: Family<Labels<1>, Gauge>,
    store_healthy: Known,
    facts_swept: Counter,
    log_lines_lost: Family<Labels<0>, Counter>,
    started: Known,
}

/// What is asked for when the figures are told, and counted by nobody before.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Whether the store takes writes.
    pub store_healthy: bool,
    /// Since when the current signing key signs.
    pub signer: Option<UnixTime>,
    /// When the databases of countries and of anonymous addresses were built, as far as there are any.
    pub databases: [Option<UnixTime>; 2],
    /// How many lines of the log were lost, where somebody counts them.
    pub log_lines_lost: Option<u64>,
}

impl Counters {
    /// Everything at nought, but for what the store has counted already.
    #[must_use]
    pub fn new(store: &Meter) -> Self {
        let new = Self {
            registry: Registry::with_prefix("reelkey"),
            licenses: Family::default(),
            license_seconds: Family::new_with_constructor(|| Histogram::new(LICENSE_SECONDS)),
            operations: Family::default(),
            packagers: Family::default(),
            refused_requests: Family::default(),
            issuers: IssuerCounters::default(),
            connections: Attendance::default(),
            requests: Attendance::default(),
            contents: Known::default(),
            keys: Family::default(),
            signer: Known::default(),
            kek: Known::default(),
            certificate: Known::default(),
            databases: Family::default(),
            store_healthy: Known::default(),
            facts_swept: Counter::default(),
            log_lines_lost: Family::default(),
            started: Known::default(),
        };
        new.name_all().register(store)
    }

    /// Makes the series that there will be, so that each is seen to begin at nought.
    fn name_all(self) -> Self {
        for result in [GRANTED, RELEASED, FAILED] {
            drop(self.licenses.get_or_create(&license(result, NO_REASON)));
        }
        for reason in Refusal::ALL.map(Refusal::reason) {
            drop(self.licenses.get_or_create(&license(REFUSED, reason)));
            drop(self.refused_requests.get_or_create(&[("reason", reason)]));
        }
        for limit in [OF_ONE_ADDRESS, OF_ALL] {
            drop(self.connections.refused.get_or_create(&[("limit", limit)]));
        }
        for result in [GRANTED, RELEASED, REFUSED, FAILED] {
            drop(self.license_seconds.get_or_create(&[("result", result)]));
        }
        self
    }

    fn register(mut self, store: &Meter) -> Self {
        let told = &mut self.registry;
        let licenses = self.licenses.clone();
        told.register(
            "licenses",
            "License requests that were decided, by result and reason",
            licenses,
        );
        let help = "How long deciding a license request took, by result";
        let seconds = self.license_seconds.clone();
        told.register_with_unit("license_duration", help, Unit::Seconds, seconds);
        let help = "Operators' operations that the service carried out, by name and result";
        told.register("operations", help, self.operations.clone());
        let help = "Requests of packagers for keys, by packager, permission and result";
        told.register("key_requests", help, self.packagers.clone());
        let help = "Requests on the players' listener that were answered with a problem, by reason";
        told.register("refused_requests", help, self.refused_requests.clone());
        self.issuers.register(told);

        told.register(
            "connections",
            "Open connections of players",
            self.connections.present.clone(),
        );
        let refused = &self.connections.refused;
        let help = "Connections of players that were closed at once because there were too many";
        told.register("connections_refused", help, refused.clone());
        let help = "Requests of players that are not answered yet";
        told.register("requests_in_flight", help, self.requests.present.clone());

        told.register("store_commits", "Batches that the store wrote", store.done.clone());
        let help = "Batches that the store did not write because somebody else was quicker";
        told.register("store_commit_conflicts", help, store.conflicts.clone());
        told.register("store_commit_failures", "Batches that failed", store.failed.clone());
        let help = "How long a commit took until it was acknowledged, in conflict or failed";
        told.register_with_unit(
            "store_commit_duration",
            help,
            Unit::Seconds,
            store.seconds.clone(),
        );
        let help = "How long a commit of facts took, by whether secrets were moving to a fresh store meanwhile";
        let facts = store.facts_seconds.clone();
        told.register_with_unit("facts_commit_duration", help, Unit::Seconds, facts);
        let help = "Facts that were removed because they ended long ago";
        told.register("facts_swept", help, self.facts_swept.clone());
        let help = "1 while the store takes writes, otherwise 0";
        told.register("store_healthy", help, self.store_healthy.clone());

        told.register("contents", "Contents in the store", self.contents.clone());
        told.register("keys", "Content keys in the store, by state", self.keys.clone());
        let help =
            "Since when the current signing key signs licenses; its age is time() minus this";
        told.register_with_unit("signer_start_timestamp", help, Unit::Seconds, self.signer.clone());
        let help = "When the primary KEK was made; its age is time() minus this";
        told.register_with_unit("kek_created_timestamp", help, Unit::Seconds, self.kek.clone());
        let help = "When the certificate of the players' listener ends";
        let certificate = self.certificate.clone();
        told.register_with_unit("certificate_expiry_timestamp", help, Unit::Seconds, certificate);
        let help =
            "When the database that tells where addresses are was built, by its field of [geoip]";
        let databases = self.databases.clone();
        told.register_with_unit("geoip_build_timestamp", help, Unit::Seconds, databases);
        let lost = self.log_lines_lost.clone();
        told.register("log_lines_lost", "Lines of the log that could not be written", lost);

        let build = Family::<Labels<1>, Gauge>::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        told.register("build_info", "Always 1; the version is a label", build);
        let help = "When the service started";
        let process = told.sub_registry_with_prefix("process");
        process.register_with_unit("start_time", help, Unit::Seconds, self.started.clone());
        self
    }

    /// A license request begins to be decided.
    #[must_use]
    pub fn license(&self) -> LicenseTimer<'_> {
        LicenseTimer { counters: self, begun: Instant::now() }
    }

    /// An operation of that name, which is a word of ours, has ended.
    pub fn operation(&self, name: &'static str, result: OperationResult) {
        self.operations.get_or_create(&[("operation", name), ("result", result.as_str())]).inc();
    }

    /// A packager of that name has been answered.
    pub fn packager(&self, name: &str, permission: &'static str, result: OperationResult) {
        let [permission, result] = [permission, result.as_str()].map(str::to_owned);
        let labels =
            [("packager", name.to_owned()), ("permission", permission), ("result", result)];
        self.packagers.get_or_create(&labels).inc();
    }

    /// An attempt to fetch an issuer's keys has ended.
    pub fn keys_fetched(&self, iss: &str, has_succeeded: bool) {
        self.issuers.count(iss, has_succeeded);
    }

    /// These issuers' keys were fetched then.
    pub(in crate::authority) fn issuer_keys<'a>(
        &self,
        issuers: impl Iterator<Item = (&'a str, UnixTime)>,
    ) {
        self.issuers.show(issuers);
    }

    /// A request was answered with a problem.
    pub fn request_refused(&self, refusal: Refusal) {
        self.refused_requests.get_or_create(&[("reason", refusal.reason())]).inc();
    }

    /// So many facts were removed, because they ended long ago.
    pub fn facts_swept(&self, count: usize) {
        self.facts_swept.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// The connections of players.
    #[must_use]
    pub fn connections(&self) -> Attendance {
        self.connections.clone()
    }

    /// The open requests of players.
    #[must_use]
    pub fn requests(&self) -> Attendance {
        self.requests.clone()
    }

    /// The service started.
    pub fn started(&self, at: UnixTime) {
        set(&self.started, at);
    }

    /// The certificate that is shown from now on ends then.
    pub fn certificate_ends(&self, at: UnixTime) {
        set(&self.certificate, at);
    }

    /// The primary KEK was made then.
    pub(in crate::authority) fn kek_made(&self, at: UnixTime) {
        set(&self.kek, at);
    }

    /// So many contents and keys are there.
    pub(in crate::authority) fn stock(&self, contents: usize, active: usize, retired: usize) {
        self.contents.get_or_create(&[]).set(number(contents));
        self.keys.get_or_create(&[("state", "active")]).set(number(active));
        self.keys.get_or_create(&[("state", "retired")]).set(number(retired));
    }

    /// All of it, as OpenMetrics 1.0 writes it.
    ///
    /// # Errors
    /// A metric that cannot be written (there is none).
    pub(in crate::authority) fn text(&self, figures: Figures) -> Result<String, fmt::Error> {
        self.store_healthy.get_or_create(&[]).set(figures.store_healthy.into());
        if let Some(since) = figures.signer {
            set(&self.signer, since);
        }
        // One that the operator has removed is told no more.
        self.databases.clear();
        for (name, built) in ["country", "anonymous"].into_iter().zip(figures.databases) {
            if let Some(built) = built {
                self.databases.get_or_create(&[("database", name)]).set(seconds(built));
            }
        }
        if let Some(lost) = figures.log_lines_lost {
            self.log_lines_lost.get_or_create(&[]).inner().store(lost, Ordering::Relaxed);
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

const GRANTED: &str = "granted";
const RELEASED: &str = "released";
const REFUSED: &str = "refused";
const FAILED: &str = "failed";

/// The reason of a license that was granted, or that failed.
const NO_REASON: &str = "none";

/// Which limit turned a connection away.
const OF_ONE_ADDRESS: &str = "address";
const OF_ALL: &str = "all";

fn license(result: &'static str, reason: &'static str) -> Labels<2> {
    [("result", result), ("reason", reason)]
}

fn set(gauge: &Known, at: UnixTime) {
    gauge.get_or_create(&[]).set(seconds(at));
}

fn seconds(at: UnixTime) -> i64 {
    i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationResult {
    /// It was done.
    Done,
    /// A rule refused it.
    Refused,
    /// Something failed.
    Failed,
}

impl OperationResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => REFUSED,
            Self::Failed => FAILED,
        }
    }
}

/// A license request that is being decided. Dropped, it is not counted: nobody waits for the answer.
#[derive(Debug)]
pub struct LicenseTimer<'a> {
    counters: &'a Counters,
    begun: Instant,
}

impl LicenseTimer<'_> {
    /// It is granted.
    pub fn granted(self) {
        self.count(GRANTED, NO_REASON);
    }

    /// It was a license that came back.
    pub fn released(self) {
        self.count(RELEASED, NO_REASON);
    }

    /// It is refused.
    pub fn refused(self, refusal: Refusal) {
        self.count(REFUSED, refusal.reason());
    }

    /// It failed.
    pub fn failed(self) {
        self.count(FAILED, NO_REASON);
    }

    fn count(self, result: &'static str, reason: &'static str) {
        self.counters.licenses.get_or_create(&license(result, reason)).inc();
        let seconds = self.counters.license_seconds.get_or_create(&[("result", result)]);
        seconds.observe(self.begun.elapsed().as_secs_f64());
    }
}

/// How many there are of something, and how often one more was turned away. Clones count together; one of its own is
/// told to nobody.
#[derive(Clone, Debug, Default)]
pub struct Attendance {
    present: Gauge,
    refused: Family<Labels<1>, Counter>,
}

impl Attendance {
    /// One more is there.
    pub fn entered(&self) {
        self.present.inc();
    }

    /// One has gone.
    pub fn left(&self) {
        self.present.dec();
    }

    /// One was turned away: because of its address alone, or because there are too many altogether.
    pub fn refused(&self, of_one_address: bool) {
        let limit = if of_one_address { OF_ONE_ADDRESS } else { OF_ALL };
        self.refused.get_or_create(&[("limit", limit)]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURES: Figures = Figures {
        store_healthy: true,
        signer: None,
        databases: [None, None],
        log_lines_lost: None,
    };

    #[test]
    fn what_was_counted_is_told_under_its_name() {
        let counters = Counters::new(&Meter::default());
        counters.license().granted();
        counters.license().refused(Refusal::Blackout);
        drop(counters.license());
        counters.operation("key/rotate", OperationResult::Refused);
        counters.connections().entered();
        counters.connections().refused(true);
        let databases = [None, Some(UnixTime::from_secs(9))];
        let figures = Figures { databases, log_lines_lost: Some(7), ..FIGURES };
        let text = counters.text(figures).unwrap();
        for line in [
            "reelkey_licenses_total{result=\"granted\",reason=\"none\"} 1",
            "reelkey_licenses_total{result=\"refused\",reason=\"blackout\"} 1",
            "reelkey_licenses_total{result=\"failed\",reason=\"none\"} 0",
            "reelkey_license_duration_seconds_count{result=\"granted\"} 1",
            "reelkey_operations_total{operation=\"key/rotate\",result=\"refused\"} 1",
            "reelkey_connections 1",
            "reelkey_connections_refused_total{limit=\"address\"} 1",
            "reelkey_log_lines_lost_total 7",
            "reelkey_geoip_build_timestamp_seconds{database=\"anonymous\"} 9",
            "reelkey_store_healthy 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let text = Counters::new(&Meter::default()).text(FIGURES).unwrap();
        let told = |name: &str| text.lines().any(|line| line.starts_with(name));
        for name in [
            "reelkey_log_lines_lost_total",
            "reelkey_certificate",
            "reelkey_contents ",
            "reelkey_geoip",
        ] {
            assert!(!told(name), "{name} in\n{text}");
        }
        assert!(told("reelkey_build_info{version="), "{text}");
    }
}
