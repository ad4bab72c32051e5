//! A store whose writer is killed, and a store whose files are damaged.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use reelkey::authority::vault::fault::Fault;
use reelkey::authority::vault::open::Vault;
use reelkey::crypto::random;
use reelkey::crypto::wrap;
use reelkey::store::open::{self as stores, StoreUrl};
use reelkey::store::record::key::KeyRecord;
use reelkey::store::record::title;
use reelkey_client::key::{ContentKey, KeyId};
use serde_json::Value;

use crate::installation::{Installation, rounds, thoroughly};

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
    let leftover = installation.data.path().join("store/1/snap.00000000000FFFFF.generating");
    fs::write(&leftover, "half a snapshot").unwrap();
    assert_eq!(installation.succeed(&["content", "list"]).as_array().unwrap().len(), 1);
    assert!(!leftover.exists());
}

/// What became of a damaged store.
#[derive(Debug, Default)]
struct Tally {
    harmless: usize,
    named: usize,
    /// sled drops what it finds torn at the end of its log, so a record can vanish without an error until a
    /// manifest says what there has to be. Shown, because it is known.
    silently_lost: usize,
}

/// A wrong key, a panic and a hang are never among it.
#[test]
fn a_damaged_store_ends_in_an_error_that_says_what_to_do() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "default"]);
    for _ in 0..8 {
        installation.succeed(&["key", "generate", "movies/bunny"]);
    }
    let data = installation.data.path();
    let keys = open(data).unwrap();
    let db = data.join("store/1/db");
    let intact: Vec<_> = fs::read_dir(data.join("store/1"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let (_, original) = intact.iter().find(|(path, _)| *path == db).unwrap();
    let used = original.iter().rposition(|byte| *byte != 0).unwrap();
    let truncations = thoroughly(20, 200);
    let mut tally = Tally::default();
    for round in rounds(80, 1200) {
        let mut bytes = original.clone();
        let at = usize::try_from(u32::from_be_bytes(random::bytes().unwrap())).unwrap() % used;
        if round < truncations {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (round % 8);
        }
        for (path, bytes) in &intact {
            fs::write(path, bytes).unwrap();
        }
        fs::write(&db, bytes).unwrap();
        match open(data) {
            Err(said) => {
                let helps =
                    said.contains("put back a copy") || said.contains("use a newer version");
                assert!(helps, "round {round}, byte {at}: {said}");
                tally.named += 1;
            }
            Ok(left) => {
                for (kid, key) in &left {
                    let (_, right) = keys.iter().find(|(there, _)| there == kid).unwrap();
                    assert!(wrap::is_same(key, right), "round {round}, byte {at}: wrong key");
                }
                match left.len() == keys.len() {
                    true => tally.harmless += 1,
                    false => tally.silently_lost += 1,
                }
            }
        }
    }
    println!("{truncations} truncations, then flipped bits: {tally:?}");
    assert!(tally.named > 0, "no damage was noticed in any round");
}

/// Everything in the store that can be opened: all, or what is wrong.
fn open(data: &Path) -> Result<Vec<(KeyId, ContentKey)>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let say = |fault: Fault| format!("{fault}; {}", fault.remedy().unwrap_or_default());
        let store = stores::open(&StoreUrl::Sled(data.join("store"))).await;
        let store = store.map_err(|error| error.to_string())?;
        let vault = Vault::open(store, data.join("keys/root.key")).await.map_err(say)?;
        let titles = title::titles(&*vault.store()).await.map_err(|error| error.to_string())?;
        let keyring = vault.keyring();
        let open = |record: &KeyRecord| {
            let key = keyring.content_key(record).map_err(say)?;
            Ok((record.kid, key))
        };
        titles.iter().flat_map(|title| &title.keys).map(|record| open(record)).collect()
    })
}

/// An empty file would be a new store to sled, and a new store would hide that every key is lost.
#[test]
fn init_never_sets_a_store_up_that_is_there() {
    let installation = Installation::new();
    let db = installation.data.path().join("store/1/db");
    for damage in [Vec::new(), vec![0; 4096], b"something else".repeat(1000)] {
        fs::write(&db, &damage).unwrap();
        let said = installation.fail(&["init"]);
        assert!(said.contains("put back a copy"), "{said}");
    }
    fs::remove_file(&db).unwrap();
    assert!(installation.fail(&["init"]).contains("put back a copy"));
    assert!(!db.exists());
}
