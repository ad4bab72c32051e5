//! Every command that writes, killed before each call by which it changes the disk.
//!
//! A preloaded library counts those calls across all threads and kills before the K-th. Afterwards what was
//! acknowledged is there, every key opens, and running the command again completes it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reelkey::authority::vault::census::census;
use reelkey::authority::vault::open::Vault;
use reelkey::store::open::{self as stores, StoreUrl};
use reelkey::store::record::title;
use serde_json::Value;
use tempfile::TempDir;

use crate::installation::{Installation, REELKEY, Service, thoroughly};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";
const KID: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";

pub(crate) struct Library {
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
    pub(crate) fn build() -> Self {
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
        let (copy, file) = (Installation::copy_of(base), self.folder.path().join("count"));
        let mut command = self.command(copy.data.path(), words);
        let output = command.env("KILL_COUNT", &file).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        read_count(&file)
    }

    /// A service that counts from now on, and is killed before the point `at`.
    pub(crate) fn serve(&self, installation: &Installation, at: usize, count: &Path) -> Service {
        let armed = installation.data.path().join("armed");
        let at = at.to_string();
        let service = installation.serve_with(&[
            ("LD_PRELOAD", self.path.as_os_str()),
            ("KILL_ARMED", armed.as_os_str()),
            ("KILL_AT", OsStr::new(&at)),
            ("KILL_COUNT", count.as_os_str()),
        ]);
        fs::write(armed, "").unwrap();
        service
    }

    /// How many points the command has in the service until that has ended.
    fn count_served(&self, base: &Path, words: &[&str]) -> usize {
        let (copy, file) = (Installation::copy_of(base), self.folder.path().join("count"));
        let service = self.serve(&copy, 0, &file);
        copy.succeed(words);
        service.terminate();
        read_count(&file)
    }
}

pub(crate) fn read_count(file: &Path) -> usize {
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

fn run(data: &Path, words: &[&str]) -> Value {
    let output =
        Command::new(REELKEY).args(words).args(["--json", "--data"]).arg(data).output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The KIDs of the store, in which every secret opens and no key is lost.
pub(crate) fn opened(data: &Path) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let store = stores::open(&StoreUrl::Sled(data.join("store"))).await.unwrap();
        let vault = Vault::open(store, data.join("keys/root.key")).await.unwrap();
        let store = vault.store();
        census(&*store, &vault.keyring()).await.unwrap();
        let titles = title::titles(&*store).await.unwrap();
        let keys = titles.iter().flat_map(|title| &title.keys);
        keys.map(|key| key.kid.to_string()).collect()
    })
}

/// The KIDs of a folder that is left as it is; none where there is no store yet.
fn kids(base: &Path) -> Vec<String> {
    if !base.join("store").exists() {
        return Vec::new();
    }
    opened(Installation::copy_of(base).data.path())
}

/// Kills `words` at its points and holds what is left to the promise.
fn kill(library: &Library, base: &Path, words: &[&str]) {
    let before = kids(base);
    let points = library.count(base, words);
    assert!(points > 3, "{words:?} writes nothing that is counted");
    println!("{points:4} points of {} on a stopped store", words.join(" "));
    for at in (1..=points).step_by(thoroughly(3, 1)) {
        let copy = Installation::copy_of(base);
        let mut command = library.command(copy.data.path(), words);
        command.env("KILL_AT", at.to_string());
        let output = in_time(&command);
        // The last points are the answer and what comes after it; where none is hit, it is done.
        let acknowledged = !output.stdout.is_empty();
        assert!(!output.status.success() || acknowledged, "{words:?} at {at}: {output:?}");
        if !base.join("store").exists() {
            run(copy.data.path(), words);
            opened(copy.data.path());
            continue;
        }
        hold(&copy, &before, words, at);
    }
}

/// Lets the disk fail at the points of `words`, for once or for good. It is refused or done, and said so, and whatever
/// was there is there once the disk is well.
fn fail(library: &Library, base: &Path, words: &[&str]) {
    let before = kids(base);
    let points = library.count(base, words);
    let mut refused = 0;
    let sample = (1..=points).step_by(thoroughly(4, 1));
    for (at, once) in sample.flat_map(|at| [(at, true), (at, false)]) {
        let copy = Installation::copy_of(base);
        let mut command = library.command(copy.data.path(), words);
        command.env("FAIL_AT", at.to_string());
        if once {
            command.env("FAIL_ONCE", "1");
        }
        let output = in_time(&command);
        let said = String::from_utf8(output.stdout).unwrap();
        let mut before = before.clone();
        let code = output.status.code();
        let is_refused = code == Some(1) && said.contains("\"error\"");
        assert!(code == Some(0) || is_refused, "{words:?} at {at}, once {once}: {code:?} {said}");
        if is_refused {
            refused += 1;
        } else {
            let answer: Value = serde_json::from_str(&said).unwrap();
            before.extend(answer["kid"].as_str().map(Into::into));
        }
        if base.join("store").exists() {
            hold(&copy, &before, words, at);
        } else {
            run(copy.data.path(), words);
            opened(copy.data.path());
        }
    }
    println!("{points:4} points of {} on a failing disk, {refused} refused", words.join(" "));
    assert!(refused > 0, "{words:?} does not notice a failing disk");
}

/// Kills the service at the points of `words`, which it is told to do over its socket.
fn kill_served(library: &Library, base: &Path, words: &[&str]) {
    let before = kids(base);
    let points = library.count_served(base, words);
    assert!(points > 1, "{words:?} writes nothing that is counted");
    println!("{points:4} points of {} in the service", words.join(" "));
    for at in (1..=points).step_by(thoroughly(5, 1)) {
        let copy = Installation::copy_of(base);
        let service = library.serve(&copy, at, Path::new("/dev/null"));
        let output = copy.run(&[words, &["--json"]].concat());
        drop(service);
        let mut before = before.clone();
        if output.status.success() {
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            before.extend(answer["kid"].as_str().map(Into::into));
        }
        hold(&copy, &before, words, at);
    }
}

/// What the command says, which it has to say within a minute.
fn in_time(command: &Command) -> Output {
    let mut bounded = Command::new("/usr/bin/timeout");
    bounded.args(["--kill-after=1", "60"]).arg(command.get_program()).args(command.get_args());
    bounded.env_clear();
    for (name, value) in command.get_envs() {
        bounded.env(name, value.unwrap());
    }
    bounded.output().unwrap()
}

/// Every key is there and opens, and the command can be repeated.
fn hold(copy: &Installation, before: &[String], words: &[&str], at: usize) {
    let data = copy.data.path();
    let after = opened(data);
    for kid in before {
        assert!(after.contains(kid), "{words:?} at {at}: {kid} is lost");
    }
    if words.starts_with(&["key", "rotate"]) {
        // AUDIO, SD, HD, and the one that was imported without a track type.
        let tracks = 4;
        let made = after.iter().filter(|kid| !before.contains(kid)).count();
        assert!(
            made == 0 || made == tracks,
            "{words:?} at {at}: {made} of {tracks} tracks have a new key"
        );
    }
    copy.succeed(words);
    assert!(opened(data).len() >= after.len(), "{words:?} at {at}");
    let leftovers: Vec<_> =
        ["keys/root.key.next", "store/1.new", "store/2.new", "store/3.new", "store/facts.new"]
            .into_iter()
            .filter(|name| data.join(name).exists())
            .collect();
    assert!(leftovers.is_empty(), "{words:?} at {at}: {leftovers:?}");
    // The lock, the store and the facts.
    assert_eq!(fs::read_dir(data.join("store")).unwrap().count(), 3, "{words:?} at {at}");
}

#[test]
fn a_command_may_be_killed_before_any_write() {
    let library = Library::build();
    let empty = tempfile::tempdir().unwrap();
    kill(&library, empty.path(), &["init"]);
    each_command(|base, words| kill(&library, base, words));
}

#[test]
fn a_disk_may_fail_at_any_write() {
    let library = Library::build();
    let empty = tempfile::tempdir().unwrap();
    fail(&library, empty.path(), &["init"]);
    each_command(|base, words| fail(&library, base, words));
}

#[test]
fn a_migration_may_be_killed_and_may_meet_a_failing_disk_before_any_write() {
    let library = Library::build();
    let old = Installation::of_format_1();
    for words in [&["content", "list"][..], &["key", "generate", "movies/bunny"]] {
        kill(&library, old.data.path(), words);
        fail(&library, old.data.path(), words);
    }
}

#[test]
fn the_service_may_be_killed_before_any_write_of_a_command() {
    let library = Library::build();
    each_command(|base, words| {
        // These are done by the command, which then lets the service read it.
        if words[0] != "issuer" && words[..2] != ["device", "ca"] {
            kill_served(&library, base, words);
        }
    });
}

/// Calls `kill` with every command that writes, and a folder on which it has something to do.
fn each_command(kill: impl Fn(&Path, &[&str])) {
    let base = tempfile::tempdir().unwrap();
    let data = base.path();
    run(data, &["init"]);
    kill(data, &["issuer", "add", "https://auth.example", "--dev", "--content", "*"]);
    run(data, &["issuer", "add", "https://auth.example", "--dev", "--content", "*"]);
    kill(data, &["issuer", "remove", "https://auth.example"]);
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = ca.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    let file = data.join("ca.pem");
    fs::write(&file, ca).unwrap();
    let file = file.to_str().unwrap();
    let add =
        ["device", "ca", "add", "acme", "--certificate", file, "--security-level", "HW_SECURE_ALL"];
    kill(data, &add);
    run(data, &add);
    kill(data, &["device", "ca", "update", "acme", "--security-level", "HW_SECURE_CRYPTO"]);
    kill(data, &["device", "ca", "remove", "acme"]);
    let secret = data.join("encoder.secret");
    fs::write(&secret, "a-secret-of-an-encoder").unwrap();
    let secret = ["--secret-file", secret.to_str().unwrap()];
    let add = [&["packager", "add", "encoder", "--content", "*"][..], &secret].concat();
    kill(data, &add);
    run(data, &add);
    kill(data, &[&["packager", "rotate-secret", "encoder"][..], &secret].concat());
    kill(data, &["packager", "remove", "encoder", "--yes"]);
    kill(data, &["content", "add", "movies/bunny", "--policy", "default"]);
    run(data, &["content", "add", "movies/bunny", "--policy", "default"]);
    run(data, &["content", "add", "movies/empty", "--policy", "default"]);
    for track in ["AUDIO", "SD", "HD"] {
        run(data, &["key", "generate", "movies/bunny", "--track", track]);
    }
    let file = data.join("key.hex");
    fs::write(&file, KEY).unwrap();
    let key = format!("@{}", file.display());
    kill(data, &["key", "import", "movies/bunny", "--kid", KID, "--key", &key]);
    run(data, &["key", "import", "movies/bunny", "--kid", KID, "--key", &key]);
    let line = format!(
        r#"{{"content_id":"movies/many","kid":"4d97930a-3d7b-5000-8000-5c7bda1f0a12","key":"{KEY}"}}"#
    );
    let many = data.join("many.jsonl");
    fs::write(&many, line).unwrap();
    kill(data, &["key", "import", "--from", many.to_str().unwrap(), "--policy", "default"]);
    kill(data, &["key", "rotate", "movies/bunny"]);
    kill(data, &["key", "retire", KID]);
    kill(data, &["signer", "rotate"]);
    kill(data, &["kek", "rotate"]);
    run(data, &["kek", "rotate"]);
    kill(data, &["kek", "rewrap"]);
    kill(data, &["root", "rotate"]);
    run(data, &["kek", "rewrap"]);
    kill(data, &["kek", "retire"]);
    kill(data, &["content", "remove", "movies/empty"]);
    const JKT: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let account = ["--issuer", "https://auth.example", "--account", "alice"];
    for act in ["enroll", "revoke", "restore", "remove"] {
        let words = [&["device", act, JKT][..], &account].concat();
        kill(data, &words);
        run(data, &words);
    }
    kill(data, &[&["account", "erase", "--yes"][..], &account].concat());
}
