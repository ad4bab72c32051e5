//! What remembering costs players, as ratios within one run.
//!
//! `cargo bench --bench rights -- 1000000` prints: a license under a policy with every rule that remembers, and under those that
//! are shipped and remember, against one under a policy that does not, with 16 players at once; how evenly licenses come at half of
//! that load, and beside it how evenly the disk alone syncs a small file, which each of these licenses waits for; both in a store
//! with as many devices (20,000 if no number is given), a tenth as many live sessions and as many that ended; the same while the
//! sweep removes those that ended, in turns with a store that is not swept; and what commits of grants take, as the store itself
//! measures it, while the root key is rotated under a tenth as many secrets. Requests are signed beforehand, so that what is timed
//! is the service.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may fail where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "a bench tells time")]

mod asking;
mod service;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reelkey::crypto::random;
use reelkey::domain::past::{
    Device, DeviceStatus, Event, EventKind, License, LicenseId, LicenseState, Slot, Usage,
};
use reelkey::domain::policy::ConcurrencyScope;
use reelkey::store::batch::Batch;
use reelkey::store::open::{self as stores, StoreUrl};
use reelkey::store::record::fact::account::AccountId;
use reelkey::store::record::fact::device::DeviceRecord;
use reelkey::store::record::fact::license::{LicenseRecord, OwnerRecord};
use reelkey::store::record::fact::place::PlaceRecord;
use reelkey::store::record::fact::slot::{SlotRecord, counted};
use reelkey::store::record::fact::usage::UsageRecord;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;
use rustix::process::{Pid, Signal, kill_process};

use crate::asking::ask;
use crate::service::{REMEMBERS, Service, run};

const REMEMBERED: &str = "movies/remembered";
const PLAIN: &str = "movies/plain";
/// The policies that are shipped and remember something, each with a title.
const SHIPPED: [(&str, &str); 3] = [
    ("movies/rental", include_str!("../policies/rental.toml")),
    ("movies/live-event", include_str!("../policies/live-event.toml")),
    ("movies/offline", include_str!("../policies/offline.toml")),
];
const PLAIN_POLICY: &str = "can_play = true\nlicense_duration = \"10m\"\n";

/// Devices in the large store. A tenth as many sessions live, as many have ended, and there are as many secrets.
const DEVICES: usize = 20_000;

/// Devices of one account.
const OF_ACCOUNT: usize = 5;

/// Players at once, and those that play while the root key is rotated.
const PLAYERS: usize = 16;
const DURING_ROTATION: usize = 8;

/// Licenses in one round, and rounds.
const LICENSES: usize = 1_600;
const ROUNDS: usize = 6;

/// How long half of the load lasts, and how long a turn of it when services take turns, and how often they do.
const HALF: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_secs(2);
const TURNS: usize = 12;

/// Accounts written in one batch.
const BATCH: usize = 500;

const DAY: u64 = 86_400;

/// Lets the sweep begin again and again.
const SWEEPING: &str = "\n[retention]\nevery = \"1s\"\n";

fn configure(service: &Service, tables: &str) {
    let path = service.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{text}{tables}")).unwrap();
}

fn installed() -> Service {
    let mut titles = vec![(REMEMBERED, REMEMBERS), (PLAIN, PLAIN_POLICY)];
    titles.extend(SHIPPED);
    let service = Service::new(&titles);
    // A port that is free now.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    configure(&service, &format!("\n[metrics]\nlisten = \"{free}\"\n"));
    service
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The facts of one account: five devices with places, a session that plays on the first, and one that ended on the second.
fn account(batch: Batch, plays: bool, ended: bool) -> Batch {
    let account = AccountId::from_bytes(random::bytes().unwrap());
    let (now, content) = (now(), REMEMBERED.parse().unwrap());
    let at = UnixTime::from_secs;
    let mut batch = batch;
    for place in 0..u16::try_from(OF_ACCOUNT).unwrap() {
        let device = Device {
            jkt: Thumbprint::from_bytes(random::bytes().unwrap()),
            name: Some("Living room".into()),
            model: Some("TV 55".into()),
            place: Some(place),
            placed_at: Some(at(now)),
            registered_at: at(now),
            last_seen_at: at(now),
            status: DeviceStatus::Active,
            status_since: at(now),
        };
        let holder = PlaceRecord { account, number: place, jkt: device.jkt };
        batch = batch.add_record(&DeviceRecord::new(account, &device)).unwrap();
        batch = batch.add_record(&holder).unwrap();
        let session = (place == 0 && plays) || (place == 1 && ended);
        if !session {
            continue;
        }
        let begun = if place == 0 { now } else { now - 60 * DAY };
        let expires = at(begun + DAY);
        let license = License {
            id: LicenseId::from_bytes(random::bytes().unwrap()),
            sub: "viewer-000000000000".into(),
            device: device.jkt,
            content: REMEMBERED.parse().unwrap(),
            entitlement_id: "rental-000000000000".into(),
            policy_id: "remembered".into(),
            session_type: SessionType::Temporary,
            issued_at: at(begun),
            updated_at: at(begun),
            expires_at: expires,
            counter: 0,
            renewed_by: None,
            state: LicenseState::Active,
            events: vec![Event { kind: EventKind::Issued, at: at(begun) }],
        };
        let slot = Slot {
            number: place,
            license: license.id,
            device: device.jkt,
            content: REMEMBERED.parse().unwrap(),
            since: at(begun),
            until: expires,
            stopped: Vec::new(),
        };
        let owner = OwnerRecord { id: license.id, account, jkt: device.jkt };
        let counted = counted(ConcurrencyScope::Account, &content, "remembered");
        batch = batch.add_record(&LicenseRecord::new(account, &license)).unwrap();
        batch = batch.add_record(&owner).unwrap();
        batch = batch.add_record(&SlotRecord::new(account, counted, &slot)).unwrap();
    }
    let mut usage = Usage::none(content, "rental-000000000000".into());
    (usage.rented_at, usage.played_at) = (Some(at(now)), Some(at(now)));
    batch.add_record(&UsageRecord::new(account, &usage)).unwrap()
}

/// Writes so many devices and a tenth as many sessions of each kind into the store, which nobody has opened.
fn fill(data: &Path, devices: usize) {
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let store = stores::open(&StoreUrl::Sled(data.join("store"))).await.unwrap();
        let facts = store.facts();
        let (accounts, sessions) = (devices / OF_ACCOUNT, devices / 10);
        let mut number = 0;
        while number < accounts {
            let mut batch = Batch::default();
            for _ in 0..BATCH.min(accounts - number) {
                batch = account(batch, number < sessions, number < sessions);
                number += 1;
            }
            facts.commit(batch).await.unwrap();
        }
    });
    println!("{devices} devices written in {:.0} s", begun.elapsed().as_secs_f64());
}

/// Licenses at half of the load for so long, each asked for in its turn whether or not the one before was answered in time.
/// Sorted; a license that had to wait for its connection counts from its turn on.
fn half_load(service: &mut Service, per_second: f64, time: Duration) -> Vec<Duration> {
    let pause = Duration::from_secs_f64(2.0 / per_second);
    let count = usize::try_from(time.as_nanos() / pause.as_nanos()).unwrap();
    let requests = service.requests(REMEMBERED, count);
    let (service, begun) = (&*service, Instant::now());
    let mut all: Vec<_> = thread::scope(|scope| {
        let players: Vec<_> = (0..PLAYERS)
            .map(|player| {
                let turns = requests.iter().enumerate().skip(player).step_by(PLAYERS);
                scope.spawn(move || {
                    let mut stream = service.connect();
                    let mut took = Vec::new();
                    for (turn, request) in turns {
                        let turn = begun + pause * u32::try_from(turn).unwrap();
                        let early = turn.saturating_duration_since(Instant::now());
                        thread::sleep(early);
                        let late = if early.is_zero() { turn.elapsed() } else { Duration::ZERO };
                        took.push(late + ask(&mut stream, request));
                    }
                    took
                })
            })
            .collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    all.sort_unstable();
    all
}

/// How long the disk takes to sync a small file that grows, when nobody else uses it. Sorted.
fn syncs(folder: &Path) -> Vec<Duration> {
    let path = folder.join("synced");
    let mut file = fs::File::create(&path).unwrap();
    let mut took = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < HALF / 2 {
        let begun = Instant::now();
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
        took.push(begun.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    fs::remove_file(path).unwrap();
    took.sort_unstable();
    took
}

/// The value below which so many of a thousand are, in microseconds.
fn quantile(sorted: &[Duration], of_thousand: usize) -> f64 {
    sorted[sorted.len() * of_thousand / 1000].as_secs_f64() * 1e6
}

/// All rounds of one kind of license.
#[derive(Default)]
struct Rounds {
    took: Vec<Duration>,
    all: Duration,
}

impl Rounds {
    fn round(&mut self, service: &mut Service, title: &str) {
        let requests = service.requests(title, LICENSES);
        let (all, each) = service.grant(&requests, PLAYERS);
        self.all += all;
        self.took.extend(each);
        self.took.sort_unstable();
    }

    fn median(&self) -> f64 {
        quantile(&self.took, 500)
    }

    fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.took.len()).unwrap()) / self.all.as_secs_f64()
    }
}

/// What the service counts.
fn metrics(service: &Service) -> String {
    let config = fs::read_to_string(service.data.path().join("reelkey.toml")).unwrap();
    let config: toml::Table = toml::from_str(&config).unwrap();
    let host = config["metrics"]["listen"].as_str().unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The values of the series that begin so, in order.
fn series(metrics: &str, begin: &str) -> Vec<(String, f64)> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(begin));
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    lines.map(value).collect()
}

fn swept(service: &Service) -> f64 {
    series(&metrics(service), "reelkey_facts_swept_total").iter().map(|(_, value)| value).sum()
}

/// Compares the small store with the large one: with all players at once and at half of the load, and with the sweep.
fn compare(devices: usize) {
    let (mut small, mut large) = (installed(), installed());
    fill(large.data.path(), devices);
    small.start();
    large.start();
    let [mut plain, mut remembered, mut in_large] = <[Rounds; 3]>::default();
    let mut shipped = SHIPPED.map(|(title, _)| (title, Rounds::default()));
    for _ in 0..ROUNDS {
        plain.round(&mut small, PLAIN);
        remembered.round(&mut small, REMEMBERED);
        in_large.round(&mut large, REMEMBERED);
        for (title, rounds) in &mut shipped {
            rounds.round(&mut small, title);
        }
    }
    println!(
        "{PLAYERS} players, nothing remembered: median {:.0} us, {:.0} in a second",
        plain.median(),
        plain.per_second()
    );
    let all = [("every rule", &remembered)].into_iter();
    for (name, rounds) in all.chain(shipped.iter().map(|(title, rounds)| (*title, rounds))) {
        println!(
            "{name}: {:.0} us, {:.2} times (asked: 1.6); {:.0} in a second",
            rounds.median(),
            rounds.median() / plain.median(),
            rounds.per_second()
        );
    }
    println!(
        "with {devices} devices and {} sessions: {:.0} us, {:.2} times (asked: 1.2)",
        devices / 10,
        in_large.median(),
        in_large.median() / remembered.median()
    );
    let load = remembered.per_second();
    let show = |name: &str, took: &[Duration]| {
        let [median, p99] = [500, 990].map(|part| quantile(took, part));
        println!("{name}: median {median:.0} us, p99 {p99:.0} us, {:.2} times", p99 / median);
        p99
    };
    let in_small = half_load(&mut small, load, HALF);
    show("the disk alone", &syncs(small.data.path()));
    show("half load, small store (asked: 4)", &in_small);
    show("half load, large store", &half_load(&mut large, load, HALF));
    sweep(&mut large, devices, load);
}

/// Compares half load while the store is swept with half load of a service like it that sweeps nothing. They take turns, and the
/// one that sweeps is stopped while the other is asked: so neither has the disk to itself, nor a better hour.
fn sweep(still: &mut Service, devices: usize, load: f64) {
    let mut sweeping = installed();
    fill(sweeping.data.path(), devices);
    configure(&sweeping, SWEEPING);
    sweeping.start();
    let signal = |service: &Service, signal| {
        let process = service.process.as_ref().unwrap();
        kill_process(Pid::from_child(&process.child), signal).unwrap();
    };
    thread::sleep(TURN);
    let begun = swept(&sweeping);
    let [mut with, mut without] = <[Vec<(f64, f64)>; 2]>::default();
    let figures = |took: &[Duration]| (quantile(took, 500), quantile(took, 990));
    for _ in 0..TURNS {
        with.push(figures(&half_load(&mut sweeping, load, TURN)));
        signal(&sweeping, Signal::STOP);
        without.push(figures(&half_load(still, load, TURN)));
        signal(&sweeping, Signal::CONT);
    }
    let removed = swept(&sweeping) - begun;
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let show = |name: &str, all: &[(f64, f64)]| {
        let median = middle(all.iter().map(|(median, _)| *median).collect());
        let p99 = middle(all.iter().map(|(_, p99)| *p99).collect());
        println!("{name}: median {median:.0} us, p99 {p99:.0} us, {:.2} times", p99 / median);
        p99
    };
    let without = show("half load, in turns, nothing swept", &without);
    let with = show("half load, in turns, while the store is swept", &with);
    println!("p99 with the sweep, which removed {removed:.0} facts: {:.2} times", with / without);
}

/// The p99.9 of what the store measured between two scrapes: the end of its bucket, and how many there were.
fn commits(before: &str, after: &str, rotation: &str) -> (String, f64, f64) {
    let name = "reelkey_facts_commit_duration_seconds_bucket{le=\"";
    let of = |text: &str| -> Vec<(String, f64)> {
        let all = series(text, name).into_iter();
        let rest = format!("\",root_rotation=\"{rotation}\"}}");
        all.filter_map(|(name, value)| Some((name.strip_suffix(&rest)?.to_owned(), value)))
            .collect()
    };
    let counts: Vec<_> = of(before)
        .into_iter()
        .zip(of(after))
        .map(|((end, before), (_, after))| (end, after - before))
        .collect();
    let (_, all) = counts.last().unwrap().clone();
    let (end, _) = counts.iter().find(|(_, count)| *count >= all * 0.999).unwrap();
    let within = counts.iter().find(|(end, _)| end.parse() == Ok(0.05)).unwrap().1;
    (end.clone(), all, all - within)
}

/// What grants wait for on disk while the root key is rotated.
fn rotate(secrets: usize) {
    let mut service = installed();
    let mut lines = String::new();
    for at in 0..secrets {
        let hex = || random::bytes::<16>().unwrap().map(|byte| format!("{byte:02x}")).concat();
        let kid: KeyId = hex().parse().unwrap();
        let (title, key) = (at / 5, hex());
        writeln!(lines, r#"{{"content_id":"movies/t{title}","kid":"{kid}","key":"{key}"}}"#)
            .unwrap();
    }
    let file = service.data.path().join("keys.jsonl");
    fs::write(&file, lines).unwrap();
    let file = file.to_str().unwrap();
    run(&service.data, &["key", "import", "--from", file, "--policy", "default"]);
    service.start();
    let requests: Vec<_> =
        (0..DURING_ROTATION).map(|_| service.requests(REMEMBERED, 1_000)).collect();
    let first = metrics(&service);
    players(&service, &requests, || thread::sleep(Duration::from_secs(5)));
    let before = metrics(&service);
    let mut took = Duration::ZERO;
    let outside = players(&service, &requests, || {
        let begun = Instant::now();
        run(&service.data, &["root", "rotate"]);
        took = begun.elapsed();
    });
    let after = metrics(&service);
    let (end, count, above) = commits(&first, &before, "no");
    println!(
        "commits of {DURING_ROTATION} players before: {count:.0}, p99.9 below {end} s, {above:.0} above 50 ms"
    );
    let (end, count, above) = commits(&before, &after, "yes");
    println!(
        "commits while the root key was rotated under {secrets} secrets, {:.0} s: {count:.0}, p99.9 below {end} s, \
         {above:.0} above 50 ms (asked: p99.9 below 0.05 s); licenses: p99 {:.0} us, p99.9 {:.0} us",
        took.as_secs_f64(),
        quantile(&outside, 990),
        quantile(&outside, 999)
    );
}

/// How long each license took, in order, to players who ask until `work` is done. A request that comes again is the same
/// license, which is written again.
fn players(service: &Service, requests: &[Vec<String>], work: impl FnOnce()) -> Vec<Duration> {
    let done = AtomicBool::new(false);
    let mut all: Vec<_> = thread::scope(|scope| {
        let player = |requests: &[String]| {
            let mut stream = service.connect();
            let mut took = Vec::new();
            for request in requests.iter().cycle() {
                took.push(ask(&mut stream, request));
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
            took
        };
        let players: Vec<_> =
            requests.iter().map(|requests| scope.spawn(move || player(requests))).collect();
        work();
        done.store(true, Ordering::Relaxed);
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    all.sort_unstable();
    all
}

fn main() {
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let devices = asked.unwrap_or(DEVICES);
    compare(devices);
    rotate(devices / 10);
}
