//! Secrets stay where they belong: a search of everything that a run leaves behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

use reelkey::crypto::random;

use crate::film::{CONTENT, obtain, provisioned};
use crate::installation::{Installation, REELKEY};
use crate::origins::{SECRET, get, key_path};
use crate::power::operate;

/// A secret in every form in which it could have got out.
pub(crate) fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        ("raw", secret.to_vec()),
        ("hex", hex.clone().into_bytes()),
        ("HEX", hex.to_uppercase().into_bytes()),
        ("base64", Base64::encode_string(secret).trim_end_matches('=').as_bytes().to_vec()),
        ("base64url", Base64UrlUnpadded::encode_string(secret).into_bytes()),
        ("debug", format!("{secret:?}").trim_matches(['[', ']']).as_bytes().to_vec()),
    ];
    if let Ok(bytes) = secret.try_into() {
        forms.push(("uuid", uuid::Uuid::from_bytes(bytes).to_string().into_bytes()));
    }
    forms
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Where any form of the secret stands.
fn search(folder: &Path, secret: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(folder) {
        let bytes = fs::read(&path).unwrap();
        for (form, needle) in forms(secret) {
            if memchr::memmem::find(&bytes, &needle).is_some() {
                let name = path.strip_prefix(folder).unwrap().display();
                found.push(format!("{name} ({form})"));
            }
        }
    }
    found
}

/// Everything that commands and the socket say about the title's third key, which is asked for, imported again and
/// contradicted in every way.
fn converse(installation: &Installation, key: &str) -> Vec<u8> {
    let mut said = Vec::new();
    let twice = installation.write("late.key", key.as_bytes());
    let file = format!("@{}", twice.display());
    let kid = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";
    for words in [
        &["key", "import", CONTENT, "--track", "HD", "--kid", kid, "--key", &file][..],
        &["key", "import", CONTENT, "--track", "SD", "--kid", kid, "--key", &file],
        &["key", "import", "movies/none", "--kid", kid, "--key", &file],
        &["key", "import", "--from", twice.to_str().unwrap()],
        &["key", "list"],
        &["key", "show", kid],
        &["content", "show", CONTENT],
        &["kek", "list"],
        &["signer", "list"],
        &["issuer", "list"],
        &["doctor"],
        &["root", "rotate"],
    ] {
        for more in [&[][..], &["--json"]] {
            let output = installation.run(&[words, more].concat());
            said.extend([output.stdout, output.stderr].concat());
        }
    }
    fs::remove_file(twice).unwrap();
    for operation in [
        format!(r#"{{"kid":"{kid}","content_id":"{CONTENT}","key":"{key}"}}"#),
        format!(r#"{{"kid":"{kid}","content_id":7,"key":"{key}"}}"#),
        format!(r#"{{"kid":"{key}{key}","content_id":"x","key":"{key}0"}}"#),
    ] {
        let socket = installation.data.path().join("admin.sock");
        said.extend(operate(&socket, "key/import", &operation).unwrap().into_bytes());
    }
    let text = String::from_utf8(said.clone()).unwrap();
    for expected in [
        "exists already",
        "another track type",
        "no content movies/none",
        "every secret opens; 1 contents",
        "secrets are wrapped again",
        "does not know the operation",
        "a key is 32 hexadecimal digits",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    said
}

#[test]
fn no_key_and_no_token_is_left_behind() {
    let (installation, keys) = provisioned();
    let folder = installation.data.path();
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    // One more key comes in through the admin socket.
    let late = random::bytes::<16>().unwrap();
    let hex: String = late.iter().map(|byte| format!("{byte:02x}")).collect();
    installation.import(CONTENT, "HD", "4d97930a-3d7b-5000-8000-5c7bda1f0a11", &hex);
    let license = obtain(&service, &token);
    for wrong in ["", "abc", &token[..token.len() - 2]] {
        assert_ne!(service.send("POST", "/v1/license", wrong, "body").0, 200);
    }
    let (_, refused) = service.send("POST", "/v1/license", &token, &token);
    assert!(!refused.contains(&token[..20]), "{refused}");
    // What the commands say, and what the socket answers, lies in the folder to be searched too.
    let said = converse(&installation, &hex);
    installation.write("said", &said);
    service.terminate();
    installation.write("said when stopped", &installation.run(&["key", "list"]).stdout);

    let log = fs::read_to_string(folder.join("service.log")).unwrap();
    assert!(log.contains("license granted") && log.contains(&license.claims.jti), "the log works");
    assert!(log.contains("TRACE"), "the log is at its most verbose");

    let mut secrets: Vec<(String, Vec<u8>)> = Vec::new();
    for (kid, key) in &license.keys {
        secrets.push((format!("content key {kid}"), key.expose().to_vec()));
    }
    let signature = token.rsplit_once('.').unwrap().1;
    secrets.push(("token".into(), Base64UrlUnpadded::decode_vec(signature).unwrap()));
    secrets.push(("token payload".into(), token.split('.').nth(1).unwrap().as_bytes().to_vec()));
    for (name, secret) in &secrets {
        assert_eq!(search(folder, secret), Vec::<String>::new(), "{name}");
    }
    assert_eq!(secrets.len(), keys.len() + 3);

    // The root key and the development key are in their files and nowhere else.
    let text = fs::read_to_string(folder.join("keys/root.key")).unwrap();
    let root = Base64UrlUnpadded::decode_vec(text.trim().rsplit_once("-1-").unwrap().1).unwrap();
    let found = search(folder, &root);
    assert!(
        !found.is_empty() && found.iter().all(|at| at.starts_with("keys/root.key ")),
        "{found:?}"
    );
    let development = files(&folder.join("keys/dev")).pop().unwrap();
    let jwk: serde_json::Value = serde_json::from_slice(&fs::read(&development).unwrap()).unwrap();
    let d = Base64UrlUnpadded::decode_vec(jwk["d"].as_str().unwrap()).unwrap();
    let found = search(folder, &d);
    assert!(!found.is_empty() && found.iter().all(|at| at.starts_with("keys/dev/")), "{found:?}");
    for path in [folder.join("keys/root.key"), development] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    // The search finds what is there, in every form.
    for (form, needle) in forms(&secrets[0].1) {
        let planted = installation.write("planted", &[b"before ", &needle[..], b" after"].concat());
        assert!(search(folder, &secrets[0].1).contains(&format!("planted ({form})")), "{form}");
        fs::remove_file(planted).unwrap();
    }
}

/// What packagers show and what they are given.
#[test]
fn no_secret_of_a_packager_and_no_key_that_it_got_is_left_behind() {
    let (installation, elsewhere) = (Installation::new(), tempfile::tempdir().unwrap());
    let folder = installation.data.path();
    let (signing, iv) = (random::bytes::<32>().unwrap(), random::bytes::<16>().unwrap());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let [secret_file, signing_file] = ["secret", "signing"].map(|name| elsewhere.path().join(name));
    fs::write(&secret_file, SECRET).unwrap();
    fs::write(&signing_file, format!("{}:{}", hex(&signing), hex(&iv))).unwrap();
    let words = ["packager", "add", "encoder", "--content", "*", "--allow", "issue,read"];
    let [secret_file, signing_file] =
        [&secret_file, &signing_file].map(|path| path.to_str().unwrap());
    let files = ["--secret-file", secret_file, "--widevine-signing-key-file", signing_file];
    installation.succeed(&[&words[..], &["--policy", "default"], &files].concat());
    let service = installation.serve();
    let mut secrets = vec![
        ("secret", SECRET.as_bytes().to_vec()),
        ("secret, Basic", Base64::encode_string(format!("encoder:{SECRET}").as_bytes()).into()),
        ("signing key", signing.to_vec()),
    ];
    for query in ["", "?crypto_period_seconds=10"] {
        let (status, key) = get(&service.url, &(key_path("movies/new") + query)).unwrap();
        assert_eq!((status, key.len()), (200, 16));
        secrets.push(("key", key));
        let info = key_path("movies/new").replace(".key", ".keyinfo") + query;
        let (status, info) = get(&service.url, &info).unwrap();
        assert_eq!(status, 200);
        let info = String::from_utf8(info).unwrap();
        let ticket = info.rsplit_once("ticket=").unwrap().1.trim();
        secrets.push(("ticket", Base64UrlUnpadded::decode_vec(ticket).unwrap()));
        let (_, url) = info.trim().rsplit_once('\n').unwrap();
        let path = url.strip_prefix(&service.url).unwrap();
        assert_eq!(service.send("GET", &format!("{path}x"), "x", "").0, 401);
    }
    let with_token = format!("/v1/keys/skm?token={SECRET}");
    for body in [r#"{"contentId":"movies/skm"}"#, r#"{"contentId":"#] {
        service.send_as("POST", &with_token, None, body);
    }
    for wrong in ["a-wrong-secret", ""] {
        assert_eq!(service.send("GET", &key_path("movies/new"), wrong, "").0, 401);
    }
    let rotated = installation.succeed(&["packager", "rotate-secret", "encoder"]);
    secrets.push(("new secret", rotated["secret"].as_str().unwrap().as_bytes().to_vec()));
    let listed = installation.succeed(&["packager", "list"]);
    installation.write("said", listed.to_string().as_bytes());
    service.terminate();
    let log = installation.log();
    assert!(log.contains("keys issued") && log.contains("TRACE"), "the log is at its most verbose");
    for (name, secret) in &secrets {
        assert_eq!(search(folder, secret), Vec::<String>::new(), "{name}");
    }
    assert_eq!(secrets.len(), 8);
}

/// The names of core files in the folder.
fn cores(folder: &Path) -> Vec<PathBuf> {
    let is_core = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("core");
    files(folder).into_iter().filter(is_core).collect()
}

/// Runs a program in `folder` with every limit on core files lifted, and aborts it once it has said a line.
fn abort(folder: &Path, program: &str) {
    let script = format!("ulimit -c unlimited; cd '{}' && exec {program}", folder.display());
    let mut child =
        Command::new("bash").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-ABRT", &pid]).status().unwrap().success());
    assert!(!child.wait().unwrap().success());
}

#[test]
fn an_aborted_service_leaves_no_core_file() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let installation = Installation::new();
    let folder = installation.data.path();
    abort(folder, &format!("{REELKEY} serve --data . --listen 127.0.0.1:0 2>/dev/null"));
    assert_eq!(cores(folder), Vec::<PathBuf>::new());
    // Where the system writes core files into the folder at all, another program leaves one.
    if !pattern.starts_with(['|', '/']) {
        let other = tempfile::tempdir().unwrap();
        abort(other.path(), "python3 -c 'import time; print(flush=True); time.sleep(60)'");
        assert!(!cores(other.path()).is_empty(), "core_pattern is {pattern:?}");
    }
}
