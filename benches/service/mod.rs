//! A service for a bench: an installation of its own, an issuer that it trusts, accounts that have not asked yet, and connections
//! that stay open. Requests are signed before they are sent, so that what is timed is the service.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::strict::base64url;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::asking::ask;

const ISS: &str = "https://auth.example";

/// Every rule that makes a grant remember something.
pub(crate) const REMEMBERS: &str = "can_play = true\nrental_duration = \"30d\"\nplayback_duration = \"48h\"\n\
    license_duration = \"10m\"\ncan_renew = true\nrenewal_delay = \"4m\"\n\
    [device]\nlimit = 5\n[concurrency]\nlimit = 2\n";

/// A running process, and where it listens.
pub(crate) struct Process {
    pub(crate) child: Child,
    address: String,
}

/// An installation and its service.
pub(crate) struct Service {
    pub(crate) data: TempDir,
    issuer: DeviceKey,
    /// Devices. Accounts share them, which changes no size: each account remembers its own.
    devices: Vec<DeviceKey>,
    pub(crate) process: Option<Process>,
    /// How many accounts have asked.
    pub(crate) asked: usize,
}

impl Service {
    /// An installation that has titles with a key each and policies of their own, which bear the names of the titles' last
    /// segments. Nothing runs yet.
    pub(crate) fn new(titles: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let device = || DeviceKey::generate(&mut SystemRng).unwrap();
        let (issuer, devices) = (device(), (0..64).map(|_| device()).collect());
        run(&data, &["init"]);
        let jwks = data.path().join("auth.jwks.json");
        fs::write(&jwks, json!({ "keys": [issuer.public_key().to_jwk()] }).to_string()).unwrap();
        let jwks = jwks.to_str().unwrap();
        let words = ["issuer", "add", ISS, "--jwks", jwks, "--alg", "ES256", "--content", "*"];
        run(&data, &words);
        for (title, policy) in titles {
            let name = title.rsplit('/').next().unwrap();
            fs::write(data.path().join(format!("policies/{name}.toml")), policy).unwrap();
            run(&data, &["content", "add", title, "--policy", name]);
            run(&data, &["key", "generate", title]);
        }
        Self { data, issuer, devices, process: None, asked: 0 }
    }

    /// Starts it, again if it runs. Returns how long it took until it was ready.
    pub(crate) fn start(&mut self) -> Duration {
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
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        self.process = Some(Process { child, address });
        begun.elapsed()
    }

    fn stop(&mut self) {
        if let Some(Process { mut child, .. }) = self.process.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Requests for a title, of accounts that have not asked yet, valid now.
    pub(crate) fn requests(&mut self, title: &str, count: usize) -> Vec<String> {
        let first = self.asked;
        self.asked += count;
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let this = &*self;
        thread::scope(|scope| {
            let parts: Vec<_> = (0..workers)
                .map(|worker| {
                    let numbers = (first..first + count).skip(worker).step_by(workers);
                    scope.spawn(move || {
                        numbers.map(|at| this.request(title, at)).collect::<Vec<_>>()
                    })
                })
                .collect();
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        })
    }

    fn request(&self, title: &str, account: usize) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let part = |value: Value| base64url::encode(value.to_string().as_bytes());
        let header = part(json!({ "alg": "ES256", "typ": "JWT" }));
        let sub = format!("viewer-{account:012}");
        let claims = part(json!({
            "iss": ISS, "sub": sub, "aud": "reelkey", "iat": now, "exp": now + 3600,
            "content_id": title, "entitlement_id": format!("rental-{account:012}"),
        }));
        let input = format!("{header}.{claims}");
        let signature = base64url::encode(self.issuer.sign(input.as_bytes()).as_bytes());
        let token = format!("{input}.{signature}");
        let device = &self.devices[account % self.devices.len()];
        let ask = Ask {
            service_id: "reelkey",
            token: &token,
            kids: &[],
            content_id: Some(title),
            session_type: SessionType::Temporary,
            iat: UnixTime::from_secs(now),
        };
        let draft = ask.draft(&device.public_key(), None, &mut SystemRng).unwrap();
        let (body, _) = draft.sign(device);
        format!(
            "POST /v1/license HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.process.as_ref().unwrap().address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends the requests from so many players at once, each when its last one was answered. Returns how long all of it took,
    /// and each license.
    pub(crate) fn grant(&self, requests: &[String], players: usize) -> (Duration, Vec<Duration>) {
        let begun = Instant::now();
        let each = thread::scope(|scope| {
            let parts = requests.chunks(requests.len().div_ceil(players));
            let players: Vec<_> = parts
                .map(|part| {
                    scope.spawn(move || {
                        let mut stream = self.connect();
                        part.iter().map(|request| ask(&mut stream, request)).collect::<Vec<_>>()
                    })
                })
                .collect();
            players.into_iter().flat_map(|player| player.join().unwrap()).collect()
        });
        (begun.elapsed(), each)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command on the installation, which has to succeed.
pub(crate) fn run(data: &TempDir, words: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelkey"));
    let output = command.args(words).arg("--data").arg(data.path()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
}
