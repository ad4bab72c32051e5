//! Persistent licenses on the command line: what `reelkey decrypt --license` obeys, and what it records.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reelkey::crypto::random::SystemRng;
use reelkey::crypto::seal::seal;
use reelkey_client::exchange::jwe::Parties;
use reelkey_client::exchange::request::SignedRequest;
use reelkey_client::exchange::{Ask, DeviceKey, Jwks, KeptLicense, Pending, SessionType};
use reelkey_client::key::ContentKey;
use reelkey_client::strict::base64url;
use reelkey_client::strict::jwk::PublicKey;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::film::{self, clear, samples};
use crate::installation::Installation;

const SERVICE: &str = "kept";
const ID: &str = "q83vEjRWeJCrze8SNFZ4kA";
const HOUR: u64 = 3600;

fn now() -> u64 {
    film::now().as_secs()
}

/// A persistent license for the demo's clip, by a service that exists here only.
struct Rental {
    signer: DeviceKey,
    device: DeviceKey,
    body: String,
    pending: Pending,
    license: String,
}

impl Rental {
    /// One that began at `iat`, lives for an hour and plays for `playback` seconds from the first play on.
    fn new(iat: u64, playback: u64) -> Self {
        let (signer, device) = (
            DeviceKey::generate(&mut SystemRng).unwrap(),
            DeviceKey::generate(&mut SystemRng).unwrap(),
        );
        let ask = Ask {
            service_id: SERVICE,
            token: "token",
            kids: &[],
            content_id: Some("movies/bunny"),
            session_type: SessionType::PersistentLicense,
            iat: UnixTime::from_secs(iat),
        };
        let draft = ask.draft(&device.public_key(), None, &mut SystemRng).unwrap();
        let (body, pending) = draft.sign(&device);
        let request = SignedRequest::parse(body.as_bytes()).unwrap();
        let hash: [u8; 32] = Sha256::digest(request.signing_input).into();
        let keys = [(
            "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse().unwrap(),
            ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0").unwrap(),
        )];
        let parties = Parties { apu: SERVICE.as_bytes(), apv: &hash };
        let sealed = seal(&keys, &PublicKey::from_jwk(&request.enc_jwk).unwrap(), parties).unwrap();
        let claims = json!({
            "iss": SERVICE, "sub": "viewer", "jti": ID, "iat": iat, "nbf": iat, "exp": iat + HOUR,
            "cnf": { "jkt": device.public_key().thumbprint().to_string() },
            "nonce": request.jti, "counter": 0, "content_id": "movies/bunny",
            "session_type": "persistent-license", "policy_id": "rental",
            "policy": { "can_play": true, "can_persist": true, "playback_duration": playback,
                "expires_because": "persistent.license_duration" },
            "tracks": [], "keys": sealed,
        });
        let license = sign(&signer, "license+jwt", &claims);
        Self { signer, device, body, pending, license }
    }

    fn jwks(&self) -> String {
        let mut jwk = self.signer.public_key().to_jwk();
        jwk["kid"] = "signer".into();
        json!({ "keys": [jwk] }).to_string()
    }

    fn kept(&self, arrived: u64) -> KeptLicense {
        let jwks = Jwks::parse(self.jwks().as_bytes()).unwrap();
        let arrived = UnixTime::from_secs(arrived);
        KeptLicense::keep(&self.pending, &self.body, self.license.as_bytes(), &jwks, arrived)
            .unwrap()
    }

    fn release(&self, kept: &KeptLicense) -> String {
        let release = kept.release(UnixTime::from_secs(now())).unwrap();
        release.draft(&self.device.public_key(), &mut SystemRng).unwrap().sign(&self.device).0
    }
}

fn sign(signer: &DeviceKey, typ: &str, claims: &Value) -> String {
    let header = json!({ "typ": typ, "alg": "ES256", "kid": "signer" }).to_string();
    let parts = [header, claims.to_string()].map(|part| base64url::encode(part.as_bytes()));
    let input = parts.join(".");
    format!("{input}.{}", base64url::encode(signer.sign(input.as_bytes()).as_bytes()))
}

fn encrypted() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/cli/demo/clip/cenc/video.mp4")
        .display()
        .to_string()
}

fn stored(path: &str) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Decrypts with the kept license in the file `license`; it has to fail.
fn refused(installation: &Installation, license: &str) -> String {
    let output = installation.data.path().join("refused.mp4");
    let words = ["decrypt", "--license", license, &encrypted(), output.to_str().unwrap()];
    let said = installation.fail(&words);
    assert!(!output.exists());
    said
}

/// The license as the service sent it becomes a kept one, which plays by itself and remembers its first play.
#[test]
fn a_persistent_license_is_kept_from_its_first_use_on() {
    let installation = Installation::new();
    let rental = Rental::new(now() - 60, 2 * HOUR);
    let file =
        |name: &str, text: &str| installation.write(name, text.as_bytes()).display().to_string();
    let license = file("license", &rental.license);
    let said = refused(&installation, &license);
    assert!(said.contains("--license-request, --license-key and --jwks"), "{said}");
    let (request, jwks) = (file("request", &rental.body), file("jwks", &rental.jwks()));
    let key = format!("@{}", file("key", &rental.pending.to_private_jwk()));
    let output = installation.data.path().join("out.mp4");
    let files = [encrypted(), output.display().to_string()];
    let first = ["decrypt", "--license", &license, "--license-request", &request];
    let more = ["--license-key", &key, "--jwks", &jwks, &files[0], &files[1]];
    installation.succeed(&[&first[..], &more].concat());
    let film = fs::read(&output).unwrap();
    assert_eq!(samples(&film), samples(&fs::read(clear("video")).unwrap()));

    let kept = stored(&license);
    assert_eq!(kept["state"], "held");
    let played = kept["first_play"].as_u64().unwrap();
    assert!((60..600).contains(&played), "{played}");
    assert_eq!(fs::metadata(&license).unwrap().permissions().mode() & 0o777, 0o600);
    // By itself, and with the files that it does not need any more.
    let alone = ["decrypt", "--overwrite", "--license", &license, &files[0], &files[1]];
    installation.succeed(&alone);
    installation.succeed(&[&first[..], &["--overwrite"], &more].concat());
    assert_eq!(stored(&license)["first_play"], played);
}

#[test]
fn a_kept_license_that_does_not_play_says_what_to_do() {
    let installation = Installation::new();
    let store = |kept: &KeptLicense| {
        installation.write("kept", kept.to_json().as_bytes()).display().to_string()
    };
    let said_of = |kept: &KeptLicense| refused(&installation, &store(kept));
    let at = |secs: u64| UnixTime::from_secs(secs);

    let then = now() - 2 * HOUR;
    let over = Rental::new(then, 0);
    let kept = over.kept(then);
    let said = said_of(&kept);
    assert!(said.contains("by persistent.license_duration") && said.contains("renew it"), "{said}");
    // The time at which it was over is remembered.
    let latest = stored(&store(&kept))["latest"].as_u64().unwrap();
    assert_eq!(latest, then, "as it was kept");
    let file = store(&kept);
    refused(&installation, &file);
    assert!(stored(&file)["latest"].as_u64().unwrap() >= latest + HOUR);

    let watched = Rental::new(now() - 600, 300);
    let mut kept = watched.kept(now() - 600);
    kept.keys_at(at(now() - 500)).unwrap();
    let said = said_of(&kept);
    assert!(said.contains("playback ended at") && said.contains("ask the service"), "{said}");

    // It was played when the clock was half an hour ahead of now.
    let rental = Rental::new(now(), 0);
    let mut kept = rental.kept(now());
    kept.keys_at(at(now() + HOUR / 2)).unwrap();
    let said = said_of(&kept);
    assert!(said.contains("behind the latest play") && said.contains("set the clock"), "{said}");

    let mut kept = rental.kept(now());
    let release = rental.release(&kept);
    kept.return_with(&release).unwrap();
    let said = said_of(&kept);
    assert!(said.contains("being returned") && said.contains("its release"), "{said}");
    let request = SignedRequest::parse(release.as_bytes()).unwrap();
    let receipt = json!({ "iss": SERVICE, "sub": "viewer", "jti": ID, "iat": now(), "counter": 0,
        "nonce": request.jti, "cnf": { "jkt": request.device_key.thumbprint().to_string() } });
    let receipt = sign(&rental.signer, "license-release+jwt", &receipt);
    kept.close(receipt.as_bytes(), &Jwks::parse(rental.jwks().as_bytes()).unwrap()).unwrap();
    let said = said_of(&kept);
    assert!(said.contains("was returned") && said.contains("ask the service"), "{said}");

    let file = installation.write("kept", b"{\"version\":1}").display().to_string();
    let said = refused(&installation, &file);
    assert!(said.contains("this is no kept license"), "{said}");
}

/// The license file may be a link, and stays one.
#[test]
fn a_link_to_a_kept_license_stays_a_link() {
    let installation = Installation::new();
    let rental = Rental::new(now(), 0);
    let file = installation.write("there", rental.kept(now()).to_json().as_bytes());
    let link = installation.data.path().join("here");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let output = installation.data.path().join("out.mp4");
    let license = link.display().to_string();
    let words = ["decrypt", "--license", &license, &encrypted(), output.to_str().unwrap()];
    installation.succeed(&words);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(stored(file.to_str().unwrap())["first_play"].is_u64());
}
