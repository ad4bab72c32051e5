//! What operating the service costs its players, as ratios within one run.
//!
//! `cargo bench --bench operate` prints: how fast keys are imported, how soon the service is ready, how long a license
//! takes with 100,000 keys and with 100 in turns, and how long while everything rotates and before. Requests are
//! signed beforehand and sent over connections that stay open, so that what is timed is the service.
//!
//! What policies that remember cost, and what their grants wait for while the root key is rotated: `cargo bench --bench rights`.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may fail where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "a bench tells time")]

mod asking;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reelkey::crypto::random::{self, SystemRng};
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::key::KeyId;
use reelkey_client::time::UnixTime;
use tempfile::TempDir;

use crate::asking::ask;

const TITLE: &str = "movies/t0";
const PLAYERS: usize = 8;

struct Service {
    data: TempDir,
    child: Child,
    address: String,
    token: String,
}

fn run(data: &TempDir, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelkey"));
    let output = command.args(words).arg("--data").arg(data.path()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Service {
    /// A service with as many keys, five to a title, and how long their import and its start took.
    fn with(keys: usize) -> (Self, Duration, Duration) {
        let data = tempfile::tempdir().unwrap();
        run(&data, &["init"]);
        run(&data, &["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"]);
        let mut lines = String::new();
        for at in 0..keys {
            let hex = || random::bytes::<16>().unwrap().map(|byte| format!("{byte:02x}")).concat();
            let kid: KeyId = hex().parse().unwrap();
            let (title, key) = (at / 5, hex());
            writeln!(lines, r#"{{"content_id":"movies/t{title}","kid":"{kid}","key":"{key}"}}"#)
                .unwrap();
        }
        let file = data.path().join("keys.jsonl");
        fs::write(&file, lines).unwrap();
        let begun = Instant::now();
        run(&data, &["key", "import", "--from", file.to_str().unwrap(), "--policy", "default"]);
        let imported = begun.elapsed();
        let mint = ["token", "mint", "--sub", "alice", "--content", TITLE, "--json"];
        let minted: serde_json::Value = serde_json::from_str(&run(&data, &mint)).unwrap();

        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_reelkey"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--log", "warn", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = begun.elapsed();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = said["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        let token = minted["token"].as_str().unwrap().to_owned();
        (Self { data, child, address, token }, imported, ready)
    }

    /// Requests that are valid now.
    fn requests(&self, count: usize) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let device = DeviceKey::generate(&mut SystemRng).unwrap();
        let request = |_| {
            let ask = Ask {
                service_id: "reelkey",
                token: &self.token,
                kids: &[],
                content_id: Some(TITLE),
                session_type: SessionType::Temporary,
                iat: UnixTime::from_secs(now),
            };
            let draft = ask.draft(&device.public_key(), None, &mut SystemRng).unwrap();
            let (body, _) = draft.sign(&device);
            format!(
                "POST /v1/license HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                self.token,
                body.len()
            )
        };
        (0..count).map(request).collect()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// How long each license took, in order, to players who ask until `work` is done.
fn while_players_ask(service: &Service, work: impl FnOnce()) -> Vec<Duration> {
    let done = AtomicBool::new(false);
    let requests: Vec<_> = (0..PLAYERS).map(|_| service.requests(500)).collect();
    let mut all: Vec<_> = thread::scope(|scope| {
        let players: Vec<_> = requests
            .iter()
            .map(|requests| {
                scope.spawn(|| {
                    let mut stream = service.connect();
                    let mut took = Vec::new();
                    // The same request again is the same work for the service.
                    for request in requests.iter().cycle() {
                        took.push(ask(&mut stream, request));
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    took
                })
            })
            .collect();
        work();
        done.store(true, Ordering::Relaxed);
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    all.sort_unstable();
    all
}

fn quantile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[sorted.len() * percent / 100].as_secs_f64() * 1e6
}

fn main() {
    let (many_keys, few_keys) = (100_000, 100);
    let (many, imported, ready) = Service::with(many_keys);
    println!(
        "import of {many_keys} keys, durable: {:.0} keys/s; ready with them in {} ms",
        f64::from(100_000) / imported.as_secs_f64(),
        ready.as_millis()
    );
    let (few, _, _) = Service::with(few_keys);
    let (with_many, with_few) = (many.requests(2000), few.requests(2000));
    let (mut to_many, mut to_few) = (many.connect(), few.connect());
    let mut took = [Vec::new(), Vec::new()];
    for (one, other) in with_many.iter().zip(&with_few) {
        took[0].push(ask(&mut to_many, one));
        took[1].push(ask(&mut to_few, other));
    }
    took.iter_mut().for_each(|took| took.sort_unstable());
    let [many_took, few_took] = took.map(|took| quantile(&took, 50));
    println!(
        "license, median: {many_took:.0} us with {many_keys} keys, {few_took:.0} us with {few_keys}: {:.2} times",
        many_took / few_took
    );
    drop(few);

    let before = while_players_ask(&many, || thread::sleep(Duration::from_secs(5)));
    let p99 = quantile(&before, 99);
    println!("{PLAYERS} players: {} licenses in 5 s, p99 {p99:.0} us", before.len());
    for words in [
        &["kek", "rotate"][..],
        &["kek", "rewrap"],
        &["kek", "retire"],
        &["root", "rotate"],
        &["signer", "rotate", "--now"],
    ] {
        let mut took = Duration::ZERO;
        let during = while_players_ask(&many, || {
            let begun = Instant::now();
            run(&many.data, words);
            took = begun.elapsed();
        });
        let now = quantile(&during, 99);
        println!(
            "{}: {:.1} s, {} licenses meanwhile, p99 {now:.0} us, {:.2} times",
            words.join(" "),
            took.as_secs_f64(),
            during.len(),
            now / p99
        );
    }
}
