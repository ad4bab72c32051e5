//! A store whose writer is killed, and a store whose files are damaged.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use reelkey::crypto::random;
use serde_json::Value;

use crate::installation::Installation;

const ROUNDS: usize = 12;

/// Many writers, each a process that says what it was told is done, are killed at a random moment.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "default"]);
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let script = format!(
            "while :; do {} key generate movies/bunny --json --data {} || exit; done",
            crate::installation::REELKEY,
            installation.data.path().display()
        );
        let mut writer = std::process::Command::new("setsid")
            .args(["bash", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        // At least one is done; the next is killed somewhere on its way.
        acknowledged.push(kid(&lines.next().unwrap().unwrap()));
        let [pause] = random::bytes::<1>().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(u64::from(pause) * 200));
        let group = format!("-{}", writer.id());
        std::process::Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
        writer.wait().unwrap();
        acknowledged.extend(
            lines.map_while(Result::ok).filter(|line| line.ends_with('}')).map(|line| kid(&line)),
        );
        let listed = installation.succeed(&["key", "list"]);
        let listed: Vec<_> =
            listed.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
        for kid in &acknowledged {
            assert!(listed.contains(&kid.as_str()), "round {round}: {kid} is lost");
        }
    }
    assert!(acknowledged.len() >= ROUNDS);
}

fn kid(line: &str) -> String {
    let document: Value = serde_json::from_str(line).unwrap();
    document["kid"].as_str().unwrap().to_owned()
}

#[test]
fn a_snapshot_that_was_never_finished_does_no_harm() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "default"]);
    let leftover = installation.data.path().join("store/snap.00000000000FFFFF.generating");
    fs::write(&leftover, "half a snapshot").unwrap();
    assert_eq!(installation.succeed(&["content", "list"]).as_array().unwrap().len(), 1);
    assert!(!leftover.exists());
}

/// sled keeps no checksum over everything, so some damage is not noticed until a manifest is kept;
/// what is read is then either right or named. Here: no panic, no hang, no wrong key, and a way out.
#[test]
fn a_damaged_store_ends_in_an_error_that_says_restore() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "default"]);
    let mut keys = Vec::new();
    for _ in 0..8 {
        let key = installation.succeed(&["key", "generate", "movies/bunny"]);
        keys.push(key["kid"].as_str().unwrap().to_owned());
    }
    let store = installation.data.path().join("store");
    let intact: Vec<_> = fs::read_dir(&store)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let used = 16 * 1024;
    let mut named = 0;
    for round in 0..40 {
        for (path, bytes) in &intact {
            let mut bytes = bytes.clone();
            if path.ends_with("db") {
                let at = usize::from(u16::from_be_bytes(random::bytes().unwrap())) % used;
                match round % 4 {
                    0 => bytes.truncate(at),
                    _ => bytes[at] ^= 1 << (round % 8),
                }
            }
            fs::write(path, bytes).unwrap();
        }
        let output = installation.run(&["key", "list", "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        match output.status.code() {
            Some(0) => {
                let listed: Value = serde_json::from_str(&text).unwrap();
                for key in listed.as_array().unwrap() {
                    assert!(keys.iter().any(|kid| key["kid"] == **kid), "{text}");
                }
            }
            Some(1) => {
                assert!(
                    text.contains("reelkey restore") || text.contains("cannot be read"),
                    "{text}"
                );
                named += 1;
            }
            other => panic!("round {round}: {other:?} {text}"),
        }
    }
    assert!(named > 0, "no damage was noticed in any round");
}
