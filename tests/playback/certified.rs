//! Devices with a certificate: the page about them is followed, and then the device that it makes asks a running service.

use std::fs;
use std::path::Path;
use std::process::Command;

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::jwks::Jwks;
use reelkey_client::exchange::renew::Renew;
use serde_json::Value;

use crate::film::{CONTENT, ask, now};
use crate::installation::{Installation, Service};

/// OpenSSL's answer, in DER.
fn der(folder: &Path, words: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(words).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Runs the page's commands that begin with `openssl` and what they need. The service's own are the test's.
fn make(folder: &Path, section: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/certified-devices.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(section).unwrap();
    let section = section.split("\n## ").next().unwrap();
    for command in section.lines().filter_map(|line| line.strip_prefix("$ ")) {
        if command.starts_with("reelkey") {
            continue;
        }
        let output =
            Command::new("bash").args(["-c", command]).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
}

struct Tv {
    key: DeviceKey,
    chain: [Vec<u8>; 2],
}

impl Tv {
    fn ask(&self, service: &Service, token: &str) -> (u16, Value) {
        let draft = ask(token).draft(&self.key.public_key(), None, &mut SystemRng).unwrap();
        let (body, pending) = draft.with_certificates(&self.chain).sign(&self.key);
        let (status, answer) = service.send("POST", "/v1/license", token, &body);
        if status != 200 {
            return (status, serde_json::from_str::<Value>(&answer).unwrap()["reason"].clone());
        }
        let (_, jwks) = service.send("GET", "/.well-known/jwks.json", "", "");
        let jwks = Jwks::parse(jwks.as_bytes()).unwrap();
        let license = pending.open(answer.as_bytes(), &jwks).unwrap();
        assert!(!license.keys.is_empty());
        let (token, first_play, end_session) = (token, None, None);
        let renew = Renew { license: &license.claims, token, first_play, end_session, iat: now() };
        let draft = renew.draft(&self.key.public_key(), &mut SystemRng).unwrap();
        let (body, pending) = draft.with_certificates(&self.chain).sign(&self.key);
        let (status, answer) = service.send("POST", "/v1/license", token, &body);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(pending.open(answer.as_bytes(), &jwks).unwrap().claims.counter, 1);
        (200, license.claims.tracks.len().into())
    }
}

/// A title under a policy that wants a certificate.
fn provide(installation: &Installation) {
    let policy = "can_play = true\ncan_renew = true\nrenewal_delay = \"4m\"\nlicense_duration = \"10m\"\n[device]\n\
        registration = \"certified\"\n[track.UHD1]\nsecurity_level = \"HW_SECURE_DECODE\"\n";
    installation.write("policies/certified.toml", policy.as_bytes());
    let checked = installation.succeed(&["policy", "check"]);
    let warned = checked["warnings"].as_array().unwrap().iter();
    assert!(warned.clone().any(|one| one["field"] == "device.registration"), "{checked}");
    installation.succeed(&["content", "add", CONTENT, "--policy", "certified"]);
    for track in ["SD", "UHD1"] {
        installation.succeed(&["key", "generate", CONTENT, "--track", track]);
    }
}

/// `policy explain` judges the chain of the page as the service does.
fn explains(installation: &Installation, token: &str) {
    let data = installation.data.path();
    let whole = data.join("acme/tv-1.chain.pem");
    let pem = ["acme/tv-1.pem", "acme/devices.pem"].map(|file| fs::read(data.join(file)).unwrap());
    fs::write(&whole, pem.concat()).unwrap();
    let token_file = installation.write("token", token.as_bytes());
    let token_file = format!("@{}", token_file.display());
    let explain = ["policy", "explain", "--token", &token_file];
    let chain = ["--certificate", whole.to_str().unwrap()];
    let explained = installation.succeed(&[&explain[..], &chain].concat());
    assert_eq!(explained["tracks"], serde_json::json!(["SD", "UHD1"]));
    let refused = installation.run(&[&explain[..], &["--json"]].concat());
    let refused = String::from_utf8(refused.stdout).unwrap();
    assert!(
        refused.contains("device.certificate") && refused.contains("no certificate"),
        "{refused}"
    );
}

#[test]
fn a_tv_with_a_certificate_gets_what_its_maker_vouches_for() {
    let installation = Installation::new();
    let data = installation.data.path();
    provide(&installation);
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();

    make(data, "## A device CA of your own");
    let key =
        der(data, &["pkcs8", "-topk8", "-nocrypt", "-in", "acme/tv-1.key", "-outform", "DER"]);
    let certificate = |name| der(data, &["x509", "-in", name, "-outform", "DER"]);
    let tv = Tv {
        key: DeviceKey::from_pkcs8_der(&key).unwrap(),
        chain: [certificate("acme/tv-1.pem"), certificate("acme/devices.pem")],
    };
    assert_eq!(tv.ask(&service, &token), (403, "device-not-enrolled".into()), "no CA is trusted");

    let root = data.join("acme/root.pem");
    let root = root.to_str().unwrap();
    let add = |level| {
        let words =
            ["device", "ca", "add", "acme", "--certificate", root, "--security-level", level];
        words.map(str::to_owned)
    };
    let run = |words: &[String]| {
        installation.succeed(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(run(&add("HW_SECURE_CRYPTO"))["created"], true);
    assert_eq!(run(&add("HW_SECURE_CRYPTO"))["created"], false);
    let other: Vec<_> = add("HW_SECURE_ALL").into();
    let other: Vec<_> = other.iter().map(String::as_str).collect();
    assert!(installation.fail(&other).contains("other values"));
    assert_eq!(tv.ask(&service, &token), (200, 1.into()), "the level is too low for UHD1");
    let stronger = ["device", "ca", "update", "acme", "--security-level", "HW_SECURE_ALL"];
    assert_eq!(installation.succeed(&stronger)["changed"], true);
    assert_eq!(tv.ask(&service, &token), (200, 2.into()));
    assert_eq!(installation.succeed(&["policy", "check"])["warnings"], serde_json::json!([]));
    let doctor = installation.run(&["doctor", "--json"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("acme vouches for HW_SECURE_ALL"));

    explains(&installation, &token);

    // By the hash of the CA between: of the page, and as the list of this command shows that of the root.
    make(data, "## Taking trust back");
    let hash = fs::read_to_string(data.join("acme/devices.hash")).unwrap();
    let listed = installation.succeed(&["device", "ca", "list"]);
    let of_root = listed["cas"][0]["certificates"][0]["key"].as_str().unwrap();
    for hash in [hash.trim(), of_root] {
        installation.succeed(&["device", "ca", "revoke", hash]);
        assert_eq!(tv.ask(&service, &token), (403, "device-not-enrolled".into()));
        assert_eq!(installation.succeed(&["device", "ca", "restore", hash])["changed"], true);
        assert_eq!(installation.succeed(&["device", "ca", "restore", hash])["changed"], false);
        assert_eq!(tv.ask(&service, &token).0, 200);
    }
    let list = data.join("acme/devices.crl");
    let update = ["device", "ca", "update", "acme", "--crl", list.to_str().unwrap()];
    assert_eq!(installation.succeed(&update)["revocation_lists"], 1);
    assert_eq!(tv.ask(&service, &token), (403, "device-not-enrolled".into()), "it is on the list");
    assert_eq!(installation.succeed(&["device", "ca", "remove", "acme"])["changed"], true);
    assert_eq!(installation.succeed(&["device", "ca", "remove", "acme"])["changed"], false);
    assert_eq!(fs::read_dir(data.join("keys/device-ca")).unwrap().count(), 0);
    service.terminate();
}

#[test]
fn what_is_no_ca_changes_nothing() {
    let installation = Installation::new();
    let before = fs::read_to_string(installation.data.path().join("reelkey.toml")).unwrap();
    let junk = installation.write("junk.pem", b"no certificate");
    let own = rcgen::generate_simple_self_signed(["device".to_owned()]).unwrap().cert;
    let leaf = installation.write("leaf.pem", own.pem().as_bytes());
    for (file, why) in [(&junk, "no certificate in the file"), (&leaf, "not a CA's certificate")] {
        let file = file.to_str().unwrap();
        let words =
            ["device", "ca", "add", "x", "--certificate", file, "--android-key-attestation"];
        let said = installation.fail(&words);
        assert!(said.contains(why), "{said}");
    }
    for name in ["", "../x", "a/b", "a.b", "\u{e9}"] {
        let file = leaf.to_str().unwrap();
        let words =
            ["device", "ca", "add", name, "--certificate", file, "--android-key-attestation"];
        assert_eq!(installation.run(&words).status.code(), Some(2), "{name}");
    }
    assert!(
        installation.fail(&["device", "ca", "update", "x", "--crl", "-"]).contains("no device CA")
    );
    let after = fs::read_to_string(installation.data.path().join("reelkey.toml")).unwrap();
    assert_eq!(after, before);
    // By hand: a table without its file, and a word that is no level.
    installation.configure("[device_ca]\nacme = \"HW_SECURE_ALL\"\n");
    let said = installation.fail(&["reload"]);
    assert!(!said.is_empty());
    let said = installation.fail(&["device", "ca", "list"]);
    assert!(said.contains("acme.pem") && said.contains("put the CA's certificate there"), "{said}");
    let named = fs::read_to_string(installation.data.path().join("reelkey.toml")).unwrap();
    installation.write(
        "reelkey.toml",
        named.replace("\nacme = \"HW_SECURE_ALL\"", "\nacme = \"HARD\"").as_bytes(),
    );
    let said = installation.fail(&["device", "ca", "list"]);
    assert!(said.contains("HW_SECURE_ALL, ANDROID_KEY_ATTESTATION"), "{said}");
}
