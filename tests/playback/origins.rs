//! Packagers and the service as processes: kills during first asks, client certificates, and a listener of their own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use reelkey::crypto::random;

use crate::installation::{Installation, Service, rounds, thoroughly};
use crate::killpoints::{Library, opened, read_count};

pub(crate) const SECRET: &str = "a-secret-of-an-encoder";

/// A folder with a packager that may do everything.
pub(crate) fn with_encoder(more: &[&str]) -> Installation {
    let installation = Installation::new();
    add_encoder(&installation, more);
    installation
}

pub(crate) fn add_encoder(installation: &Installation, more: &[&str]) {
    let secret = installation.write("encoder.secret", SECRET.as_bytes());
    let words = ["packager", "add", "encoder", "--content", "movies/*", "--allow", "issue,read"];
    let file = ["--policy", "default", "--secret-file", secret.to_str().unwrap()];
    installation.succeed(&[&words[..], &file, more].concat());
}

/// The path of the key of a content.
pub(crate) fn key_path(content: &str) -> String {
    format!("/v1/keys/ffmpeg/{content}/HD.key")
}

/// Asks as the packager does: status and body. `None` where the service has gone.
pub(crate) fn get(url: &str, path: &str) -> Option<(u16, Vec<u8>)> {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
    )
    .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let status = std::str::from_utf8(&answer[9..12]).ok()?.parse().ok()?;
    Some((status, answer[end + 4..].to_vec()))
}

/// Encoders that ask for the keys of titles that nobody knows yet, and remember what they were answered.
#[derive(Default)]
pub(crate) struct Encoders {
    answered: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Encoders {
    /// Asks for new keys from all sides until `enough` were answered, or nobody answers any more.
    pub(crate) fn ask(&self, url: &str, round: usize, enough: usize) {
        let begun = self.count();
        thread::scope(|scope| {
            for encoder in 0..8 {
                scope.spawn(move || {
                    for nth in 0.. {
                        // Random keys and derived ones.
                        let period = ["", "?crypto_period_seconds=100000000"][nth % 2];
                        let path = key_path(&format!("movies/{round}/{encoder}/{nth}")) + period;
                        match get(url, &path) {
                            // The rest of an answer may be cut off: it counts when it is whole.
                            Some((200, key)) if key.len() == 16 => {
                                self.answered.lock().unwrap().insert(path, key);
                            }
                            Some((status, _)) if status != 200 => panic!("{path}: {status}"),
                            _ => return,
                        }
                        if self.count() - begun >= enough {
                            return;
                        }
                    }
                });
            }
        });
    }

    /// Holds a service to what was answered before.
    pub(crate) fn hold(&self, service: &Service) {
        for (path, key) in self.answered.lock().unwrap().iter() {
            assert_eq!(get(&service.url, path), Some((200, key.clone())), "{path}");
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.answered.lock().unwrap().len()
    }
}

#[test]
fn a_key_that_was_answered_is_there_after_a_kill() {
    let installation = with_encoder(&[]);
    let (encoders, mut kills) = (Encoders::default(), 0);
    for round in rounds(5, 60) {
        let service = installation.serve();
        thread::scope(|scope| {
            let (url, encoders) = (service.url.clone(), &encoders);
            let asking = scope.spawn(move || encoders.ask(&url, round, usize::MAX));
            let [pause] = random::bytes::<1>().unwrap();
            thread::sleep(Duration::from_millis(20 + 2 * u64::from(pause)));
            // Killed, not ended.
            drop(service);
            asking.join().unwrap();
        });
        kills += 1;
        encoders.hold(&installation.serve());
    }
    println!("{} keys that were answered survived {kills} kills", encoders.count());
    assert!(encoders.count() > kills);
}

/// Killed before each call by which a first ask changes the disk.
#[test]
fn the_service_may_be_killed_before_any_write_of_a_first_ask() {
    let library = Library::build();
    let base = with_encoder(&[]);
    let count = base.data.path().join("count");
    let path = key_path("movies/new");
    let copy = Installation::copy_of(base.data.path());
    let service = library.serve(&copy, 0, &count);
    assert_eq!(get(&service.url, &path).unwrap().0, 200);
    service.terminate();
    let points = read_count(&count);
    println!("{points:4} points of a first ask");
    assert!(points > 1);
    for at in (1..=points).step_by(thoroughly(3, 1)) {
        let copy = Installation::copy_of(base.data.path());
        let service = library.serve(&copy, at, Path::new("/dev/null"));
        let answered = get(&service.url, &path).filter(|(status, _)| *status == 200);
        drop(service);
        let kids = opened(copy.data.path());
        assert!(answered.is_none() || kids.len() == 1, "at {at}: {kids:?}");
        let service = copy.serve();
        let again = get(&service.url, &path).unwrap();
        assert_eq!((again.0, again.1.len()), (200, 16));
        assert!(answered.is_none_or(|answered| answered == again), "at {at}: another key");
    }
}

/// A CA, and how it signs.
struct Ca {
    pem: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new(installation: &Installation, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        let pem = installation.write(&format!("{name}.pem"), pem.as_bytes());
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// The files of a client's certificate and key.
    fn client(&self, installation: &Installation, name: &str) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let certificate = installation.write(&format!("{name}.crt"), certificate.as_bytes());
        [certificate, installation.write(&format!("{name}.key"), key.serialize_pem().as_bytes())]
    }
}

/// curl, which believes the service's own certificate alone.
fn curl(service: &Path, words: &[&str], client: Option<&[PathBuf; 2]>) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--verbose", "--write-out", "\n%{http_code}", "--cacert"]).arg(service);
    if let Some([certificate, key]) = client {
        curl.arg("--cert").arg(certificate).arg("--key").arg(key);
    }
    curl.args(words).output().unwrap()
}

/// The status of an answer, and whether the service asked for a certificate.
fn told(output: &Output) -> (u16, bool) {
    let said = String::from_utf8_lossy(&output.stderr);
    let status = output.stdout.rsplit(|byte| *byte == b'\n').next().unwrap();
    let status = std::str::from_utf8(status).unwrap().parse().unwrap();
    (status, said.contains("Request CERT"))
}

#[test]
fn a_client_certificate_stands_for_the_secret() {
    let installation = Installation::new();
    let identity = installation.identify();
    let [ours, other] = ["ours", "other"].map(|name| Ca::new(&installation, name));
    let own = ours.client(&installation, "encoder");
    let foreign = other.client(&installation, "foreign");
    let service = installation.serve();
    let key = format!("{}{}", service.url, key_path("movies/new"));
    let health = format!("{}/healthz", service.url);
    // Nobody is asked as long as no packager has a CA.
    assert_eq!(told(&curl(&identity, &[&health], None)), (200, false));
    assert_eq!(told(&curl(&identity, &[&key], Some(&own))), (401, false));
    add_encoder(&installation, &["--client-ca", ours.pem.to_str().unwrap()]);

    let first = curl(&identity, &[&key], Some(&own));
    assert_eq!(told(&first), (200, true), "{first:?}");
    let with_secret = format!("encoder:{SECRET}");
    let basic = ["--user", &with_secret, &key];
    for (client, words, status) in [
        (Some(&own), &[&*key][..], 200),
        // TLS 1.2 too.
        (Some(&own), &["--tls-max", "1.2", &key], 200),
        (Some(&own), &["--http1.1", &key], 200),
        (Some(&foreign), &[&key], 401),
        (None, &[&key], 401),
        (None, &basic, 200),
        // What is shown and wrong counts, whatever the certificate.
        (Some(&foreign), &basic, 200),
        (Some(&own), &["--user", "encoder:wrong-secret", &key], 401),
    ] {
        let output = curl(&identity, words, client);
        assert_eq!(told(&output).0, status, "{words:?} {client:?}: {output:?}");
        if status == 200 {
            assert_eq!(output.stdout[..16], first.stdout[..16], "one key");
        }
    }
    // Players on the same listener are asked, and need none.
    assert_eq!(told(&curl(&identity, &[&health], None)), (200, true));
    let token = installation.mint(&["--content", "movies/new"]);
    let license = format!("{}/v1/license", service.url);
    let bearer = format!("Authorization: Bearer {token}");
    let refused = curl(&identity, &["--header", &bearer, "--data", "x", &license], None);
    assert_eq!(told(&refused).0, 400, "judged by what it says: {refused:?}");

    installation.succeed(&["packager", "remove", "encoder", "--yes"]);
    assert_eq!(told(&curl(&identity, &[&key], Some(&own))), (401, false));
    service.terminate();
}

#[test]
fn packagers_may_have_a_listener_of_their_own() {
    let installation = Installation::new();
    let identity = installation.identify();
    let ca = Ca::new(&installation, "ours");
    let own = ca.client(&installation, "encoder");
    add_encoder(&installation, &["--client-ca", ca.pem.to_str().unwrap()]);
    installation.configure("[keys]\nlisten = \"127.0.0.1:0\"\n");
    let service = installation.serve();
    let keys = service.keys_url.as_ref().unwrap().strip_suffix("/v1/keys/").unwrap().to_owned();
    assert_ne!(keys, service.url);
    let ask =
        |base: &str, path: &str| told(&curl(&identity, &[&format!("{base}{path}")], Some(&own)));
    let key = key_path("movies/new");
    assert_eq!(ask(&keys, &key), (200, true));
    assert_eq!(ask(&service.url, &key), (404, false));
    for path in ["/.well-known/jwks.json", "/reelkey.js"] {
        assert_eq!(ask(&service.url, path), (200, false), "{path}");
        assert_eq!(ask(&keys, path), (404, true), "{path}");
    }
    for path in ["/v1/license", "/v1/clearkey"] {
        assert_eq!(ask(&service.url, path).0, 405, "{path}");
        assert_eq!(ask(&keys, path).0, 404, "{path}");
    }
    for base in [&keys, &service.url] {
        assert_eq!((ask(base, "/healthz").0, ask(base, "/readyz").0), (200, 200));
    }
    // The key info names the listener that was asked.
    let info = format!("{keys}{}", key.replace(".key", ".keyinfo"));
    let info = String::from_utf8(curl(&identity, &[&info], Some(&own)).stdout).unwrap();
    let url = info.lines().nth(1).unwrap();
    assert!(url.starts_with(&format!("{keys}/v1/keys/ffmpeg/movies/new/HD.key?")), "{info}");
    let fetched = curl(&identity, &[url], None);
    assert_eq!((told(&fetched).0, fetched.stdout.len()), (200, 16 + 4));
    service.terminate();

    // Without TLS it is for this machine alone, as the other one is.
    let toml = installation.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let (before, _) = text.split_once("\n[tls]\n").unwrap();
    fs::write(&toml, format!("{before}\n[keys]\nlisten = \"0.0.0.0:0\"\n")).unwrap();
    let said = installation.fail(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("0.0.0.0:0 is not a loopback address"), "{said}");
}

#[test]
fn doctor_finds_secrets_in_the_clear_and_folders_of_keys_that_nobody_can_play_from() {
    let installation = with_encoder(&[]);
    let found = |part: &str| -> Vec<(String, String)> {
        let said = installation.run(&["doctor", "--json"]).stdout;
        let findings: serde_json::Value = serde_json::from_slice(&said).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let findings = findings.as_array().unwrap().iter();
        let findings = findings.filter(|finding| finding["part"] == part);
        findings.map(|finding| (text(&finding["verdict"]), text(&finding["text"]))).collect()
    };
    let one = |part: &str| {
        let all = found(part);
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    };
    let (verdict, text) = one("packagers");
    assert!(verdict == "ok" && text == "encoder; they ask at 127.0.0.1:7420", "{verdict} {text}");
    assert!(found("key directory").is_empty());

    let toml = installation.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let configure = |head: &str, tables: &str| {
        fs::write(&toml, format!("{head}\n{text}\n{tables}")).unwrap();
    };
    configure("", "[keys]\nlisten = \"0.0.0.0:7430\"\n");
    let (verdict, text) = one("packagers");
    assert!(verdict == "error" && text.contains("0.0.0.0:7430 without TLS"), "{verdict} {text}");
    configure("tls_terminated_by_proxy = true", "[keys]\nlisten = \"0.0.0.0:7430\"\n");
    let (verdict, text) = one("packagers");
    assert!(verdict == "warning" && text.starts_with("encoder: "), "{verdict} {text}");

    configure("", "[[keys.directory]]\npath = \"origin\"\ncontent = \"movies/cam1\"\n");
    let (verdict, text) = one("key directory");
    assert!(verdict == "error" && text.contains("make the folder"), "{verdict} {text}");
    fs::create_dir(installation.data.path().join("origin")).unwrap();
    let (verdict, text) = one("key directory");
    assert!(verdict == "error" && text.contains("no content movies/cam1"), "{verdict} {text}");
    installation.succeed(&["content", "add", "movies/cam1", "--policy", "default"]);
    let (verdict, text) = one("key directory");
    assert!(verdict == "error" && text.contains("allow_hls_aes128"), "{verdict} {text}");
    let policy = b"can_play = true\nlicense_duration = \"10m\"\nallow_hls_aes128 = true\n";
    installation.write("policies/default.toml", policy);
    let (verdict, text) = one("key directory");
    assert!(
        verdict == "ok" && text.ends_with("origin: the keys of movies/cam1"),
        "{verdict} {text}"
    );
}
