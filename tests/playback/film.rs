//! From a clear film through a real packager and a real license back to the same film.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use reelkey::crypto::random::{self, SystemRng};
use reelkey_client::cenc::{Init, Keys, decrypt_file};
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::jwks::Jwks;
use reelkey_client::exchange::pending::{License, Pending};
use reelkey_client::exchange::request::SessionType;
use reelkey_client::time::UnixTime;

use crate::installation::{Installation, Service, tool};

pub(crate) const CONTENT: &str = "movies/bunny";

/// A random key and its KID, in hexadecimal digits.
pub(crate) struct FilmKey {
    pub(crate) label: &'static str,
    pub(crate) kid: String,
    pub(crate) key: String,
}

impl FilmKey {
    fn new(label: &'static str) -> Self {
        let hex = || random::bytes::<16>().unwrap().map(|byte| format!("{byte:02x}")).concat();
        Self { label, kid: hex(), key: hex() }
    }
}

/// A folder whose title has a key for each track.
pub(crate) fn provisioned() -> (Installation, [FilmKey; 2]) {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    let keys = [FilmKey::new("SD"), FilmKey::new("AUDIO")];
    for FilmKey { label, kid, key } in &keys {
        installation.import(CONTENT, label, kid, key);
    }
    (installation, keys)
}

pub(crate) fn clear(track: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/cli/demo/clip/clear/{track}.mp4"))
}

/// Encrypts the clear clip with Shaka Packager.
fn package(folder: &Path, scheme: &str, keys: &[FilmKey]) -> [(&'static str, PathBuf); 2] {
    let keys: Vec<_> = keys
        .iter()
        .map(|FilmKey { label, kid, key }| format!("label={label}:key_id={kid}:key={key}"))
        .collect();
    let outputs =
        ["video", "audio"].map(|track| (track, folder.join(format!("{scheme}-{track}.mp4"))));
    let mut packager = Command::new(tool("bin/packager"));
    packager.args(["--quiet", "--enable_raw_key_encryption", "--clear_lead", "0"]);
    packager.args(["--protection_scheme", scheme, "--keys", &keys.join(",")]);
    for (track, output) in &outputs {
        let (label, input) = (if *track == "video" { "SD" } else { "AUDIO" }, clear(track));
        let (input, output) = (input.display(), output.display());
        packager.arg(format!("in={input},stream={track},output={output},drm_label={label}"));
    }
    let packaged = packager.output().unwrap();
    assert!(packaged.status.success(), "{packaged:?}");
    outputs
}

/// Every sample's bytes, in order.
pub(crate) fn samples(film: &[u8]) -> Vec<Vec<u8>> {
    let plan = Init::parse(film).unwrap().plan(film).unwrap();
    plan.samples().map(|sample| film[sample.bytes].to_vec()).collect()
}

/// A new key.
pub(crate) fn device() -> DeviceKey {
    DeviceKey::generate(&mut SystemRng).unwrap()
}

/// Asks for the content with a new device, and returns status, answer and what opens it.
pub(crate) fn send(service: &Service, token: &str) -> (u16, String, Pending) {
    let device = device();
    let draft = ask(token).draft(&device.public_key(), None, &mut SystemRng).unwrap();
    let (body, pending) = draft.sign(&device);
    let (status, answer) = service.send("POST", "/v1/license", token, &body);
    (status, answer, pending)
}

/// Asks for the content, and returns the license as it came and what opens it.
pub(crate) fn ask_for(service: &Service, token: &str) -> (String, Pending) {
    let (status, answer, pending) = send(service, token);
    assert_eq!(status, 200, "{answer}");
    (answer, pending)
}

/// Asks for the content, which has to be refused, and returns the reason.
pub(crate) fn refusal(service: &Service, token: &str) -> String {
    let (status, answer, _) = send(service, token);
    assert_eq!(status, 403, "{answer}");
    let problem: serde_json::Value = serde_json::from_str(&answer).unwrap();
    problem["reason"].as_str().unwrap().to_owned()
}

pub(crate) fn obtain(service: &Service, token: &str) -> License {
    let (answer, pending) = ask_for(service, token);
    let (_, jwks) = service.send("GET", "/.well-known/jwks.json", "", "");
    pending.open(answer.as_bytes(), &Jwks::parse(jwks.as_bytes()).unwrap()).unwrap()
}

pub(crate) fn ask(token: &str) -> Ask<'_> {
    Ask {
        service_id: "reelkey",
        token,
        kids: &[],
        content_id: Some(CONTENT),
        session_type: SessionType::Temporary,
        iat: now(),
    }
}

pub(crate) fn now() -> UnixTime {
    #[expect(clippy::disallowed_methods, reason = "the service of these tests tells real time")]
    let now = std::time::SystemTime::now();
    UnixTime::from_secs(now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
}

#[test]
fn a_packaged_film_plays_byte_for_byte_under_every_scheme() {
    let (installation, keys) = provisioned();
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let license = obtain(&service, &token);
    assert_eq!(license.keys.len(), 2);
    let opened: Keys = license.keys.into_iter().collect();
    for scheme in ["cenc", "cbc1", "cens", "cbcs"] {
        for (track, path) in package(installation.data.path(), scheme, &keys) {
            let mut film = fs::read(&path).unwrap();
            let original = samples(&fs::read(clear(track)).unwrap());
            assert_ne!(samples(&film), original, "{scheme} {track} was not encrypted");
            decrypt_file(&opened, &mut film).unwrap();
            assert_eq!(samples(&film), original, "{scheme} {track}");
            plays(&installation, &film);
        }
    }
    service.terminate();
}

/// Whether ffmpeg, which knows nothing of the keys, decodes the film without a complaint.
fn plays(installation: &Installation, film: &[u8]) {
    let path = installation.write("clear.mp4", film);
    let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
    ffmpeg.args(["-v", "error", "-xerror", "-i"]).arg(path).args(["-f", "null", "-"]);
    let played = ffmpeg.output().unwrap();
    assert!(played.status.success() && played.stderr.is_empty(), "{played:?}");
}

#[test]
fn the_command_line_decrypts_with_known_keys() {
    let (installation, keys) = provisioned();
    let [(track, input), _] = package(installation.data.path(), "cenc", &keys);
    let (input, output) = (input.to_str().unwrap(), installation.data.path().join("out.mp4"));
    let pair = format!("{}:{}\n", keys[0].kid, keys[0].key);
    let file = format!("@{}", installation.write("pairs", pair.as_bytes()).display());
    let done = installation.succeed(&["decrypt", "--key", &file, input, output.to_str().unwrap()]);
    assert_eq!(done["samples"], 75);
    assert_eq!(samples(&fs::read(&output).unwrap()), samples(&fs::read(clear(track)).unwrap()));

    // The same through pipes.
    let mut piped = installation.command(&["decrypt", "--key", &file, "-", "-"]);
    let through = piped.stdin(fs::File::open(input).unwrap()).output().unwrap();
    assert!(through.status.success(), "{through:?}");
    assert!(through.stdout == fs::read(&output).unwrap(), "a pipe gives the same film");

    // The same by several jobs, and where it lies.
    let jobs = installation.data.path().join("jobs.mp4");
    installation.succeed(&[
        "decrypt",
        "--key",
        &file,
        "--jobs",
        "3",
        input,
        jobs.to_str().unwrap(),
    ]);
    assert!(fs::read(&jobs).unwrap() == fs::read(&output).unwrap(), "jobs give the same film");
    let output_path = jobs.to_str().unwrap();
    for wrong in ["0", "257", "all"] {
        let mut many = installation.command(&["decrypt", "--key", &file, "--jobs", wrong]);
        let refused = many.args([input, output_path]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
    // On a disk, and in memory.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    for folder in [installation.data.path(), memory.path()] {
        let here = folder.join("here.mp4");
        let arguments = ["decrypt", "--key", &file, "--in-place", here.to_str().unwrap()];
        fs::copy(input, &here).unwrap();
        let locked = fs::File::open(&here).unwrap();
        locked.lock().unwrap();
        let said = installation.fail(&arguments);
        assert!(said.contains("another process works on this file"), "{said}");
        drop(locked);
        let done = installation.succeed(&arguments);
        assert_eq!(done["samples"], 75);
        assert!(
            fs::read(&here).unwrap() == fs::read(&output).unwrap(),
            "in place is the same film"
        );
    }

    let other = format!("{}:{}", keys[1].kid, keys[1].key);
    let untouched = installation.data.path().join("none.mp4");
    let said = installation.fail(&["decrypt", "--key", &other, input, untouched.to_str().unwrap()]);
    assert!(said.contains("no key for KID"), "{said}");
    assert!(!untouched.exists());
    let said = installation.fail(&["decrypt", "--key", "secret", input, "x"]);
    assert!(said.contains("KID:KEY") && !said.contains("secret:"), "{said}");
}

/// A child process that another one starts holds its locks for an instant.
#[test]
fn a_lock_that_is_released_soon_does_not_stop_decryption_in_place() {
    let (installation, _) = provisioned();
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/demo/clip");
    let here = installation.write("here.mp4", &fs::read(clip.join("cbcs/video.mp4")).unwrap());
    let locked = fs::File::open(&here).unwrap();
    locked.lock().unwrap();
    let pair = "5ee1ce7a0d3b4c5d8e6f708192a3b4c5:0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let arguments = ["decrypt", "--key", pair, "--in-place", here.to_str().unwrap()];
    let done = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            drop(locked);
        });
        installation.succeed(&arguments)
    });
    assert_eq!(done["samples"], 75);
    assert_eq!(samples(&fs::read(&here).unwrap()), samples(&fs::read(clear("video")).unwrap()));
}

/// What a device keeps of a license that it may store is what the command line takes.
#[test]
fn the_command_line_decrypts_with_a_license() {
    let (installation, keys) = provisioned();
    let [(track, input), _] = package(installation.data.path(), "cbcs", &keys);
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let device = DeviceKey::generate(&mut SystemRng).unwrap();
    let exchange = |service: &Service| {
        let draft = ask(&token).draft(&device.public_key(), None, &mut SystemRng).unwrap();
        let (body, pending) = draft.sign(&device);
        let (status, answer) = service.send("POST", "/v1/license", &token, &body);
        assert_eq!(status, 200, "{answer}");
        (body, answer, pending.to_private_jwk())
    };
    let (body, answer, key) = exchange(&service);
    let (_, _, other_key) = exchange(&service);
    let (_, jwks) = service.send("GET", "/.well-known/jwks.json", "", "");
    let file =
        |name: &str, text: &str| installation.write(name, text.as_bytes()).display().to_string();
    let (license, request) = (file("license", &answer), file("request", &body));
    let (jwks, output) = (file("jwks", &jwks), installation.data.path().join("out.mp4"));
    let decrypt = |key: &str| {
        let key = format!("@{}", file("key", key));
        let mut arguments = vec!["decrypt".to_owned(), "--license".to_owned(), license.clone()];
        for (flag, value) in
            [("--license-request", &request), ("--license-key", &key), ("--jwks", &jwks)]
        {
            arguments.extend([flag.to_owned(), value.clone()]);
        }
        arguments.extend([&input, &output].map(|path| path.display().to_string()));
        arguments
    };
    let arguments = decrypt(&key);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    installation.succeed(&arguments);
    assert_eq!(samples(&fs::read(&output).unwrap()), samples(&fs::read(clear(track)).unwrap()));

    let arguments = decrypt(&other_key);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let said = installation.fail(&arguments);
    assert!(said.contains("not the private half"), "{said}");

    let arguments = decrypt(&key);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (middle, end) = (answer.len() / 2, answer.len() - 1);
    let forged = format!("{}AAAA{}", &answer[..middle], &answer[middle + 4..]);
    for wrong in [&forged, &answer[..end], &"x".repeat(300_000), ""] {
        file("license", wrong);
        let said = installation.fail(&arguments);
        assert!(said.contains("license") && !said.contains(&key[..]), "{said}");
    }
    service.terminate();

    // Another license holds for one second, by the clock.
    let policy = "can_play = true\nlicense_duration = \"1s\"";
    installation.write("policies/default.toml", policy.as_bytes());
    let service = installation.serve();
    let (body, answer, key) = exchange(&service);
    file("license", &answer);
    file("request", &body);
    let arguments = decrypt(&key);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    thread::sleep(Duration::from_secs(2));
    let said = installation.fail(&arguments);
    assert!(said.contains("and not now") && said.contains("ask the service"), "{said}");
    service.terminate();
}

/// What is wrong with the last fragment, or with the keys, is found before the first byte is written.
#[test]
fn nothing_is_decrypted_in_place_unless_all_of_it_can_be() {
    let (installation, keys) = provisioned();
    let [(_, input), _] = package(installation.data.path(), "cbcs", &keys);
    let film = fs::read(input).unwrap();
    let here = installation.data.path().join("here.mp4");
    let pair = |key: usize| format!("{}:{}", keys[key].kid, keys[key].key);
    let mut damaged = film.clone();
    let last = damaged.windows(4).rposition(|kind| kind == b"trun").unwrap();
    damaged[last + 8..last + 12].fill(0xff);
    for (film, key, reason) in [
        (&film, 1, "no key for KID"),
        (&damaged, 0, "trun"),
        (&film[..film.len() - 1].to_vec(), 0, "mdat"),
    ] {
        fs::write(&here, film).unwrap();
        for jobs in ["1", "2"] {
            let arguments = ["--key", &pair(key), "--jobs", jobs, "--in-place"];
            let said = installation
                .fail(&[&["decrypt"], &arguments[..], &[here.to_str().unwrap()]].concat());
            assert!(said.contains(reason), "{said}");
            assert!(&fs::read(&here).unwrap() == film, "{reason}: the file was written to");
        }
    }
}

/// ffmpeg writes a file whose samples are in a table and not in fragments, and whose `moov` comes last.
#[test]
fn a_film_without_fragments_is_decrypted() {
    let (installation, keys) = provisioned();
    let output = installation.data.path().join("table.mp4");
    let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
    ffmpeg.args(["-v", "error", "-i"]).arg(clear("video")).args(["-c", "copy"]);
    ffmpeg.args(["-encryption_scheme", "cenc-aes-ctr", "-encryption_kid", &keys[0].kid]);
    let made = ffmpeg.args(["-encryption_key", &keys[0].key]).arg(&output).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let pair = installation.write("pair", format!("{}:{}", keys[0].kid, keys[0].key).as_bytes());
    let (pair, clear_path) = (format!("@{}", pair.display()), output.with_extension("clear.mp4"));
    let files = [output.to_str().unwrap(), clear_path.to_str().unwrap()];
    let encrypted = samples(&fs::read(&output).unwrap());
    installation.succeed(&["decrypt", "--key", &pair, files[0], files[1]]);
    let original = samples(&fs::read(clear("video")).unwrap());
    assert_ne!(encrypted, original);
    assert_eq!(samples(&fs::read(&clear_path).unwrap()), original);
    plays(&installation, &fs::read(&clear_path).unwrap());
    // The same through standard output, and where it lies.
    let mut piped = installation.command(&["decrypt", "--key", &pair, files[0], "-"]);
    assert!(piped.output().unwrap().stdout == fs::read(&clear_path).unwrap());
    let other = installation.write("other", format!("{}:{}", keys[1].kid, keys[1].key).as_bytes());
    let other = format!("@{}", other.display());
    let film = fs::read(&output).unwrap();
    let said = installation.fail(&["decrypt", "--key", &other, "--in-place", files[0]]);
    assert!(said.contains("no key for KID"), "{said}");
    assert!(fs::read(&output).unwrap() == film, "the file was written to");
    installation.succeed(&["decrypt", "--key", &pair, "--in-place", files[0]]);
    assert!(fs::read(&output).unwrap() == fs::read(&clear_path).unwrap());
}

/// The same bytes, from many connections at once and to a service that was started anew, are one
/// request.
#[test]
fn a_request_is_one_license_at_any_service_of_the_store() {
    let (installation, _) = provisioned();
    let token = installation.mint(&["--content", CONTENT]);
    let device = DeviceKey::generate(&mut SystemRng).unwrap();
    let (body, pending) =
        ask(&token).draft(&device.public_key(), None, &mut SystemRng).unwrap().sign(&device);
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let service = installation.serve();
        let (_, jwks) = service.send("GET", "/.well-known/jwks.json", "", "");
        let jwks = Jwks::parse(jwks.as_bytes()).unwrap();
        let post = || service.send("POST", "/v1/license", &token, &body);
        let answers: Vec<_> = thread::scope(|scope| {
            let posts: Vec<_> = (0..64).map(|_| scope.spawn(post)).collect();
            posts.into_iter().map(|post| post.join().unwrap()).collect()
        });
        for (status, answer) in answers {
            assert_eq!(status, 200, "{answer}");
            ids.insert(pending.open(answer.as_bytes(), &jwks).unwrap().claims.jti);
        }
        service.terminate();
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[test]
fn the_demo_grants_decrypts_and_refuses() {
    let demo =
        Command::new(crate::installation::REELKEY).args(["demo", "--json"]).output().unwrap();
    assert!(demo.status.success(), "{demo:?}");
    let demo: serde_json::Value = serde_json::from_slice(&demo.stdout).unwrap();
    assert_eq!(demo["granted"]["region"], "US");
    assert_eq!(demo["decrypted"].as_array().unwrap().len(), 4);
    let reasons: Vec<_> = demo["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reason"].as_str().unwrap())
        .collect();
    let expected =
        ["region-denied", "token-not-bound", "request-stale", "token-invalid", "not-authorized"];
    assert_eq!(reasons, expected);
}
