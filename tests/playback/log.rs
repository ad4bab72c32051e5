//! A log that cannot be written, and one that somebody tries to fill or to forge: licenses are granted all the same.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::DeviceKey;
use reelkey_client::strict::base64url;
use rustix::fs::{CWD, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::film::{CONTENT, now, obtain, provisioned};
use crate::installation::{Installation, REELKEY, Service};
use crate::terminal::Terminal;

/// Everything that there is to log: thousands of bytes for every request.
const EVERYTHING: [&str; 2] = ["--log", "trace,reelkey=trace,hyper=trace,mio=trace"];

/// What a line says about lines that are missing.
const TOLD: &str = "lines of the log were lost";

/// Waits for something that another process does.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let happens = (0..2000).any(|_| {
        thread::sleep(Duration::from_millis(20));
        is_so()
    });
    assert!(happens, "never: {what}");
}

/// What `/readyz` says, which has to be yes.
fn readiness(service: &Service) -> Value {
    let (status, body) = service.send("GET", "/readyz", "", "");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn lost_lines(service: &Service) -> u64 {
    readiness(service)["log"]["lost_lines"].as_u64().unwrap_or(0)
}

fn signal(service: &Service, signal: Signal) {
    kill_process(Pid::from_raw(service.pid().try_into().unwrap()).unwrap(), signal).unwrap();
}

/// What `doctor` finds about the log.
fn doctor(installation: &Installation) -> Value {
    let found = installation.succeed(&["doctor"]);
    found.as_array().unwrap().iter().find(|finding| finding["part"] == "log").unwrap().clone()
}

/// Asks until lines are lost, and shows that nothing else is.
fn lose_lines(installation: &Installation, service: &Service, token: &str) {
    wait_until("lines are lost", || {
        obtain(service, token);
        lost_lines(service) > 0
    });
    installation.succeed(&["content", "list"]);
    let found = doctor(installation);
    assert_eq!(found["verdict"], "warning", "{found}");
    assert!(found["text"].as_str().unwrap().contains("lines were lost"), "{found}");
    assert_eq!(obtain(service, token).keys.len(), 2);
}

fn prepared() -> (Installation, String) {
    let (installation, _) = provisioned();
    let token = installation.mint(&["--content", CONTENT]);
    (installation, token)
}

/// Reads a log to its end, each line of which is whole, and answers how many lines it says were lost.
fn told(log: &str) -> u64 {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    let told = lines.filter(|line| line["message"] == TOLD);
    told.map(|line| {
        assert!(line["since"].as_str().unwrap().ends_with('Z'), "{line}");
        line["lost_lines"].as_u64().unwrap()
    })
    .sum()
}

fn full_device() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn a_log_on_a_full_device_stops_no_license() {
    let (installation, token) = prepared();
    let service = installation.serve_logging_to(full_device(), &[]);
    lose_lines(&installation, &service, &token);
    assert_eq!(readiness(&service)["log"]["failing"], true);
    service.terminate();
}

#[test]
fn a_log_on_a_disk_that_was_full_goes_on_with_whole_lines_and_says_how_many_are_missing() {
    let (installation, token) = prepared();
    let place = tempfile::tempdir().unwrap();
    let (disk, copy) = (place.path().join("disk"), place.path().join("copy"));
    fs::create_dir(&disk).unwrap();
    let script = r#"
        mount -t tmpfs -o size=16m tmpfs "$DISK" && head -c 16700000 /dev/zero >"$DISK/other"
        exec 3<&0
        while read -r what <&3; do
            case $what in
                free) rm "$DISK/other" ;;
                show) cp "$DISK/log" "$COPY.new" && mv "$COPY.new" "$COPY" ;;
            esac
        done >/dev/null 2>&1 &
        exec "$0" "$@" 2>>"$DISK/log" </dev/null 3<&-"#;
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, REELKEY, "serve"]);
    command.args(["--listen", "127.0.0.1:0"]).args(EVERYTHING);
    command.env("DISK", &disk).env("COPY", &copy).stdin(Stdio::piped());
    let mut service = installation.start_as(command);
    let mut ask = service.stdin();
    lose_lines(&installation, &service, &token);
    writeln!(ask, "free").unwrap();
    wait_until("the log is written again", || {
        obtain(&service, &token);
        readiness(&service)["log"]["failing"] == false
    });
    let mut log = String::new();
    wait_until("the log says what is missing", || {
        writeln!(ask, "show").unwrap();
        log = fs::read_to_string(&copy).unwrap_or_default();
        log.contains(TOLD)
    });
    // The copy may have been made in the middle of a line.
    assert!(told(&log[..=log.rfind('\n').unwrap()]) > 0);
    service.terminate();
}

/// A pipe whose reader stalls and reads on later: what the service wrote, and what it said was lost.
fn a_stalled_reader(blocks: bool) {
    let (installation, token) = prepared();
    let (mut reader, writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, !blocks).unwrap();
    let service = installation.serve_logging_to(writer, &EVERYTHING);
    lose_lines(&installation, &service, &token);
    let lost = lost_lines(&service);
    let read = thread::spawn(move || {
        let mut log = String::new();
        reader.read_to_string(&mut log).unwrap();
        log
    });
    wait_until("the log is written again", || {
        let before = lost_lines(&service);
        obtain(&service, &token);
        thread::sleep(Duration::from_millis(100));
        lost_lines(&service) == before
    });
    service.terminate();
    let log = read.join().unwrap();
    assert!(told(&log) >= lost, "{} of {lost}", told(&log));
    assert!(log.contains("license granted") && log.contains("\"stopping\""));
}

#[test]
fn a_log_reader_that_stalls_stops_no_license() {
    a_stalled_reader(true);
}

#[test]
fn a_log_reader_that_stalls_on_a_pipe_that_does_not_block_gets_whole_lines_too() {
    a_stalled_reader(false);
}

#[test]
fn the_service_ends_in_order_while_its_log_reader_stalls() {
    let (installation, token) = prepared();
    for blocks in [true, false] {
        let (reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, !blocks).unwrap();
        let service = installation.serve_logging_to(writer, &EVERYTHING);
        lose_lines(&installation, &service, &token);
        service.terminate();
        drop(reader);
    }
    // What went wrong is not told to anybody then, and the exit code is right.
    let (_reader, mut writer) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    while writer.write(b"\n").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let mut command = installation.command(&["serve", "--listen", "192.0.2.1:1"]);
    assert_eq!(command.stderr(writer).status().unwrap().code(), Some(1));
}

#[test]
fn a_log_reader_that_is_gone_stops_no_license_and_the_next_one_is_told() {
    let (installation, token) = prepared();
    let path = installation.data.path().join("log.fifo");
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let read = || {
        let fifo = rustix::fs::open(
            &path,
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        );
        File::from(fifo.unwrap())
    };
    let first = read();
    let writer = File::options().write(true).open(&path).unwrap();
    let service = installation.serve_logging_to(writer, &[]);
    drop(first);
    lose_lines(&installation, &service, &token);
    let mut second = read();
    let mut log = String::new();
    wait_until("the next reader is told", || {
        obtain(&service, &token);
        second.read_to_string(&mut log).ok();
        log.contains(TOLD)
    });
    let (lost, whole) = (lost_lines(&service), log.rfind('\n').unwrap());
    assert_eq!(told(&log[..=whole]), lost);
    assert_eq!(readiness(&service)["log"]["failing"], false);
    service.terminate();
}

#[test]
fn a_terminal_that_is_closed_ends_nothing() {
    let (installation, token) = prepared();
    let terminal = Terminal::new(80);
    let mut command = Command::new("setsid");
    command.args(["--ctty", REELKEY, "serve", "--listen", "127.0.0.1:0", "--log-format", "text"]);
    command.stdin(terminal.open()).stderr(terminal.open());
    let service = installation.start_as(command);
    obtain(&service, &token);
    let mut shown = Vec::new();
    let mut controller = terminal.controller;
    while !String::from_utf8_lossy(&shown).contains("license granted") {
        let mut some = [0; 4096];
        let read = controller.read(&mut some).unwrap();
        shown.extend(&some[..read]);
    }
    assert!(String::from_utf8_lossy(&shown).contains("\u{1b}[32m"), "a terminal shows colours");
    drop(controller);
    lose_lines(&installation, &service, &token);
    signal(&service, Signal::HUP);
    obtain(&service, &token);
    service.terminate();
}

#[test]
fn sighup_does_not_end_a_service_that_is_stopping() {
    let (installation, token) = prepared();
    let service = installation.serve();
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    let mut begun = service.begin(&token);
    signal(&service, Signal::TERM);
    wait_until("it takes nobody any more", || TcpStream::connect(&address).is_err());
    signal(&service, Signal::HUP);
    begun.write_all(b"cd").unwrap();
    let mut answer = String::new();
    begun.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    signal(&service, Signal::HUP);
    service.ends_well();
}

#[test]
fn a_ready_line_that_cannot_be_written_stops_nothing() {
    let installation = Installation::new();
    let (_reader, mut stuck) = io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&stuck, true).unwrap();
    while stuck.write(&[b'\n'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&stuck, false).unwrap();
    for out in [Stdio::from(full_device()), Stdio::from(stuck)] {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = installation.command(&["serve", "--listen", &free]);
        let child = command.stdout(out).stderr(Stdio::null()).spawn().unwrap();
        let service = Service::of(child, &format!("http://{free}"));
        wait_until("it listens", || TcpStream::connect(&free).is_ok());
        readiness(&service);
        service.terminate();
    }
}

fn log_file(path: &Path) -> File {
    File::options().create(true).append(true).open(path).unwrap()
}

#[test]
fn requests_that_anybody_may_send_do_not_fill_the_log() {
    let installation = Installation::new();
    let path = installation.data.path().join("log");
    let service = installation.serve_logging_to(log_file(&path), &[]);
    for number in 0..300 {
        assert_eq!(service.send("GET", &format!("/wp-login-{number}"), "", "").0, 404);
        assert_eq!(service.send("DELETE", "/v1/license", "", "").0, 405);
    }
    service.terminate();
    let log = fs::read_to_string(&path).unwrap();
    assert!(!log.contains("wp-login"), "{log}");
    let refused = log.lines().filter(|line| line.contains("method-not-allowed")).count();
    assert!((32..300).contains(&refused), "{refused}");
    assert!(log.contains("\"route\":\"/v1/license\""), "{log}");

    // Anybody can release a license that there is not, with a key of their own.
    let device = DeviceKey::generate(&mut SystemRng).unwrap();
    let release = {
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let header = part(&json!({ "typ": "license-request+jwt", "alg": "ES256",
            "jwk": device.public_key().to_jwk() }));
        let claims = part(&json!({ "aud": "reelkey", "iat": now().as_secs(),
            "jti": "0123456789abcdefghijkl", "request_type": "RELEASE",
            "session_type": "temporary", "license_id": "AAAAAAAAAAAAAAAAAAAAAA" }));
        let input = format!("{header}.{claims}");
        format!("{input}.{}", base64url::encode(device.sign(input.as_bytes()).as_bytes()))
    };
    let service = installation.serve_logging_to(log_file(&path), &[]);
    for _ in 0..300 {
        let (status, answer) = service.send("POST", "/v1/license", "", &release);
        assert!(status == 403 && answer.contains("not-authorized"), "{answer}");
    }
    service.terminate();
    let log = fs::read_to_string(&path).unwrap();
    let refused = log.lines().filter(|line| line.contains("not-authorized")).count();
    assert!((32..300).contains(&refused), "{refused}");
}

#[test]
fn what_a_client_chooses_is_short_and_harmless_in_the_log() {
    let installation = Installation::new();
    for (format, name) in [("json", "log.json"), ("text", "log.txt")] {
        let path = installation.data.path().join(name);
        let words = ["--log", "debug", "--log-format", format];
        let service = installation.serve_logging_to(log_file(&path), &words);
        service.send(&"M".repeat(3000), "/healthz", "", "");
        service.send("GET", &format!("/{}", "p".repeat(3000)), "", "");
        let host = service.url.strip_prefix("http://").unwrap();
        let mut page = TcpStream::connect(host).unwrap();
        let origin = "o".repeat(3000);
        write!(page, "GET /healthz HTTP/1.1\r\nHost: x\r\nOrigin: https://{origin}\r\n\r\n")
            .unwrap();
        page.read_exact(&mut [0; 12]).unwrap();
        service.terminate();
        let log = fs::read_to_string(path).unwrap();
        assert!(!log.contains(|c: char| c != '\n' && c.is_control()), "{log}");
        assert!(log.contains("MMM") && log.contains("ooo") && log.contains("unmatched"), "{log}");
        assert!(!log.contains("ppp") && !log.contains('\u{1b}'), "{log}");
        for line in log.lines() {
            assert!(line.len() < 2000, "{line}");
            let values =
                if format == "json" { serde_json::from_str(line).unwrap() } else { Value::Null };
            for (name, value) in values.as_object().into_iter().flatten() {
                assert!(value.as_str().is_none_or(|text| text.len() <= 256), "{name}: {value}");
                assert!(
                    value.as_str().is_none_or(|text| !text.starts_with('"')),
                    "{name}: {value}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_level_is_refused_and_debug_shows_our_own_decisions() {
    let installation = Installation::new();
    for typed in ["inf", "reelkey", "debug,reelkey=", "verbose"] {
        let output = installation.run(&["serve", "--listen", "127.0.0.1:0", "--log", typed]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{typed}");
        assert!(said.contains("off, error, warn, info, debug, trace"), "{said}");
    }
    for level in ["debug", "trace"] {
        let path = installation.data.path().join(level);
        let service = installation.serve_logging_to(log_file(&path), &["--log", level]);
        assert_eq!(service.send("GET", "/healthz", "", "").0, 200);
        service.terminate();
        let log = fs::read_to_string(path).unwrap();
        assert!(log.contains("answered") && log.contains("\"/healthz\""), "{log}");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line["target"].as_str().unwrap().starts_with("reelkey"), "{line}");
        }
    }
}
