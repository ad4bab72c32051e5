//! Players that share no code with us.

use std::io::Write;
use std::process::{Command, Stdio};

use reelkey_client::strict::base64url;
use serde_json::Value;

use crate::film::{CONTENT, FilmKey, provisioned};
use crate::installation::{Installation, tool};

/// Lets a player ask for the keys of the film, and compares them with what was imported.
pub(crate) fn play(keys: &[FilmKey], token: &str, player: &mut Command) {
    let played = run(token, player);
    assert_eq!(played["license"]["region"], "US");
    assert_eq!(opened(&played["keys"]), imported(keys));
}

/// Runs a player with a token, and returns what it prints.
fn run(token: &str, player: &mut Command) -> Value {
    let player = player.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut player = player.spawn().unwrap();
    player.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = player.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// KIDs and keys of a JWK Set, in hexadecimal digits.
fn opened(keys: &Value) -> Vec<(String, String)> {
    let hex = |text: &Value| -> String {
        let bytes = base64url::decode(text.as_str().unwrap()).unwrap();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let keys = keys.as_array().unwrap().iter();
    let mut opened: Vec<_> = keys.map(|jwk| (hex(&jwk["kid"]), hex(&jwk["k"]))).collect();
    opened.sort();
    opened
}

fn imported(keys: &[FilmKey]) -> Vec<(String, String)> {
    let mut keys: Vec<_> = keys.iter().map(|key| (key.kid.clone(), key.key.clone())).collect();
    keys.sort();
    keys
}

/// Renewals, downloads, two devices and one stream for each account.
const LIFE: &str = r#"can_play = true
can_persist = true
can_renew = true
license_duration = "10m"
renewal_delay = "4m"
renewal_recovery_duration = "10m"
[persistent]
license_duration = "7d"
[device]
limit = 2
[concurrency]
limit = 1
"#;

/// A folder whose film has the policy [`LIFE`].
fn with_life() -> (Installation, [FilmKey; 2]) {
    let (installation, keys) = provisioned();
    installation.write("policies/life.toml", LIFE.as_bytes());
    installation.succeed(&["content", "set-policy", CONTENT, "--policy", "life"]);
    (installation, keys)
}

/// Compares what a player tells of its licenses with what the policy [`LIFE`] grants.
fn is_a_life(told: &Value, keys: &[FilmKey]) {
    let count = |what: &str| told[what]["counter"].as_u64().unwrap();
    let id = |what: &str| told[what]["jti"].as_str().unwrap();
    let refused = |what: &str, status: u16, reason: &str| {
        let problem = &told[what];
        assert_eq!(problem["status"], status, "{what}: {problem}");
        assert_eq!(problem["reason"], reason, "{what}: {problem}");
    };
    for kind in ["", "kept_"] {
        let named = |what: &str| format!("{kind}{what}");
        let license = if kind.is_empty() { "license" } else { "kept" };
        assert_eq!(id(&named("renewed")), id(license));
        assert_eq!(id(&named("receipt")), id(license));
        assert_eq!([license, &named("renewed"), &named("receipt")].map(count), [0, 1, 1]);
        for what in ["keys", "renewed_keys"] {
            assert_eq!(opened(&told[named(what)]), imported(keys), "{kind}{what}");
        }
    }
    assert_eq!(id("repeated_receipt"), id("license"));
    assert_ne!(id("second_receipt"), id("license"));
    refused("second_stream", 409, "concurrency-limit");
    if let Some(conflicts) = told["second_stream"].get("conflicts") {
        let conflicts = conflicts.as_array().unwrap();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0]["content_id"], CONTENT);
        assert!(!conflicts[0]["session"].as_str().unwrap().is_empty());
    }
    refused("foreign_renewal", 403, "not-authorized");
    refused("foreign_release", 403, "not-authorized");
    refused("repeated_new", 403, "license-expired");
    refused("renewal_after_release", 403, "license-expired");
    refused("third_device", 403, "device-limit");
    refused("kept_renewal_after_return", 403, "license-expired");
    let life =
        |what: &str| told[what]["exp"].as_u64().unwrap() - told[what]["iat"].as_u64().unwrap();
    assert_eq!([life("renewed"), life("kept_renewed")], [600, 7 * 86_400]);
    let delay = told["license"]["policy"]["renewal_delay"].as_u64().unwrap();
    assert!((180..=240).contains(&delay), "{delay}");
}

#[test]
fn a_player_in_python_obtains_the_keys_with_a_jose_library_alone() {
    let (installation, keys) = provisioned();
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let service = installation.serve();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/player.py");
    let mut player = Command::new(tool("python/bin/python"));
    play(&keys, &token, player.args([script, &service.url, "reelkey", CONTENT, &keys[0].kid]));
}

#[test]
fn a_player_in_javascript_obtains_the_keys_with_keys_that_never_leave_the_platform() {
    let (installation, keys) = provisioned();
    let token = installation.mint(&["--content", CONTENT, "--region", "US"]);
    let certificate = installation.identify();
    let service = installation.serve();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/player.mjs");
    let mut player = Command::new(tool("bin/node"));
    player.arg(script).arg(tool("node/node_modules/jose/dist/webapi/index.js")).arg(&service.url);
    play(&keys, &token, player.arg(certificate).args(["reelkey", CONTENT]));
}

#[test]
fn a_player_in_python_renews_releases_keeps_and_returns_licenses() {
    let (installation, keys) = with_life();
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/player.py");
    let folder = tempfile::tempdir().unwrap();
    let mut player = Command::new(tool("python/bin/python"));
    player.args([script, "--life"]).arg(folder.path());
    let told = run(&token, player.args([&service.url, "reelkey", CONTENT]));
    is_a_life(&told, &keys);
}

#[test]
fn a_player_in_javascript_renews_releases_keeps_and_returns_licenses() {
    let (installation, keys) = with_life();
    let token = installation.mint(&["--content", CONTENT]);
    let certificate = installation.identify();
    let service = installation.serve();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/player.mjs");
    let mut player = Command::new(tool("bin/node"));
    player.arg(script).arg(tool("node/node_modules/jose/dist/webapi/index.js")).arg(&service.url);
    player.arg(certificate).args(["reelkey", CONTENT, "--life"]);
    is_a_life(&run(&token, &mut player), &keys);
}
