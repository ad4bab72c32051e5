//! What remembering accounts costs: a device with its place, a first use, a slot and a license for each.
//!
//! `cargo bench --bench accounts -- 1000000` has a service grant a license to as many accounts (20,000 if no number is given)
//! and prints how many it grants in a second, what the facts take on disk, how much memory the service has then and after a
//! restart, and what one new license costs beside a service without accounts, in turns. Every license is asked for over HTTP.
//! Requests are signed beforehand, so that what is timed is the service.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may fail where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "a bench tells time")]

mod asking;
mod service;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::asking::ask;
use crate::service::{REMEMBERS, Service};

const TITLE: &str = "movies/bunny";
const ACCOUNTS: usize = 20_000;

/// Connections that ask at the same time.
const PLAYERS: usize = 16;

/// Requests that are signed before they are sent: so few that none becomes stale.
const AHEAD: usize = 8_000;

/// New licenses whose cost is compared.
const COMPARED: usize = 1_000;

fn started() -> Service {
    let mut service = Service::new(&[(TITLE, REMEMBERS)]);
    service.start();
    service
}

/// The memory that the process has, in MiB.
fn resident_mib(service: &Service) -> u64 {
    let child = service.process.as_ref().unwrap().child.id();
    let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
}

/// What the facts take on disk, in bytes.
fn facts_bytes(service: &Service) -> u64 {
    blocks(&service.data.path().join("store/facts")) * 512
}

fn blocks(path: &Path) -> u64 {
    let metadata = fs::metadata(path).unwrap();
    let inside = match metadata.is_dir() {
        true => fs::read_dir(path).unwrap().map(|entry| blocks(&entry.unwrap().path())).sum(),
        false => 0,
    };
    metadata.blocks() + inside
}

/// Licenses in a second.
fn rate(licenses: usize, took: Duration) -> u128 {
    let licenses = u128::try_from(licenses).unwrap();
    licenses * 1_000_000 / took.as_micros().max(1)
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

fn main() {
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let accounts = asked.unwrap_or(ACCOUNTS);
    let mut full = started();
    let (empty_bytes, mut times) = (facts_bytes(&full), Vec::new());
    while full.asked < accounts {
        let requests = full.requests(TITLE, AHEAD.min(accounts - full.asked));
        times.push((requests.len(), full.grant(&requests, PLAYERS).0));
    }
    let all = times.iter().map(|(_, took)| *took).sum();
    let parts: Vec<_> = times.iter().map(|(count, took)| rate(*count, *took).to_string()).collect();
    println!(
        "{accounts} accounts, {PLAYERS} players: {} licenses/s; of each {AHEAD} in turn: {}",
        rate(accounts, all),
        parts.join(" ")
    );
    let bytes = facts_bytes(&full) - empty_bytes;
    let each = bytes / u64::try_from(accounts).unwrap();
    println!("facts on disk: {} MiB, {each} bytes for an account", bytes >> 20);
    let before = resident_mib(&full);
    let ready = full.start();
    let after = resident_mib(&full);
    println!(
        "memory: {before} MiB, {after} MiB after a restart, ready in {} ms",
        ready.as_millis()
    );

    let mut empty = started();
    let fresh = resident_mib(&empty);
    let (to_full, to_empty) = (full.requests(TITLE, COMPARED), empty.requests(TITLE, COMPARED));
    let (mut full_player, mut empty_player) = (full.connect(), empty.connect());
    let (mut full_took, mut empty_took) = (Vec::new(), Vec::new());
    for (one, other) in to_full.iter().zip(&to_empty) {
        full_took.push(ask(&mut full_player, one));
        empty_took.push(ask(&mut empty_player, other));
    }
    let [full_took, empty_took] = [full_took, empty_took].map(median);
    println!(
        "one new license, median: {} us with {accounts} accounts, {} us without ({fresh} MiB): {:.2} times",
        full_took.as_micros(),
        empty_took.as_micros(),
        full_took.as_secs_f64() / empty_took.as_secs_f64()
    );
}
