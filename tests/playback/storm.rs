//! Everything at once that must not keep an honest player from a license: a log that cannot be written or whose reader
//! stalls, bodies that never come, hostile HTTP/2 connections, and thousands of idle ones.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::film::{CONTENT, FilmKey, provisioned};
use crate::independent::play;
use crate::installation::{Installation, Service, thoroughly, tool};

const BODIES: usize = 600;
const SESSIONS: usize = 9;
const IDLE: usize = 4000;

/// Clients that ask for nothing, until this is dropped.
struct Hostile(Child);

impl Hostile {
    fn begin(service: &Service, certificate: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/hostile.mjs");
        let mut node = Command::new(tool("bin/node"));
        node.args([script, &service.url, certificate]);
        node.args([BODIES.to_string(), SESSIONS.to_string()]);
        let mut node = node.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "begun\n");
        Self(node)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// How many idle connections this process may open.
fn idle_connections() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let most = maximum.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    IDLE.min(most.saturating_sub(256))
}

/// Keeps so many connections on which nothing is ever said; one that was closed is opened again.
fn stay_idle(address: SocketAddr, many: usize, done: &AtomicBool) {
    let open = || {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(30)).ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(stream)
    };
    // What is open and says nothing would block.
    let is_open = |stream: &TcpStream| match stream.peek(&mut [0]) {
        Ok(length) => length > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    };
    let mut idle = Vec::new();
    while !done.load(Ordering::Relaxed) {
        idle.retain(is_open);
        let missing = many - idle.len();
        idle.extend((0..missing.min(500)).filter_map(|_| open()));
        thread::sleep(Duration::from_millis(50));
    }
}

/// Lets honest players and an operator ask for so long. None of them is refused; says how long they took at most.
fn be_honest(
    installation: &Installation,
    service: &Service,
    certificate: &str,
    (keys, token): (&[FilmKey], &str),
    lasting: Duration,
) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/player.mjs");
    let jose = tool("node/node_modules/jose/dist/webapi/index.js");
    #[expect(clippy::disallowed_methods, reason = "a storm lasts a while, and how long is said")]
    let now = Instant::now;
    let (begun, mut licenses) = (now(), 0);
    let (mut player_took, mut operator_took) = (Duration::ZERO, Duration::ZERO);
    while begun.elapsed() < lasting {
        let asked = now();
        let mut player = Command::new(tool("bin/node"));
        player.arg(script).arg(&jose).arg(&service.url);
        play(keys, token, player.arg(certificate).args(["reelkey", CONTENT]));
        player_took = player_took.max(asked.elapsed());
        licenses += 1;
        let asked = now();
        installation.succeed(&["content", "list"]);
        operator_took = operator_took.max(asked.elapsed());
    }
    println!(
        "{licenses} players, the slowest {player_took:?}; the slowest command {operator_took:?}"
    );
}

fn storm(log: Stdio) {
    let (installation, keys) = provisioned();
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let certificate = installation.identify();
    let certificate = certificate.to_str().unwrap();
    let service = installation.serve_logging_to(log, &["--log", "trace,reelkey=trace"]);
    let address = service.url.strip_prefix("https://").unwrap().parse().unwrap();
    let (many, done) = (idle_connections(), AtomicBool::new(false));
    let hostile = Hostile::begin(&service, certificate);
    thread::scope(|scope| {
        scope.spawn(|| stay_idle(address, many, &done));
        let lasting = Duration::from_secs(thoroughly(30, 600));
        let honest = (&keys[..], &*token);
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            be_honest(&installation, &service, certificate, honest, lasting);
        }));
        done.store(true, Ordering::Relaxed);
        if let Err(failed) = asked {
            std::panic::resume_unwind(failed);
        }
    });
    drop(hostile);
    service.terminate();
}

#[test]
fn nobody_honest_is_refused_in_a_storm_on_a_full_log_disk() {
    storm(std::fs::File::create("/dev/full").unwrap().into());
}

#[test]
fn nobody_honest_is_refused_in_a_storm_with_a_log_reader_that_stalls() {
    // Nobody reads the other end of this pipe.
    storm(Stdio::piped());
}
