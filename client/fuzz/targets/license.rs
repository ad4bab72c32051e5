//! Licenses: an answer that the service did not sign never opens, and no content of a signed one makes the client panic.
//!
//! The first byte of the input selects what the rest is: 0, the whole answer; 1, the claims, to be signed; 2, the keys,
//! to be sealed in a correct license; 3, the claims of a request and of a registration, to be signed by the device; 4, the
//! claims of a receipt, to be signed; 5, a kept license as it was stored; 6, members that replace those of one.
#![no_main]

use std::convert::Infallible;
use std::sync::LazyLock;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use libfuzzer_sys::fuzz_target;
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use reelkey_client::exchange::jwe::{Parties, derive_key, protected_header};
use reelkey_client::exchange::registration::{self, SignedRegistration};
use reelkey_client::exchange::request::{self, RequestType, SignedRequest};
use reelkey_client::exchange::{
    Ask, DeviceKey, Jwks, KeptLicense, Pending, PendingRelease, Release, SessionType, TryCryptoRng,
    TryRng,
};
use reelkey_client::strict::base64url;
use reelkey_client::strict::jwk::PublicKey;
use reelkey_client::time::UnixTime;
use serde_json::json;
use sha2::{Digest, Sha256};

const SERVICE: &str = "fuzzed";
const NOW: u64 = 1_700_000_000;

/// A counter in place of randomness, so that every finding can be reproduced.
struct Counter(u8);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

/// One request, and a service that answers it with licenses.
struct Exchange {
    device: DeviceKey,
    pending: Pending,
    /// A release of the license.
    release: PendingRelease,
    /// A license that was kept, as it is stored.
    kept: serde_json::Value,
    jwks: Jwks,
    signer: SigningKey,
    /// The claims of a correct license, without its keys.
    claims: serde_json::Value,
    /// The protected header of the sealed keys, and the content encryption key.
    header: String,
    key: [u8; 32],
}

static EXCHANGE: LazyLock<Exchange> = LazyLock::new(|| {
    let device = DeviceKey::generate(&mut Counter(1)).unwrap();
    let ask = Ask {
        service_id: SERVICE,
        token: "token",
        kids: &[],
        content_id: Some("film"),
        session_type: SessionType::PersistentLicense,
        iat: UnixTime::from_secs(NOW),
    };
    let draft = ask.draft(&device.public_key(), None, &mut Counter(2)).unwrap();
    let (body, pending) = draft.sign(&device);
    let request = SignedRequest::parse(body.as_bytes()).unwrap();
    let recipient = PublicKey::from_jwk(&request.enc_jwk).unwrap();
    let ephemeral = SecretKey::from_slice(&[7; 32]).unwrap();
    let epk = PublicKey::from_sec1(&ephemeral.public_key().to_sec1_bytes()).unwrap();
    let recipient = p256::PublicKey::from_sec1_bytes(&recipient.to_sec1()).unwrap();
    let shared = p256::ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), recipient.as_affine());
    let hash: [u8; 32] = Sha256::digest(request.signing_input).into();
    let parties = Parties { apu: SERVICE.as_bytes(), apv: &hash };
    let signer = SigningKey::from_slice(&[9; 32]).unwrap();
    let public = PublicKey::from_sec1(&signer.verifying_key().to_sec1_bytes());
    let mut jwk = public.unwrap().to_jwk();
    jwk["kid"] = "signer".into();
    let claims = json!({
        "iss": SERVICE, "sub": "viewer", "jti": "license", "iat": NOW, "nbf": NOW,
        "exp": NOW + 600, "cnf": { "jkt": device.public_key().thumbprint().to_string() },
        "nonce": request.jti, "counter": 0, "content_id": "film", "session_type": "persistent-license",
        "policy_id": "default", "policy": { "can_play": true }, "tracks": [],
    });
    let license = serde_json::from_value(with_keys(&claims, "")).unwrap();
    let release =
        Release { license: &license, token: None, first_play: None, iat: UnixTime::from_secs(NOW) };
    let release = release.draft(&device.public_key(), &mut Counter(3)).unwrap();
    let (_, release) = release.sign(&device);
    let mut exchange = Exchange {
        jwks: Jwks::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap(),
        claims,
        header: protected_header(&epk, parties),
        key: *derive_key(shared.raw_secret_bytes(), parties),
        signer,
        pending,
        device,
        release,
        kept: serde_json::Value::Null,
    };
    let keys = exchange.seal(br#"{"keys":[]}"#);
    let license =
        exchange.sign("license+jwt", with_keys(&exchange.claims, &keys).to_string().as_bytes());
    let arrived = UnixTime::from_secs(NOW);
    let kept =
        KeptLicense::keep(&exchange.pending, &body, license.as_bytes(), &exchange.jwks, arrived);
    exchange.kept = serde_json::from_str(&kept.unwrap().to_json()).unwrap();
    exchange
});

fn with_keys(claims: &serde_json::Value, keys: &str) -> serde_json::Value {
    let mut claims = claims.clone();
    claims["keys"] = keys.into();
    claims
}

impl Exchange {
    /// What the device signs.
    fn ask(&self, typ: &str, payload: &[u8]) -> String {
        let header =
            json!({ "typ": typ, "alg": "ES256", "jwk": self.device.public_key().to_jwk() })
                .to_string();
        let input =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(payload));
        let signature = self.device.sign(input.as_bytes());
        format!("{input}.{}", base64url::encode(signature.as_bytes()))
    }

    /// What the service signs.
    fn sign(&self, typ: &str, payload: &[u8]) -> String {
        let header = json!({ "typ": typ, "alg": "ES256", "kid": "signer" }).to_string();
        let input =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(payload));
        let signature: Signature = self.signer.sign(input.as_bytes());
        format!("{input}.{}", base64url::encode(&signature.to_bytes()))
    }

    fn seal(&self, opened: &[u8]) -> String {
        let mut text = opened.to_vec();
        let tag = Aes256Gcm::new((&self.key).into())
            .encrypt_inout_detached(
                &Nonce::from([3; 12]),
                self.header.as_bytes(),
                text.as_mut_slice().into(),
            )
            .unwrap();
        let [iv, text, tag] = [&[3; 12][..], &text, &tag].map(base64url::encode);
        format!("{}..{iv}.{text}.{tag}", self.header)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let exchange = &*EXCHANGE;
    match bytes.split_first() {
        Some((0, answer)) => {
            exchange.pending.open(answer, &exchange.jwks).expect_err("the service did not sign it");
        }
        Some((1, claims)) => {
            // The keys in it cannot be sealed correctly, because the input does not know the key.
            let answer = exchange.sign("license+jwt", claims);
            exchange
                .pending
                .open(answer.as_bytes(), &exchange.jwks)
                .expect_err("the keys are not sealed for this request");
        }
        Some((2, opened)) => {
            let claims = with_keys(&exchange.claims, &exchange.seal(opened));
            let answer = exchange.sign("license+jwt", claims.to_string().as_bytes());
            if let Ok(license) = exchange.pending.open(answer.as_bytes(), &exchange.jwks) {
                let set: serde_json::Value = serde_json::from_slice(opened).unwrap();
                assert_eq!(set["keys"].as_array().unwrap().len(), license.keys.len());
            }
        }
        Some((3, claims)) => {
            let body = exchange.ask(request::TYP, claims);
            if let Ok(read) = SignedRequest::parse(body.as_bytes()) {
                let is_new = read.request_type == RequestType::New;
                let is_release = read.request_type == RequestType::Release;
                assert_eq!(read.license_id.is_none(), is_new);
                assert!(is_release || read.ath.is_some());
                assert!(is_new || (read.kids.is_empty() && read.content_id.is_none()));
                assert_eq!(PendingRelease::resume(body.as_bytes()).is_ok(), is_release);
            }
            let body = exchange.ask(registration::TYP, claims);
            let _ = SignedRegistration::parse(body.as_bytes());
        }
        Some((4, claims)) => {
            let answer = exchange.sign("license-release+jwt", claims);
            if let Ok(receipt) = exchange.release.open(answer.as_bytes(), &exchange.jwks) {
                assert_eq!(receipt.iss, SERVICE);
            }
        }
        Some((5, stored)) => reopen(stored),
        Some((6, members)) => {
            if let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(members) {
                let mut stored = exchange.kept.clone();
                for (name, value) in members {
                    stored[name.as_str()] = value;
                }
                reopen(stored.to_string().as_bytes());
            }
        }
        _ => {}
    }
});

/// A kept license that is read plays or says why not, and what it stores then is read again.
fn reopen(stored: &[u8]) {
    let Ok(mut kept) = KeptLicense::parse(stored) else { return };
    for wall_clock in [0, NOW, NOW + 599, NOW + 600, u64::MAX] {
        let _ = kept.keys_at(UnixTime::from_secs(wall_clock));
        KeptLicense::parse(kept.to_json().as_bytes()).expect("it was written by this crate");
    }
}
