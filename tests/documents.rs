//! The examples in the documents are run or parsed, and what the documents name is there.
#![expect(clippy::unwrap_used, reason = "a test may fail where its expectation does")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use reelkey::crypto::digest::sha256;
use reelkey::crypto::sign;
use reelkey::domain::policy_file;
use reelkey::domain::refusal::Refusal;
use reelkey_client::exchange::jwks::Jwks;
use reelkey_client::exchange::pending::Pending;
use reelkey_client::exchange::request::SignedRequest;
use reelkey_client::exchange::stored::StoredRequest;
use reelkey_client::strict::jwk::PublicKey;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Its commands need encrypted films and packagers: tests/playback/tasks.rs runs them, client/ffi/tests/c.rs the C program.
const DECRYPTING: &str = "docs/decrypting";

/// The same: cpix.rs and guides.rs in tests/playback run them.
const PACKAGERS: &str = "docs/packagers";

/// Commands that would not end, or that are what is running right now.
const NOT_RUN: [&str; 4] = ["reelkey serve", "cargo run", "cargo install", "tests/run"];

fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![Path::new(ROOT).join("README.md")];
    for folder in ["docs", "docs/decisions", "docs/players", "docs/examples", DECRYPTING, PACKAGERS]
    {
        for entry in fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            paths.push(entry.unwrap().path());
        }
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a document: language and text.
fn blocks(document: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    for (at, part) in document.split("\n```").enumerate() {
        if at % 2 == 1 {
            let (language, text) = part.split_once('\n').unwrap();
            blocks.push((language.to_owned(), text.to_owned()));
        }
    }
    blocks
}

#[test]
fn every_block_says_what_it_is_and_is_read() {
    let mut seen = 0;
    for (path, text) in documents() {
        for (language, block) in blocks(&text) {
            let at = format!("{}: {block}", path.display());
            match language.as_str() {
                "json" => drop(serde_json::from_str::<Value>(&block).expect(&at)),
                "toml" if block.contains("license_duration") => {
                    drop(policy_file::parse("example", &block).expect(&at));
                }
                "toml" => drop(toml::from_str::<toml::Table>(&block).expect(&at)),
                // Run below, or compiled where it comes from, or a picture.
                "console" | "rust" | "c" | "text" | "mermaid" | "js" | "html" => {}
                // Shown for platforms that are not here; their page says that they were not run.
                "kotlin" | "swift" | "xml" | "python" => {}
                other => panic!("{at}: what is {other:?}?"),
            }
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen} blocks");
}

/// A script that a document shows is a part of the file that the comment before it names, and that file is run by tests.
#[test]
fn every_script_is_what_the_tests_run() {
    let mut seen = 0;
    for (path, text) in documents() {
        for (at, _) in text.match_indices("-->\n```js\n") {
            let (before, after) = text.split_at(at);
            let named = before.rsplit_once("<!-- ").unwrap().1.trim();
            let block = after.strip_prefix("-->\n```js\n").unwrap().split_once("\n```").unwrap().0;
            let file = fs::read_to_string(Path::new(ROOT).join(named)).unwrap();
            let mut lines = block.lines().filter(|line| !line.trim().is_empty());
            let missing = lines.find(|line| !file.contains(line));
            assert_eq!(missing, None, "{}: not in {named}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} scripts");
}

/// A document's commands are run in order, in a folder of their own, as a reader would.
#[test]
fn every_command_works_as_it_is_written() {
    let mut run = 0;
    let by_playback = [DECRYPTING, PACKAGERS].map(|folder| Path::new(ROOT).join(folder));
    let is_run = |path: &Path| !by_playback.iter().any(|folder| path.starts_with(folder));
    for (path, text) in documents().into_iter().filter(|(path, _)| is_run(path)) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key.hex"), "00112233445566778899aabbccddeeff\n").unwrap();
        let secret = folder.path().join("own.secret");
        fs::write(&secret, "a secret of thirty-two bytes or more").unwrap();
        fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
        // The document shows what a line of it looks like.
        let lines = blocks(&text).into_iter().find(|(_, block)| block.contains("\"kid\": \"4d"));
        fs::write(folder.path().join("keys.jsonl"), lines.unwrap_or_default().1).unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        let clip = format!("{ROOT}/src/cli/demo/clip/clear/video.mp4");
        fs::copy(clip, folder.path().join("in.mp4")).unwrap();
        let jwks = "keys/example-issuer.jwks.json";
        fs::copy(Path::new(ROOT).join(jwks), folder.path().join(jwks)).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_reelkey")).parent().unwrap();
        for (language, block) in blocks(&text) {
            let commands = block.lines().filter_map(|line| line.strip_prefix("$ "));
            for command in commands.filter(|_| language == "console") {
                if NOT_RUN.iter().any(|prefix| command.starts_with(prefix)) {
                    continue;
                }
                let mut shell = Command::new("bash");
                shell.args(["-c", command]).current_dir(folder.path());
                let output =
                    shell.env("PATH", format!("{}:/usr/bin:/bin", binary.display())).output();
                let output = output.unwrap();
                assert!(output.status.success(), "{}: {command}: {output:?}", path.display());
                run += 1;
            }
        }
    }
    assert!(run > 12, "{run} commands");
}

#[test]
fn every_refusal_is_documented() {
    let api = fs::read_to_string(Path::new(ROOT).join("docs/API.md")).unwrap();
    for refusal in Refusal::ALL {
        assert!(api.contains(&format!("`{}`", refusal.reason())), "{}", refusal.reason());
    }
}

/// The worked example holds: signature by signature, down to the content key.
#[test]
fn the_worked_example_opens() {
    let api = fs::read_to_string(Path::new(ROOT).join("docs/API.md")).unwrap();
    let example = blocks(&api).into_iter().find(|(_, block)| block.contains("content_key"));
    let example: Value = serde_json::from_str(&example.unwrap().1).unwrap();
    let text = |name: &str| example[name].as_str().unwrap();

    let request = SignedRequest::parse(text("request").as_bytes()).unwrap();
    let device = PublicKey::from_jwk(&public(&example["device_jwk"])).unwrap();
    assert_eq!(request.device_key, device);
    let message = request.signing_input.as_bytes();
    assert!(sign::verify(&device, message, &request.signature), "the device signed the request");
    assert_eq!(request.ath, Some(sha256(text("token").as_bytes())));

    let private_jwk = example["enc_jwk"].to_string();
    let stored =
        StoredRequest { request: text("request").as_bytes(), private_jwk: private_jwk.as_bytes() };
    let jwks = Jwks::parse(example["jwks"].to_string().as_bytes()).unwrap();
    let license = Pending::resume(stored).unwrap().open(text("license").as_bytes(), &jwks).unwrap();
    let [(kid, key)] = &license.keys[..] else { panic!("one key") };
    assert_eq!(kid.to_string(), text("kid"));
    assert_eq!(*key.to_hex(), text("content_key"));
}

/// A private JWK without what is private in it.
fn public(jwk: &Value) -> Value {
    let mut jwk = jwk.clone();
    jwk.as_object_mut().unwrap().remove("d");
    jwk
}

/// A threat is defended by a test that exists.
#[test]
fn every_test_that_the_threats_name_is_there() {
    let threats = fs::read_to_string(Path::new(ROOT).join("docs/THREATS.md")).unwrap();
    let mut named = 0;
    for name in threats.split('`').filter(|text| text.contains(".rs::")) {
        let (file, test) = name.split_once("::").unwrap();
        let text = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
        assert!(text.contains(&format!("fn {test}(")), "{name}");
        named += 1;
    }
    assert!(named > 10, "{named} tests");
}

#[test]
fn every_link_leads_somewhere() {
    for (path, text) in documents() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if !link.starts_with("http") {
                let (file, heading) = link.split_once('#').unwrap_or((link, ""));
                let target = path.parent().unwrap().join(file);
                assert!(target.exists(), "{}: {link}", path.display());
                if !heading.is_empty() {
                    let text = fs::read_to_string(&target).unwrap();
                    let is_there = text.lines().any(|line| anchor(line) == heading);
                    assert!(is_there, "{}: {link}", path.display());
                }
            }
        }
    }
}

/// What links call a heading: in lower case, a hyphen for a space, and nothing else but letters and digits.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|char| char.is_alphanumeric() || *char == '-').collect()
}
