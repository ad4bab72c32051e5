//! Players that share no code with us.

use std::io::Write;
use std::process::{Command, Stdio};

use reelkey_client::strict::base64url;
use serde_json::Value;

use crate::film::{CONTENT, FilmKey, provisioned};
use crate::installation::tool;

/// Lets a player ask for the keys of the film, and holds what it says to what was imported.
pub(crate) fn play(keys: &[FilmKey], token: &str, player: &mut Command) {
    let player = player.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut player = player.spawn().unwrap();
    player.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = player.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let played: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(played["license"]["region"], "US");
    let hex = |text: &Value| -> String {
        let bytes = base64url::decode(text.as_str().unwrap()).unwrap();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let mut opened: Vec<_> = played["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|jwk| (hex(&jwk["kid"]), hex(&jwk["k"])))
        .collect();
    let mut expected: Vec<_> = keys.iter().map(|key| (key.kid.clone(), key.key.clone())).collect();
    opened.sort();
    expected.sort();
    assert_eq!(opened, expected);
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
