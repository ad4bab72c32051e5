//! The listener: TLS and its certificate, signals, slow clients, and ending in order.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::film::{CONTENT, provisioned};
use crate::installation::{Installation, Service, tool};

#[test]
fn a_new_certificate_is_shown_and_no_connection_is_dropped() {
    let installation = Installation::new();
    let certificate = installation.identify();
    let service = installation.serve();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/connection.mjs");
    let mut node = Command::new(tool("bin/node"))
        .arg(script)
        .arg(&service.url)
        .arg(&certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ask = node.stdin.take().unwrap();
    let mut answers = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut answer = || -> Vec<(u64, String)> {
        writeln!(ask).unwrap();
        let both: Vec<Value> = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        let read = |one: &Value| {
            (one["status"].as_u64().unwrap(), one["certificate"].as_str().unwrap().to_owned())
        };
        both.iter().map(read).collect()
    };
    let before = answer();
    assert_eq!(before[0], before[1]);
    assert_eq!(before[0].0, 200);

    // Files that do not go together change nothing.
    let key = installation.data.path().join("keys/tls/privkey.pem");
    fs::write(&key, "nothing").unwrap();
    hang_up(&service, &installation, "SIGHUP: everything stays as it was");
    assert_eq!(answer(), before);

    installation.identify();
    hang_up(&service, &installation, "SIGHUP: what the files say is in force");
    let after = answer();
    assert_eq!(after[0], before[0], "the connection that was open is the same");
    assert_eq!(after[1].0, 200);
    assert_ne!(after[1].1, before[1].1, "a new one sees the new certificate");
    drop(ask);
    assert!(node.wait().unwrap().success());
    service.terminate();
}

/// Sends SIGHUP and waits until the log says what came of it.
fn hang_up(service: &Service, installation: &Installation, expected: &str) {
    let pid = service.pid().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let says = |_| {
        thread::sleep(Duration::from_millis(20));
        installation.log().contains(expected)
    };
    assert!((0..500).any(says), "the log never says {expected:?}: {}", installation.log());
}

#[test]
fn an_address_for_others_needs_tls_or_a_proxy() {
    let installation = Installation::new();
    let said = installation.fail(&["serve", "--listen", "0.0.0.0:0"]);
    assert!(said.contains("[tls]") && said.contains("tls_terminated_by_proxy"), "{said}");
    let config = installation.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("tls_terminated_by_proxy = true\n{text}")).unwrap();
    installation.serve_on("0.0.0.0:0").terminate();
    fs::write(&config, text).unwrap();
    let certificate = installation.identify();
    installation.serve_on("0.0.0.0:0").terminate();

    let look = installation.succeed(&["doctor"]);
    let tls = look.as_array().unwrap().iter().find(|finding| finding["part"] == "tls").unwrap();
    assert!(tls["text"].as_str().unwrap().contains("good until"), "{tls}");
    fs::write(certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").unwrap();
    assert!(installation.fail(&["serve"]).contains("the first certificate cannot be read"));
    let key = installation.data.path().join("keys/tls/privkey.pem");
    fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(installation.fail(&["serve"]).contains("chmod 600"));
}

#[test]
fn a_request_that_has_begun_is_answered_before_the_service_ends() {
    let (installation, _) = provisioned();
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    let mut begun = service.begin(&token);
    let ended = thread::spawn(move || service.terminate());
    while TcpStream::connect(&address).is_ok() {
        thread::sleep(Duration::from_millis(10));
    }
    begun.write_all(b"cd").unwrap();
    let mut answer = String::new();
    begun.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("bad-request"), "{answer}");
    ended.join().unwrap();
}

#[test]
fn the_operator_is_heard_when_descriptors_are_short() {
    let installation = Installation::new();
    let service = installation.serve_under(128);
    let address = service.url.strip_prefix("http://").unwrap().to_owned();
    let idle: Vec<_> = (0..300).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert_eq!(service.send("GET", "/healthz", "", "").0, 200);
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "default"]);
    installation.succeed(&["key", "generate", "movies/bunny", "--track", "HD"]);
    installation.succeed(&["root", "rotate"]);
    assert_eq!(service.send("GET", "/healthz", "", "").0, 200);
    assert!(installation.log().contains("fewer connections than configured"));
    drop(idle);
    service.terminate();
}

#[test]
fn the_service_waits_for_descriptors_and_goes_on() {
    let installation = Installation::new();
    let service = installation.serve_under(128);
    let limit = |current: u64| {
        let pid = rustix::process::Pid::from_raw(service.pid().try_into().unwrap());
        let limit = Rlimit { current: Some(current), maximum: Some(128) };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    };
    // Fewer than it has: nobody can be accepted.
    limit(3);
    let address = service.url.strip_prefix("http://").unwrap();
    let mut waits = TcpStream::connect(address).unwrap();
    waits.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let says = |_| {
        thread::sleep(Duration::from_millis(20));
        installation.log().contains("no connection can be accepted now")
    };
    assert!((0..500).any(says), "{}", installation.log());
    limit(128);
    let mut answer = String::new();
    waits.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    installation.succeed(&["content", "list"]);
    service.terminate();
}
