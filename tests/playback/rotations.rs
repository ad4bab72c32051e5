//! Rotations while players ask without pause, and what is left of an old root key.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reelkey::authority::vault::fault::Fault;
use reelkey::authority::vault::open::Vault;
use reelkey::authority::vault::{root_key_file, secret_file};
use reelkey::crypto::wrap::{self, Wrapped};
use reelkey::store::open::{self as stores, StoreUrl};
use reelkey::store::record::header;
use reelkey::store::record::kek::KekRecord;
use reelkey_client::key::{ContentKey, KeyId};
use serde_json::Value;

use crate::film::{CONTENT, FilmKey, obtain, provisioned};
use crate::installation::{Installation, Service, thoroughly};
use crate::power::generate;

const PLAYERS: usize = 8;

/// Asks once, and holds the license to the keys that were imported.
fn play(service: &Service, token: &str, keys: &[FilmKey]) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "how long it took is said, and decides nothing")]
    let begun = Instant::now();
    let license = obtain(service, token);
    let took = begun.elapsed();
    for FilmKey { kid, key, .. } in keys {
        let (kid, key): (KeyId, _) = (kid.parse().unwrap(), ContentKey::parse_hex(key).unwrap());
        let (_, granted) = license.keys.iter().find(|(granted, _)| *granted == kid).unwrap();
        assert!(wrap::is_same(granted, &key), "{kid} is another key");
    }
    took
}

/// Lets the players ask while `work` is done, and answers how long each license took, in order.
fn while_players_ask(
    service: &Service,
    token: &str,
    keys: &[FilmKey],
    work: impl FnOnce(),
) -> Vec<Duration> {
    let done = AtomicBool::new(false);
    let mut all: Vec<_> = thread::scope(|scope| {
        let player = || {
            let mut took = vec![play(service, token, keys)];
            while !done.load(Ordering::Relaxed) {
                took.push(play(service, token, keys));
            }
            took
        };
        let players: Vec<_> = (0..PLAYERS).map(|_| scope.spawn(player)).collect();
        work();
        done.store(true, Ordering::Relaxed);
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    all.sort_unstable();
    all
}

#[test]
fn no_license_is_refused_or_wrong_while_everything_rotates() {
    let (installation, keys) = provisioned();
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    installation.succeed(&["content", "add", "movies/other", "--policy", "default"]);
    generate(
        &installation.data.path().join("admin.sock"),
        "movies/other",
        thoroughly(1000, 20_000),
    );
    let pause = Duration::from_millis(thoroughly(500, 5000));
    let before = while_players_ask(&service, &token, &keys, || thread::sleep(pause));
    let during = while_players_ask(&service, &token, &keys, || {
        for _ in 0..thoroughly(1, 3) {
            for words in [
                &["kek", "rotate"][..],
                &["kek", "rewrap"],
                &["kek", "retire"],
                &["root", "rotate"],
                &["signer", "rotate"],
                &["signer", "rotate", "--now"],
            ] {
                installation.succeed(words);
            }
        }
    });
    let p99 = |all: &[Duration]| all[all.len() * 99 / 100];
    println!(
        "{} licenses before, p99 {:?}; {} while rotating, p99 {:?}, {:.2} times",
        before.len(),
        p99(&before),
        during.len(),
        p99(&during),
        p99(&during).as_secs_f64() / p99(&before).as_secs_f64(),
    );
    play(&service, &token, &keys);
    service.terminate();
    play(&installation.serve(), &token, &keys);
}

/// Everything that is wrapped in the store, as text.
fn sealed(data: &Path) -> Vec<Wrapped> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let entries = runtime.block_on(async {
        let store = stores::open(&StoreUrl::Sled(data.join("store"))).await.unwrap().store();
        store.scan(b"", None, usize::MAX).await.unwrap()
    });
    let records = entries.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok());
    records
        .filter_map(|record: Value| serde_json::from_value(record["wrapped"].clone()).ok())
        .collect()
}

fn ciphertext(wrapped: &Wrapped) -> String {
    serde_json::to_value(wrapped).unwrap()["sealed"].as_str().unwrap().to_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// How many of `texts` stand anywhere in the data folder.
fn found(data: &Path, texts: &[String]) -> usize {
    let files: Vec<_> = files(data).iter().filter_map(|path| fs::read(path).ok()).collect();
    let stands = |text: &&String| {
        files.iter().any(|file| memchr::memmem::find(file, text.as_bytes()).is_some())
    };
    texts.iter().filter(stands).count()
}

#[test]
fn an_old_root_key_opens_nothing_that_is_left() {
    let (installation, keys) = provisioned();
    let data = installation.data.path();
    let old_text = fs::read_to_string(data.join("keys/root.key")).unwrap();
    let old_file = data.join("old.key");
    let old: Vec<String> = sealed(data).iter().map(ciphertext).collect();
    assert!(old.len() >= 5);
    installation.succeed(&["kek", "rotate"]);
    installation.succeed(&["kek", "rewrap"]);
    installation.succeed(&["kek", "retire"]);
    assert_eq!(
        found(data, &old),
        old.len(),
        "sled keeps what was overwritten, so this can be found"
    );

    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let rotated = installation.succeed(&["root", "rotate"]);
    assert_eq!(
        rotated["rewrapped"], 5,
        "two content keys, a signer, the key that names requests and the seed of crypto periods"
    );
    play(&service, &token, &keys);
    assert_eq!(found(data, &old), 0, "while the service still runs");
    // A file that is deleted and open is still on the disk. Only root may look.
    if let Ok(open) = fs::read_dir(format!("/proc/{}/fd", service.pid())) {
        let names: Vec<_> = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok()).collect();
        assert!(names.iter().any(|name| name.ends_with("store/2/db")), "{names:?}");
        let deleted = |name: &&PathBuf| name.to_string_lossy().contains("store/1");
        assert_eq!(names.iter().find(deleted), None);
    }
    service.terminate();
    assert_eq!(found(data, &old), 0);
    assert_eq!(found(data, &[old_text.trim().to_owned()]), 0);

    secret_file::write(&old_file, old_text.as_bytes()).unwrap();
    let old_root = root_key_file::read(&old_file).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let store_id = runtime.block_on(async {
        let store = stores::open(&StoreUrl::Sled(data.join("store"))).await.unwrap();
        let header = header::header(&*store.store()).await.unwrap().unwrap();
        let refused = Vault::open(store, old_file).await.unwrap_err();
        assert!(matches!(refused, Fault::WrongRootKey));
        header.store_id
    });
    for wrapped in sealed(data) {
        // As what the root key wraps, whichever generation.
        for generation in 0_u32..8 {
            let place = KekRecord::place(&store_id, generation);
            assert!(old_root.to_kek().unwrap_kek(&place, generation, &wrapped).is_err());
        }
    }
    play(&installation.serve(), &token, &keys);
}

/// After a rotation that was cut short, the store may need either root key; none may be written over.
#[test]
fn a_root_key_that_may_be_needed_is_never_replaced() {
    let (installation, keys) = provisioned();
    let data = installation.data.path();
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let (root, next) = (data.join("keys/root.key"), data.join("keys/root.key.next"));
    let own = fs::read(&root).unwrap();
    let other = Installation::new();
    let foreign = fs::read(other.data.path().join("keys/root.key")).unwrap();

    secret_file::write(&next, &foreign).unwrap();
    assert!(installation.fail(&["root", "rotate"]).contains("restart the service"));
    assert_eq!(fs::read(&next).unwrap(), foreign);
    fs::remove_file(&next).unwrap();

    secret_file::write(&root, &foreign).unwrap();
    for words in [["kek", "rotate"], ["root", "rotate"]] {
        assert!(installation.fail(&words).contains("not this store's"), "{words:?}");
    }
    assert!(!next.exists());
    secret_file::write(&root, &own).unwrap();
    installation.succeed(&["root", "rotate"]);
    play(&service, &token, &keys);
    service.terminate();
    play(&installation.serve(), &token, &keys);
}

#[test]
fn rotating_the_root_key_says_the_same_running_and_stopped() {
    let (installation, _) = provisioned();
    let rotate = |installation: &Installation| {
        let output = installation.run(&["root", "rotate"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let stopped = rotate(&installation);
    assert!(stopped.contains("5 secrets") && stopped.contains("keep a copy"), "{stopped}");
    let service = installation.serve();
    assert_eq!(rotate(&installation), stopped);
    service.terminate();
}
