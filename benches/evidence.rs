//! What a license costs whose region is told by the client's address, beside one whose region the token tells: the ratio of
//! two medians within one run.
//!
//! `cargo bench --bench evidence` asks one service, over one connection, for two titles in turns. Their policies differ in
//! `evidence` alone: `token`, and `token-and-ip` with `block_vpn_and_tor`, which looks into two databases. Requests are signed
//! beforehand. The databases are those of the tests: a search takes a step for each bit of the address, however large a
//! database is.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may fail where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "a bench tells time")]

mod asking;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::time::UnixTime;
use serde_json::Value;
use tempfile::TempDir;

use crate::asking::ask;

/// How many licenses of each title in a round, and how many rounds; the first one is left out. Each round signs requests of its
/// own, which are not too old then, however slow the machine is.
const REQUESTS: usize = 250;
const ROUNDS: usize = 21;

/// The titles, which are the names of their policies too, and the rules in which those differ.
const TITLES: [(&str, &str); 2] = [
    ("token", "evidence = \"token\""),
    ("token-and-ip", "evidence = \"token-and-ip\"\nblock_vpn_and_tor = true"),
];

fn run(data: &TempDir, words: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelkey"));
    let output = command.args(words).args(["--json", "--data"]).arg(data.path()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder with both titles, and a token for each.
fn provisioned() -> (TempDir, [String; 2]) {
    let data = tempfile::tempdir().unwrap();
    run(&data, &["init"]);
    run(&data, &["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"]);
    let databases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/geoip");
    for name in ["nested.mmdb", "anonymous.mmdb"] {
        fs::copy(format!("{databases}/{name}"), data.path().join(name)).unwrap();
    }
    let config = data.path().join("reelkey.toml");
    let networks: String =
        (0..32).map(|number| format!("\"10.{number}.0.0/16\" = \"US\"\n")).collect();
    let tables = format!(
        "{}\n[geoip]\ncountry = \"nested.mmdb\"\nanonymous = \"anonymous.mmdb\"\n\
         [proxies]\ntrusted = [\"127.0.0.1\"]\n[networks]\n{networks}",
        fs::read_to_string(&config).unwrap()
    );
    fs::write(config, tables).unwrap();
    let tokens = TITLES.map(|(name, rules)| {
        let policy = format!(
            "can_play = true\nlicense_duration = \"10m\"\n[region]\nallowed_countries = [\"US\"]\n{rules}\n"
        );
        fs::write(data.path().join(format!("policies/{name}.toml")), policy).unwrap();
        let title = format!("movies/{name}");
        run(&data, &["content", "add", &title, "--policy", name]);
        for track in ["AUDIO", "SD", "HD"] {
            run(&data, &["key", "generate", &title, "--track", track]);
        }
        let mint = ["token", "mint", "--sub", "alice", "--content", &title, "--region", "US"];
        run(&data, &mint)["token"].as_str().unwrap().to_owned()
    });
    (data, tokens)
}

/// A running service, ended when it is dropped.
struct Service(Child, String);

impl Service {
    fn on(data: &TempDir) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reelkey"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--log", "warn", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let address = ready["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Self(child, address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Requests for a title that are valid now, of a client in California behind a proxy.
fn requests(title: &str, token: &str) -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let device = DeviceKey::generate(&mut SystemRng).unwrap();
    let content = format!("movies/{title}");
    let request = |_| {
        let ask = Ask {
            service_id: "reelkey",
            token,
            kids: &[],
            content_id: Some(&content),
            session_type: SessionType::Temporary,
            iat: UnixTime::from_secs(now),
        };
        let draft = ask.draft(&device.public_key(), None, &mut SystemRng).unwrap();
        let (body, _) = draft.sign(&device);
        format!(
            "POST /v1/license HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.1.2.3\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    (0..REQUESTS).map(request).collect()
}

fn main() {
    let (data, tokens) = provisioned();
    let service = Service::on(&data);
    let mut stream = TcpStream::connect(&service.1).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut took = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let both = [0, 1].map(|at| requests(TITLES[at].0, &tokens[at]));
        for (number, (one, other)) in both[0].iter().zip(&both[1]).enumerate() {
            let pair = [one, other];
            // The order of the two changes, too.
            let order = if number % 2 == 0 { [0, 1] } else { [1, 0] };
            for at in order {
                let time = ask(&mut stream, pair[at]);
                if round > 0 {
                    took[at].push(time);
                }
            }
        }
    }
    let medians = took.map(|mut took| {
        took.sort_unstable();
        took[took.len() / 2].as_secs_f64() * 1e6
    });
    println!(
        "license, median of {}: {:.1} us by token, {:.1} us by token and address: {:.3} times",
        REQUESTS * (ROUNDS - 1),
        medians[0],
        medians[1],
        medians[1] / medians[0]
    );
}
