//! Issuers whose keys are fetched: what the address answers never stops a license, and nothing bad replaces good keys.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use reelkey::crypto::tls::Identity;
use reelkey_client::exchange::device::DeviceKey;
use serde_json::{Value, json};

use crate::film::{CONTENT, device, now, obtain, provisioned, send};
use crate::installation::{Installation, Service};
use crate::key_server::{Answer, KeyServer, jwk, jwks, token};

const ISS: &str = "https://fetched.example";

/// An installation that trusts an issuer by the address of its keys, which are good now.
fn trusting() -> (Installation, KeyServer, DeviceKey) {
    let (installation, _) = provisioned();
    let signer = device();
    let server = KeyServer::start(jwks(&[("a", &signer)]));
    let url = server.jwks_url();
    installation.succeed(&["issuer", "add", ISS, "--jwks-url", &url, "--content", "movies/*"]);
    (installation, server, signer)
}

/// The file with the fetched keys.
fn kept(data: &Path) -> PathBuf {
    kept_if_there(data).unwrap()
}

fn kept_if_there(data: &Path) -> Option<PathBuf> {
    let entries =
        fs::read_dir(data.join("keys/issuers")).unwrap().map(|entry| entry.unwrap().path());
    let mut kept = entries.filter(|path| path.to_string_lossy().ends_with(".fetched.json"));
    kept.next()
}

/// Dates the fetched keys back, while no service runs.
pub(crate) fn age(installation: &Installation, secs: u64, fresh_secs: u64) {
    let path = kept(installation.data.path());
    let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    document["fetched_at"] = (now().as_secs() - secs).into();
    document["fresh_secs"] = fresh_secs.into();
    fs::write(path, document.to_string()).unwrap();
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(10));
    }
}

fn logged(installation: &Installation, text: &str) -> bool {
    installation.log().lines().any(|line| line.contains(text))
}

fn reason(service: &Service, token: &str) -> (u16, String) {
    let (status, answer, _) = send(service, token);
    let problem: Value = serde_json::from_str(&answer).unwrap();
    (status, problem["reason"].as_str().unwrap().to_owned())
}

fn finding(installation: &Installation) -> (String, String) {
    let findings = installation.succeed(&["doctor"]);
    let mut findings = findings.as_array().unwrap().iter();
    let found = findings.find(|finding| finding["part"] == "issuer keys").unwrap();
    let text = |name: &str| found[name].as_str().unwrap().to_owned();
    (text("verdict"), text("text"))
}

#[test]
fn licenses_go_on_whatever_the_address_answers() {
    let (installation, server, signer) = trusting();
    let own = installation.mint(&["--content", CONTENT, "--issuer", "https://auth.example"]);
    for (fault, why) in [
        (Answer::Silent, "no whole answer within 5 s"),
        (Answer::Trickle, "no whole answer within 5 s"),
        (Answer::Redirect, "a redirect (302)"),
        (Answer::Status(500), "status 500"),
        (Answer::Long(10_000_000), "longer than 262144 bytes"),
        (Answer::HangUp, "the answer broke off"),
        (Answer::Document("<html>hello</html>".into()), "not a JWK Set"),
        (Answer::Document("{\"keys\":[]}".into()), "no P-256"),
    ] {
        age(&installation, 700, 600);
        let before = fs::read(kept(installation.data.path())).unwrap();
        server.set(fault.clone());
        let asked = server.asked();
        let service = installation.serve();
        wait_until(|| server.asked() > asked);
        // While the fetch is under way or has just failed: with the keys from before, and of another issuer.
        obtain(&service, &token(ISS, "a", &signer));
        obtain(&service, &own);
        assert_eq!(reason(&service, &token(ISS, "b", &device())), (403, "token-invalid".into()));
        wait_until(|| logged(&installation, "keys cannot be fetched; the last ones serve"));
        assert!(logged(&installation, why), "{fault:?}: {}", installation.log());
        obtain(&service, &token(ISS, "a", &signer));
        let (verdict, text) = finding(&installation);
        assert!(verdict == "warning" && text.contains(why), "{text}");
        assert_eq!(fs::read(kept(installation.data.path())).unwrap(), before, "{fault:?}");
        service.terminate();
    }
}

#[test]
fn keys_that_are_too_old_refuse_by_name_until_others_come() {
    let (installation, server, signer) = trusting();
    age(&installation, 600 + 86_400, 600);
    server.set(Answer::Silent);
    let service = installation.serve();
    let own = installation.mint(&["--content", CONTENT, "--issuer", "https://auth.example"]);
    obtain(&service, &own);
    assert_eq!(reason(&service, &token(ISS, "a", &signer)), (503, "unavailable".into()));
    wait_until(|| {
        logged(&installation, "keys cannot be fetched; this issuer's tokens are refused")
    });
    wait_until(|| logged(&installation, "are too old now"));
    let (verdict, text) = finding(&installation);
    assert!(verdict == "warning" && text.contains("too old"), "{text}");
    service.terminate();
    // With a longer patience they serve.
    installation.succeed(&["issuer", "update", ISS, "--keep-keys-for", "7d"]);
    let service = installation.serve();
    obtain(&service, &token(ISS, "a", &signer));
    service.terminate();
    // Other keys come.
    age(&installation, 30 * 86_400, 600);
    server.set(jwks(&[("b", &signer)]));
    let service = installation.serve();
    wait_until(|| logged(&installation, "this issuer has other keys now"));
    obtain(&service, &token(ISS, "b", &signer));
    assert_eq!(finding(&installation).0, "ok");
    service.terminate();
}

#[test]
fn a_service_starts_without_keys_and_takes_them_when_they_come() {
    let (installation, server, signer) = trusting();
    fs::remove_file(kept(installation.data.path())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/jwks", listener.local_addr().unwrap());
    drop(listener);
    let path = installation.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&server.jwks_url(), &nobody)).unwrap();
    let service = installation.serve();
    wait_until(|| logged(&installation, "refused until its keys are fetched"));
    assert_eq!(reason(&service, &token(ISS, "a", &signer)), (503, "unavailable".into()));
    wait_until(|| logged(&installation, "the connection to 127.0.0.1 failed"));
    // The operator names the right address, and it is asked at once.
    fs::write(&path, text).unwrap();
    installation.succeed(&["reload"]);
    wait_until(|| send(&service, &token(ISS, "a", &signer)).0 == 200);
    // They are in force before they are kept.
    wait_until(|| kept_if_there(installation.data.path()).is_some());
    // Keys that were fetched outlive a reload, also where they could not be kept.
    fs::remove_file(kept(installation.data.path())).unwrap();
    server.set(Answer::Silent);
    installation.succeed(&["reload"]);
    obtain(&service, &token(ISS, "a", &signer));
    service.terminate();
}

#[test]
fn a_new_key_is_fetched_when_a_token_names_it_and_not_for_every_token() {
    let (installation, server, signer) = trusting();
    age(&installation, 100, 3600);
    let service = installation.serve();
    let next = device();
    obtain(&service, &token(ISS, "a", &signer));
    server.set(jwks(&[("a", &signer), ("next", &next)]));
    let begun = now();
    assert_eq!(reason(&service, &token(ISS, "next", &next)), (403, "token-invalid".into()));
    wait_until(|| send(&service, &token(ISS, "next", &next)).0 == 200);
    obtain(&service, &token(ISS, "a", &signer));
    // A server whose keys change all the time, and a crowd with names that nobody has.
    server.set(Answer::Rotating(vec![jwk("a", &signer)]));
    let asked = server.asked();
    for number in 0..50 {
        let stranger = token(ISS, &format!("k{number}"), &device());
        assert_eq!(reason(&service, &stranger), (403, "token-invalid".into()));
        obtain(&service, &token(ISS, "a", &signer));
    }
    let most = usize::try_from((now().as_secs() - begun.as_secs()) / 30).unwrap();
    assert!(server.asked() - asked <= most, "at most one attempt in 30 s");
    service.terminate();
}

#[test]
fn issuer_add_refuses_what_the_service_could_not_use() {
    let (installation, _) = provisioned();
    let signer = device();
    let server = KeyServer::start(jwks(&[("a", &signer)]));
    let url = server.jwks_url();
    let config = fs::read_to_string(installation.data.path().join("reelkey.toml")).unwrap();
    let add = |url: &str, more: &[&str]| {
        let words = ["issuer", "add", ISS, "--jwks-url", url, "--content", "movies/*"];
        installation.fail(&[&words, more].concat())
    };
    assert!(add(&url, &["--alg", "RS256"]).contains("its keys are for ES256"));
    for (answer, why) in [
        (Answer::Redirect, "a redirect"),
        (Answer::Status(404), "status 404"),
        (Answer::Long(300_000), "longer than"),
        (Answer::Document("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}".into()), "private"),
        (Answer::HangUp, "broke off"),
    ] {
        server.set(answer);
        let said = add(&url, &[]);
        assert!(said.contains(why), "{said}");
    }
    let output = installation.run(&[
        "issuer",
        "add",
        ISS,
        "--jwks-url",
        "http://192.0.2.1/jwks",
        "--content",
        "*",
    ]);
    assert_eq!(output.status.code(), Some(2), "plain HTTP is for this machine alone");
    let unchanged = fs::read_to_string(installation.data.path().join("reelkey.toml")).unwrap();
    assert_eq!(unchanged, config);
    let left = fs::read_dir(installation.data.path().join("keys/issuers")).unwrap().count();
    assert_eq!(left, 1, "only the file of the issuer that is there");
}

#[test]
fn a_server_is_believed_by_its_certificate_and_its_name() {
    let (installation, _) = provisioned();
    let made = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let serve = |made: &rcgen::CertifiedKey<rcgen::KeyPair>, answer| {
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        KeyServer::start_tls(answer, identity.config)
    };
    let signer = device();
    let (right, wrong) = (made("127.0.0.1"), made("other.example"));
    let ca = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        installation.write("ca.pem", made.cert.pem().as_bytes()).display().to_string()
    };
    let server = serve(&right, jwks(&[("a", &signer)]));
    let words = ["issuer", "add", ISS, "--jwks-url", &server.jwks_url(), "--content", "movies/*"];
    let (mut unknown, file) = (installation.command(&words), ca(&right));
    let said = unknown.env("SSL_CERT_FILE", ca(&wrong)).output().unwrap();
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("TLS with 127.0.0.1 failed"),
        "{said:?}"
    );
    let other = serve(&wrong, jwks(&[("a", &signer)]));
    let words_other =
        ["issuer", "add", ISS, "--jwks-url", &other.jwks_url(), "--content", "movies/*"];
    let said = installation.fail(&[&words_other[..], &["--ca", &ca(&wrong)]].concat());
    assert!(said.contains("TLS with 127.0.0.1 failed"), "{said}");

    fs::write(&file, right.cert.pem()).unwrap();
    let added = installation.succeed(&[&words[..], &["--ca", &file]].concat());
    fs::remove_file(&file).unwrap();
    let copy = installation.data.path().join(added["ca"].as_str().unwrap());
    assert_eq!(fs::read_to_string(&copy).unwrap(), right.cert.pem());
    age(&installation, 700, 600);
    let service = installation.serve();
    wait_until(|| server.asked() > 2 && finding(&installation).0 == "ok");
    obtain(&service, &token(ISS, "a", &signer));
    let listed = installation.succeed(&["issuer", "list"]);
    assert_eq!(listed[1]["jwks_url"], json!(server.jwks_url()));
    // What was kept for it goes with it.
    installation.succeed(&["issuer", "remove", ISS]);
    assert_eq!(reason(&service, &token(ISS, "a", &signer)), (403, "token-invalid".into()));
    assert!(!copy.exists());
    let left = fs::read_dir(installation.data.path().join("keys/issuers")).unwrap().count();
    assert_eq!(left, 1);
    service.terminate();
}
