//! The drills of docs/OPERATIONS.md, run as they are written while the service grants licenses.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use reelkey_client::strict::base64url;
use serde_json::Value;

use crate::film::{CONTENT, ask_for, obtain};
use crate::installation::{Installation, REELKEY, Service};

const KID: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";
const KEY: &str = "000102030405060708090a0b0c0d0e0f";

/// The commands of the drill under this heading.
fn commands(heading: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, drill) = text.split_once(&format!("\n### {heading}\n")).expect(heading);
    let drill = drill.split("\n##").next().unwrap();
    drill.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

/// Runs a drill beside the installation, as the document's reader would.
fn run(installation: &Installation, heading: &str) {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(installation.data.path(), place.path().join("reelkey-data"))
        .unwrap();
    run_in(place.path(), heading);
}

fn run_in(place: &Path, heading: &str) {
    let commands = commands(heading);
    assert!(!commands.is_empty(), "{heading} has no commands");
    fs::create_dir(place.join("keys")).unwrap();
    let jwks = "keys/example-issuer.jwks.json";
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(jwks), place.join(jwks)).unwrap();
    let binaries = Path::new(REELKEY).parent().unwrap().display();
    for command in commands {
        let mut shell = Command::new("bash");
        shell.args(["-c", &command]).current_dir(place);
        let output = shell.env("PATH", format!("{binaries}:/usr/bin:/bin")).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
}

fn installed() -> (Installation, Service, String) {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    installation.import(CONTENT, "HD", KID, KEY);
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    (installation, service, token)
}

fn granted(service: &Service, token: &str) -> BTreeSet<String> {
    obtain(service, token).keys.iter().map(|(kid, _)| kid.to_string()).collect()
}

#[test]
fn a_content_key_leaked() {
    let (installation, service, token) = installed();
    assert_eq!(granted(&service, &token), BTreeSet::from([KID.to_owned()]));
    run(&installation, "A content key leaked");
    let now = granted(&service, &token);
    assert!(now.len() == 1 && !now.contains(KID), "{now:?}");
}

#[test]
fn a_kek_leaked() {
    let (installation, service, token) = installed();
    run(&installation, "A KEK leaked");
    let keks = installation.succeed(&["kek", "list"]);
    assert_eq!((keks.as_array().unwrap().len(), &keks[0]["generation"]), (1, &2.into()));
    assert_eq!(granted(&service, &token).len(), 1);
}

#[test]
fn the_root_key_leaked() {
    let (installation, service, token) = installed();
    let path = installation.data.path().join("keys/root.key");
    let old = fs::read(&path).unwrap();
    run(&installation, "The root key leaked");
    assert_ne!(fs::read(&path).unwrap(), old);
    assert_eq!(granted(&service, &token).len(), 1);
    service.terminate();
    fs::write(&path, old).unwrap();
    assert!(installation.fail(&["key", "list"]).contains("not this store's"));
}

#[test]
fn the_signing_key_leaked() {
    let (installation, service, token) = installed();
    let signer = |license: &str| -> Value {
        let header = license.split('.').next().unwrap();
        serde_json::from_slice::<Value>(&base64url::decode(header).unwrap()).unwrap()["kid"].take()
    };
    let before = signer(&ask_for(&service, &token).0);
    run(&installation, "The signing key leaked");
    assert_ne!(signer(&ask_for(&service, &token).0), before);
    assert_eq!(granted(&service, &token).len(), 1);
}

#[test]
fn an_issuers_key_leaked() {
    let (installation, service, token) = installed();
    run(&installation, "An issuer's key leaked");
    let (status, answer) = service.send("POST", "/v1/license", &token, "x");
    assert_eq!(status, 403);
    assert!(answer.contains("token-invalid"), "{answer}");
    assert_eq!(installation.succeed(&["issuer", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_restart() {
    let (installation, service, token) = installed();
    let before = granted(&service, &token);
    service.terminate();
    assert_eq!(granted(&installation.serve(), &token), before);
}

#[test]
fn an_upgrade() {
    let (installation, service, _) = installed();
    service.terminate();
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("reelkey-data");
    let mut copy = Command::new("cp");
    assert!(copy.arg("-a").arg(installation.data.path()).arg(&data).status().unwrap().success());
    run_in(place.path(), "An upgrade");
    // The copy is of use by itself.
    fs::remove_dir_all(data).unwrap();
    let data = place.path().join("reelkey-data.before");
    let mut list = Command::new(REELKEY);
    let output = list.args(["key", "list", "--json", "--data"]).arg(data).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(KID));
}
