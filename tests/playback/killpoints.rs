//! Every command that writes, killed before each call by which it changes the disk.
//!
//! A preloaded library counts those calls across all threads and kills before the K-th. Afterwards what was
//! acknowledged is there, every key opens, and running the command again completes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use reelkey::authority::vault::Vault;
use reelkey::store::embedded::SledStore;
use reelkey::store::record::{self, KeyRecord, SignerRecord};
use serde_json::Value;
use tempfile::TempDir;

use crate::installation::REELKEY;

const KEY: &str = "000102030405060708090a0b0c0d0e0f";
const KID: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";

struct Library {
    folder: TempDir,
    path: PathBuf,
}

/// Compiles a library to be preloaded; it lives as long as the folder.
pub(crate) fn build(source: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("preload.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playback").join(source);
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).arg(source);
    let built = compiler.args(["-ldl", "-lpthread"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    (folder, path)
}

impl Library {
    fn build() -> Self {
        let (folder, path) = build("killpoints.c");
        Self { folder, path }
    }

    fn command(&self, data: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(REELKEY);
        command.args(words).args(["--json", "--data"]).arg(data).env_clear();
        command.env("LD_PRELOAD", &self.path);
        command
    }

    /// How many points the command has on a copy of `base`.
    fn count(&self, base: &Path, words: &[&str]) -> usize {
        let (copy, file) = (Copy::of(base), self.folder.path().join("count"));
        let output = self.command(copy.path(), words).env("KILL_COUNT", &file).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        fs::read_to_string(file).unwrap().trim().parse().unwrap()
    }
}

/// A copy of a data folder, removed afterwards.
struct Copy(TempDir);

impl Copy {
    fn of(base: &Path) -> Self {
        let copy = tempfile::tempdir().unwrap();
        let from = format!("{}/.", base.display());
        let done = Command::new("cp").args(["-a", &from]).arg(copy.path()).status().unwrap();
        assert!(done.success());
        Self(copy)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn run(data: &Path, words: &[&str]) -> Value {
    let output =
        Command::new(REELKEY).args(words).args(["--json", "--data"]).arg(data).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The KIDs of the store, each of which opens, as does each signer.
pub(crate) fn opened(data: &Path) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(SledStore::open(&data.join("store")).unwrap());
        let vault = Vault::open(store, data.join("keys/root.key")).await.unwrap();
        let keyring = vault.keyring();
        let naming_key = record::naming_key(vault.store()).await.unwrap().unwrap();
        keyring.naming_key(&naming_key).unwrap();
        for signer in record::all::<SignerRecord>(vault.store()).await.unwrap() {
            keyring.signer(&signer).unwrap();
        }
        let mut kids = Vec::new();
        for key in record::all::<KeyRecord>(vault.store()).await.unwrap() {
            keyring.content_key(&key).unwrap();
            kids.push(key.kid.to_string());
        }
        kids
    })
}

/// Kills `words` at its points and holds what is left to the promise.
fn kill(library: &Library, base: &Path, words: &[&str]) {
    let before = if base.join("store").exists() { opened(base) } else { Vec::new() };
    let points = library.count(base, words);
    assert!(points > 3, "{words:?} writes nothing that is counted");
    for at in 1..=points {
        let copy = Copy::of(base);
        let output =
            library.command(copy.path(), words).env("KILL_AT", at.to_string()).output().unwrap();
        // The last points are the answer and what comes after it; where none is hit, it is done.
        let acknowledged = !output.stdout.is_empty();
        assert!(!output.status.success() || acknowledged, "{words:?} at {at}: {output:?}");
        if !base.join("store").exists() {
            run(copy.path(), words);
            opened(copy.path());
            continue;
        }
        let after = opened(copy.path());
        for kid in &before {
            assert!(after.contains(kid), "{words:?} at {at} of {points}: {kid} is lost");
        }
        run(copy.path(), words);
        assert!(opened(copy.path()).len() >= after.len(), "{words:?} at {at}");
    }
}

#[test]
fn a_command_may_be_killed_before_any_write() {
    let library = Library::build();
    let empty = tempfile::tempdir().unwrap();
    kill(&library, empty.path(), &["init"]);

    let base = tempfile::tempdir().unwrap();
    let data = base.path();
    run(data, &["init"]);
    kill(&library, data, &["issuer", "add", "https://auth.example", "--dev", "--content", "*"]);
    kill(&library, data, &["content", "add", "movies/bunny", "--policy", "default"]);
    run(data, &["content", "add", "movies/bunny", "--policy", "default"]);
    for track in ["AUDIO", "SD", "HD"] {
        run(data, &["key", "generate", "movies/bunny", "--track", track]);
    }
    let file = data.join("key.hex");
    fs::write(&file, KEY).unwrap();
    let key = format!("@{}", file.display());
    kill(&library, data, &["key", "import", "movies/bunny", "--kid", KID, "--key", &key]);
    run(data, &["key", "import", "movies/bunny", "--kid", KID, "--key", &key]);
    kill(&library, data, &["key", "rotate", "movies/bunny"]);
    kill(&library, data, &["key", "retire", KID]);
    kill(&library, data, &["signer", "rotate"]);
    kill(&library, data, &["kek", "rotate"]);
    run(data, &["kek", "rotate"]);
    kill(&library, data, &["kek", "rewrap"]);
    run(data, &["kek", "rewrap"]);
    kill(&library, data, &["kek", "retire"]);
}
