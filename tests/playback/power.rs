//! Power lost, and processes killed, while keys come in and viewers are granted licenses from all sides.
//!
//! What counts is the moment of an acknowledgement: whoever was told that a key is stored has used it, so it has
//! to be there afterwards, and to open. Whoever was granted a license plays, so the license, its slot and its device's place
//! have to be there.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use crate::film::CONTENT;
use crate::installation::{Installation, REELKEY, rounds, thoroughly};
use crate::killpoints::{build, opened};
use crate::origins::{Encoders, add_encoder};
use crate::viewers::Viewers;

/// How many writers there are at once: enough for groups to form.
const WRITERS: usize = 16;

/// Makes keys of a title through the admin socket until `enough` were acknowledged, and answers which.
pub(crate) fn generate(socket: &Path, content: &str, enough: usize) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                while acknowledged.lock().unwrap().len() < enough {
                    let Some(kid) = generate_one(socket, content) else { return };
                    acknowledged.lock().unwrap().push(kid);
                }
            });
        }
    });
    acknowledged.into_inner().unwrap()
}

/// One key; `None` once nobody answers any more.
fn generate_one(socket: &Path, content: &str) -> Option<String> {
    let body = format!(r#"{{"content_id":"{content}"}}"#);
    let answer = operate(socket, "key/generate", &body)?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let outcome: Value = serde_json::from_str(body).ok()?;
    Some(outcome["key"]["kid"].as_str()?.to_owned())
}

/// What the service answers to an operation; `None` where nobody does.
pub(crate) fn operate(socket: &Path, operation: &str, body: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let request = format!(
        "POST /admin/v1/{operation} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn installation() -> Installation {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    installation
}

fn hold(installation: &Installation, acknowledged: &[String]) {
    let there = opened(installation.data.path());
    for kid in acknowledged {
        assert!(there.contains(kid), "{kid} was acknowledged and is lost");
    }
}

#[test]
fn what_was_acknowledged_survives_power_loss() {
    let (_folder, library) = build("powerloss.c");
    let installation = installation();
    add_encoder(&installation, &[]);
    let (viewers, encoders) = (Viewers::of(&installation), Encoders::default());
    let store = installation.data.path().join("store");
    let mut all = Vec::new();
    for round in 0..3 {
        let before = tempfile::tempdir().unwrap();
        let copy = |from: &Path, to: &Path| {
            let from = format!("{}/.", from.display());
            assert!(Command::new("cp").args(["-a", &from]).arg(to).status().unwrap().success());
        };
        copy(&store, before.path());
        let service = installation.serve_with(&[("LD_PRELOAD", library.as_os_str())]);
        viewers.go_on(&service);
        let socket = installation.data.path().join("admin.sock");
        thread::scope(|scope| {
            scope.spawn(|| viewers.play(&service, thoroughly(200, 1000)));
            scope.spawn(|| encoders.ask(&service.url, round, thoroughly(100, 500)));
            all.extend(generate(&socket, CONTENT, thoroughly(700, 3400)));
        });
        drop(service);
        // The disk comes back with what was synced and with the files that were there before.
        let synced = ["1/db", "facts/db"]
            .map(|db| (db, fs::read(store.join(format!("{db}.durable"))).unwrap()));
        fs::remove_dir_all(&store).unwrap();
        fs::create_dir(&store).unwrap();
        copy(before.path(), &store);
        for (db, durable) in synced {
            fs::write(store.join(db), durable).unwrap();
        }
        hold(&installation, &all);
        viewers.hold(installation.data.path());
        encoders.hold(&installation.serve());
    }
    viewers.go_on(&installation.serve());
    assert!(all.len() >= 2100 && viewers.count() >= 600 && encoders.count() >= 300);
    let (keys, viewers, encoders) = (all.len(), viewers.count(), encoders.count());
    println!("{keys} keys, {viewers} viewers and {encoders} first asks through 3 power losses");
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/full_disk.sh");
    let mut space = Command::new("unshare");
    space.args(["--map-root-user", "--mount", "timeout", "600", "bash", script, REELKEY]);
    let output = space.arg(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let lines = |word: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(word)).collect()
    };
    let acknowledged = lines("acknowledged ");
    assert!(acknowledged.len() > 20, "the disk was full after {}", acknowledged.len());
    let said = lines("said ")[0];
    assert!(said.contains("\"error\"") && said.contains("the disk"), "{said}");
    assert!(lines("ready ")[0].contains("503"), "{text}");
    assert_eq!(lines("ended well").len(), 1, "{text}");
    let there = lines("there ").join(" ");
    for answer in acknowledged {
        let kid = serde_json::from_str::<Value>(answer).unwrap()["kid"].take();
        assert!(there.contains(kid.as_str().unwrap()), "{kid} was acknowledged and is lost");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_under_load() {
    for _ in rounds(1, 50) {
        let installation = installation();
        kill_under_load(&installation, &Viewers::of(&installation));
    }
}

/// Twenty kills, after more and more of the load.
fn kill_under_load(installation: &Installation, viewers: &Viewers) {
    let socket = installation.data.path().join("admin.sock");
    let mut all = Vec::new();
    for round in 0..20 {
        let service = installation.serve();
        let pid = service.pid().to_string();
        viewers.go_on(&service);
        let kids = thread::scope(|scope| {
            scope.spawn(|| viewers.play(&service, usize::MAX));
            let writers = scope.spawn(|| generate(&socket, CONTENT, usize::MAX));
            // The moment is chosen by the load itself: after so many of its own requests.
            for _ in 0..3 + round {
                generate_one(&socket, CONTENT);
            }
            assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
            writers.join().unwrap()
        });
        drop(service);
        all.extend(kids);
        hold(installation, &all);
        viewers.hold(installation.data.path());
    }
    let (keys, viewers) = (all.len(), viewers.count());
    println!("{keys} keys and {viewers} viewers through 20 kills");
    assert!(keys > 100 && viewers > 40, "{keys} keys and {viewers} viewers were acknowledged");
}
