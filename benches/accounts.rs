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

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::strict::base64url;
use reelkey_client::time::UnixTime;
use serde_json::json;
use tempfile::TempDir;

const TITLE: &str = "movies/bunny";
const ISS: &str = "https://auth.example";
const ACCOUNTS: usize = 20_000;

/// Every rule that makes a grant remember something.
const POLICY: &str = "can_play = true\nrental_duration = \"30d\"\nplayback_duration = \"48h\"\n\
    license_duration = \"10m\"\ncan_renew = true\nrenewal_delay = \"4m\"\n\
    [device]\nlimit = 5\n[concurrency]\nlimit = 2\n";

/// Connections that ask at the same time.
const PLAYERS: usize = 16;

/// Requests that are signed before they are sent: so few that none becomes stale.
const AHEAD: usize = 8_000;

/// New licenses whose cost is compared.
const COMPARED: usize = 1_000;

struct Service {
    data: TempDir,
    issuer: DeviceKey,
    /// Devices. Accounts share them, which changes no size: each account remembers its own.
    devices: Vec<DeviceKey>,
    process: Option<(Child, String)>,
    /// How many accounts have asked.
    asked: usize,
}

impl Service {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let device = || DeviceKey::generate(&mut SystemRng).unwrap();
        let (issuer, devices) = (device(), (0..64).map(|_| device()).collect());
        run(&data, &["init"]);
        fs::write(data.path().join("policies/accounts.toml"), POLICY).unwrap();
        let jwks = data.path().join("auth.jwks.json");
        fs::write(&jwks, json!({ "keys": [issuer.public_key().to_jwk()] }).to_string()).unwrap();
        let jwks = jwks.to_str().unwrap();
        let words = ["issuer", "add", ISS, "--jwks", jwks, "--alg", "ES256", "--content", "*"];
        run(&data, &words);
        run(&data, &["content", "add", TITLE, "--policy", "accounts"]);
        run(&data, &["key", "generate", TITLE]);
        let mut service = Self { data, issuer, devices, process: None, asked: 0 };
        service.start();
        service
    }

    /// Starts it, again if it runs. Returns how long it took until it was ready.
    fn start(&mut self) -> Duration {
        self.stop();
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_reelkey"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--log", "warn", "--data"])
            .arg(self.data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = said["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        self.process = Some((child, address));
        begun.elapsed()
    }

    fn stop(&mut self) {
        if let Some((mut child, _)) = self.process.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Requests of accounts that have not asked yet, valid now.
    fn requests(&mut self, count: usize) -> Vec<String> {
        let first = self.asked;
        self.asked += count;
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let this = &*self;
        thread::scope(|scope| {
            let parts: Vec<_> = (0..workers)
                .map(|worker| {
                    let numbers = (first..first + count).skip(worker).step_by(workers);
                    scope.spawn(move || numbers.map(|at| this.request(at)).collect::<Vec<_>>())
                })
                .collect();
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        })
    }

    fn request(&self, account: usize) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let part = |value: serde_json::Value| base64url::encode(value.to_string().as_bytes());
        let header = part(json!({ "alg": "ES256", "typ": "JWT" }));
        let sub = format!("viewer-{account:012}");
        let claims = part(json!({
            "iss": ISS, "sub": sub, "aud": "reelkey", "iat": now, "exp": now + 3600,
            "content_id": TITLE, "entitlement_id": format!("rental-{account:012}"),
        }));
        let input = format!("{header}.{claims}");
        let signature = base64url::encode(self.issuer.sign(input.as_bytes()).as_bytes());
        let token = format!("{input}.{signature}");
        let device = &self.devices[account % self.devices.len()];
        let ask = Ask {
            service_id: "reelkey",
            token: &token,
            kids: &[],
            content_id: Some(TITLE),
            session_type: SessionType::Temporary,
            iat: UnixTime::from_secs(now),
        };
        let (body, _) = ask.draft(&device.public_key(), None, &mut SystemRng).unwrap().sign(device);
        format!(
            "POST /v1/license HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn connect(&self) -> TcpStream {
        let (_, address) = self.process.as_ref().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends the requests from all players at once. Returns how long that took.
    fn grant(&self, requests: &[String]) -> Duration {
        let begun = Instant::now();
        thread::scope(|scope| {
            for part in requests.chunks(requests.len().div_ceil(PLAYERS)) {
                scope.spawn(move || {
                    let mut stream = self.connect();
                    for request in part {
                        ask(&mut stream, request);
                    }
                });
            }
        });
        begun.elapsed()
    }

    /// The memory that the process has, in MiB.
    fn resident_mib(&self) -> u64 {
        let (child, _) = self.process.as_ref().unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
    }

    /// What the facts take on disk, in bytes.
    fn facts_bytes(&self) -> u64 {
        blocks(&self.data.path().join("store/facts")) * 512
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(data: &TempDir, words: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelkey"));
    let output = command.args(words).arg("--data").arg(data.path()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}

fn blocks(path: &Path) -> u64 {
    let metadata = fs::metadata(path).unwrap();
    let inside = match metadata.is_dir() {
        true => fs::read_dir(path).unwrap().map(|entry| blocks(&entry.unwrap().path())).sum(),
        false => 0,
    };
    metadata.blocks() + inside
}

/// Sends a request, and answers how long the license took.
fn ask(stream: &mut TcpStream, request: &str) -> Duration {
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![0; 16 * 1024];
    let mut length = 0;
    loop {
        length += stream.read(&mut answer[length..]).unwrap();
        let text = std::str::from_utf8(&answer[..length]).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let declared = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if declared.unwrap().parse::<usize>().unwrap() == body.len() {
            return begun.elapsed();
        }
    }
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
    let mut full = Service::new();
    let (empty_bytes, mut times) = (full.facts_bytes(), Vec::new());
    while full.asked < accounts {
        let requests = full.requests(AHEAD.min(accounts - full.asked));
        times.push((requests.len(), full.grant(&requests)));
    }
    let all = times.iter().map(|(_, took)| *took).sum();
    let parts: Vec<_> = times.iter().map(|(count, took)| rate(*count, *took).to_string()).collect();
    println!(
        "{accounts} accounts, {PLAYERS} players: {} licenses/s; of each {AHEAD} in turn: {}",
        rate(accounts, all),
        parts.join(" ")
    );
    let bytes = full.facts_bytes() - empty_bytes;
    let each = bytes / u64::try_from(accounts).unwrap();
    println!("facts on disk: {} MiB, {each} bytes for an account", bytes >> 20);
    let before = full.resident_mib();
    let ready = full.start();
    let after = full.resident_mib();
    println!(
        "memory: {before} MiB, {after} MiB after a restart, ready in {} ms",
        ready.as_millis()
    );

    let mut empty = Service::new();
    let fresh = empty.resident_mib();
    let (to_full, to_empty) = (full.requests(COMPARED), empty.requests(COMPARED));
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
