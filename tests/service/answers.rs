//! What a device does with an answer that is not the service's, or not to its request.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use p256::elliptic_curve::Generate;
use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::jwe::{self, Parties, derive_key, protected_header};
use reelkey_client::exchange::jwks::Jwks;
use reelkey_client::exchange::pending::{Error, Pending};
use reelkey_client::exchange::request::{SessionType, SignedRequest};
use reelkey_client::strict::base64url;
use reelkey_client::strict::jwk::PublicKey;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::world::{NOW, SERVICE, key, sign};

/// A service that answers as the test likes.
struct Rogue {
    key: DeviceKey,
    pending: Pending,
    body: String,
    enc_jwk: PublicKey,
    device: String,
}

impl Rogue {
    fn new() -> Self {
        let device = key();
        let ask = Ask {
            service_id: SERVICE,
            token: "token",
            kids: &[],
            content_id: Some("movies/bunny"),
            session_type: SessionType::Temporary,
            iat: UnixTime::from_secs(NOW),
        };
        let draft = ask.draft(&device.public_key(), None, &mut SystemRng).unwrap();
        let (body, pending) = draft.sign(&device);
        let request = SignedRequest::parse(body.as_bytes()).unwrap();
        let enc_jwk = PublicKey::from_jwk(&request.enc_jwk).unwrap();
        let device = device.public_key().thumbprint().to_string();
        Self { key: key(), pending, body, enc_jwk, device }
    }

    fn jwks(&self) -> Jwks {
        let mut jwk = self.key.public_key().to_jwk();
        jwk["kid"] = "1".into();
        Jwks::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
    }

    fn apv(&self) -> [u8; 32] {
        Sha256::digest(self.body.rsplit_once('.').unwrap().0).into()
    }

    fn seal(&self, plaintext: &str, apu: &[u8], apv: &[u8; 32]) -> String {
        let parties = Parties { apu, apv };
        let secret = p256::SecretKey::try_generate_from_rng(&mut SystemRng).unwrap();
        let recipient = p256::PublicKey::from_sec1_bytes(&self.enc_jwk.to_sec1()).unwrap();
        let z = p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), recipient.as_affine());
        let key = derive_key(z.raw_secret_bytes(), parties);
        let epk = PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
        let header = protected_header(&epk, parties);
        let mut text = plaintext.as_bytes().to_vec();
        let tag = Aes256Gcm::new((&*key).into())
            .encrypt_inout_detached(
                &Nonce::default(),
                header.as_bytes(),
                text.as_mut_slice().into(),
            )
            .unwrap();
        let [iv, text, tag] = [&[0; 12][..], &text, &tag].map(base64url::encode);
        format!("{header}..{iv}.{text}.{tag}")
    }

    fn sealed(&self) -> String {
        let keys = json!({ "keys": [{ "kty": "oct", "kid": "AAAAAAAAAAAAAAAAAAAAAA",
            "k": "BBBBBBBBBBBBBBBBBBBBBA" }] });
        self.seal(&keys.to_string(), SERVICE.as_bytes(), &self.apv())
    }

    fn claims(&self) -> Value {
        let request = self.body.split('.').nth(1).unwrap();
        let request: Value = serde_json::from_slice(&base64url::decode(request).unwrap()).unwrap();
        json!({ "iss": SERVICE, "sub": "alice", "jti": "id", "iat": NOW, "nbf": NOW,
            "exp": NOW + 600, "cnf": { "jkt": self.device }, "nonce": request["jti"], "counter": 0,
            "content_id": "movies/bunny", "session_type": "temporary", "policy_id": "open",
            "policy": { "can_play": true }, "tracks": [], "keys": self.sealed() })
    }

    fn open(&self, change: impl FnOnce(&mut Value)) -> Result<usize, Error> {
        let mut claims = self.claims();
        change(&mut claims);
        let header = json!({ "typ": "license+jwt", "alg": "ES256", "kid": "1" });
        let answer = sign(&header, &claims, &self.key);
        self.pending.open(answer.as_bytes(), &self.jwks()).map(|license| license.keys.len())
    }
}

#[test]
fn a_license_that_agrees_with_its_request_opens() {
    let rogue = Rogue::new();
    assert_eq!(rogue.open(|_| {}).unwrap(), 1);
    let ignored = |claims: &mut Value| claims["unknown"] = json!(1);
    assert_eq!(rogue.open(ignored).unwrap(), 1);
}

#[test]
fn a_license_for_somebody_else_does_not() {
    let rogue = Rogue::new();
    let set = |name: &'static str, value: Value| move |claims: &mut Value| claims[name] = value;
    assert!(matches!(rogue.open(set("iss", json!("other"))), Err(Error::Issuer)));
    assert!(matches!(rogue.open(set("nonce", json!("other"))), Err(Error::Nonce)));
    let other = json!({ "jkt": key().public_key().thumbprint().to_string() });
    assert!(matches!(rogue.open(set("cnf", other)), Err(Error::Device)));
    assert!(matches!(rogue.open(set("nbf", json!(NOW + 1))), Err(Error::Times)));
    assert!(matches!(rogue.open(set("exp", json!(NOW))), Err(Error::Times)));
    for iat in [NOW - 121, NOW + 121] {
        let change = |claims: &mut Value| {
            (claims["iat"], claims["nbf"]) = (iat.into(), iat.into());
        };
        assert!(matches!(rogue.open(change), Err(Error::Stale)));
    }
    assert!(matches!(rogue.open(set("keys", json!(1))), Err(Error::Claims(_))));
}

#[test]
fn a_license_by_somebody_else_does_not() {
    let rogue = Rogue::new();
    let open = |header: Value, key: &DeviceKey| {
        let answer = sign(&header, &rogue.claims(), key);
        rogue.pending.open(answer.as_bytes(), &rogue.jwks()).map(|_| ()).unwrap_err()
    };
    let header = |typ: &str, alg: &str, kid: &str| json!({ "typ": typ, "alg": alg, "kid": kid });
    let forged = open(header("license+jwt", "ES256", "1"), &key());
    assert!(matches!(forged, Error::Signature));
    assert!(matches!(open(header("license+jwt", "ES256", "2"), &rogue.key), Error::UnknownKey));
    assert!(matches!(open(header("license+jwt", "none", "1"), &rogue.key), Error::Alg));
    assert!(matches!(open(header("JWT", "ES256", "1"), &rogue.key), Error::Jws(_)));
}

#[test]
fn keys_sealed_for_another_exchange_do_not_open() {
    let rogue = Rogue::new();
    let sealed = |keys: String| rogue.open(|claims| claims["keys"] = keys.into()).unwrap_err();
    let keys = r#"{"keys":[]}"#;
    let apu = rogue.seal(keys, b"other", &rogue.apv());
    assert!(matches!(sealed(apu), Error::Sealed(jwe::Error::Apu)));
    let apv = rogue.seal(keys, SERVICE.as_bytes(), &[7; 32]);
    assert!(matches!(sealed(apv), Error::Sealed(jwe::Error::Apv)));

    let right = rogue.sealed();
    let (header, rest) = right.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&base64url::decode(header).unwrap()).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header);
        sealed(format!("{}.{rest}", base64url::encode(header.to_string().as_bytes())))
    };
    assert!(matches!(with(&|h| h["kid"] = "x".into()), Error::Sealed(jwe::Error::Header)));
    assert!(matches!(with(&|h| h["zip"] = "DEF".into()), Error::Sealed(jwe::Error::Header)));
    assert!(matches!(with(&|h| h["enc"] = "A128GCM".into()), Error::Sealed(jwe::Error::Algorithm)));
    assert!(matches!(with(&|h| h["alg"] = "dir".into()), Error::Sealed(jwe::Error::Algorithm)));
    let off_curve = |h: &mut Value| h["epk"]["x"] = h["epk"]["y"].clone();
    assert!(matches!(with(&off_curve), Error::Sealed(jwe::Error::EphemeralKey)));
    let other = key().public_key().to_jwk();
    assert!(matches!(with(&|h| h["epk"] = other.clone()), Error::Sealed(jwe::Error::Sealed)));
    for wrong in ["", "a.b.c", "a.b.c.d.e", &format!("{right}.x"), &right[..right.len() - 8]] {
        assert!(matches!(sealed(wrong.into()), Error::Sealed(_)), "{wrong}");
    }
}

#[test]
fn what_opens_is_exactly_a_set_of_keys() {
    let rogue = Rogue::new();
    for plaintext in [
        "",
        "[]",
        r#"{"keys":[],"more":1}"#,
        r#"{"keys":[{"kty":"oct","kid":"AAAA","k":"BBBBBBBBBBBBBBBBBBBBBA"}]}"#,
        r#"{"keys":[{"kty":"oct","kid":"AAAAAAAAAAAAAAAAAAAAAA","k":"BBBB"}]}"#,
        r#"{"keys":[{"kty":"EC","kid":"AAAAAAAAAAAAAAAAAAAAAA","k":"BBBBBBBBBBBBBBBBBBBBBA"}]}"#,
        r#"{"keys":[{"kty":"oct","kid":"AAAAAAAAAAAAAAAAAAAAAA","k":"BBBBBBBBBBBBBBBBBBBBBA","alg":"A128"}]}"#,
        r#"{"keys":[{"kty":"oct","kid":"AAAAAAAAAAAAAAAAAAAAAA","k":"BBBBBBBBBBBBBBBBBBBBBA"},{"kty":"oct","kid":"AAAAAAAAAAAAAAAAAAAAAA","k":"BBBBBBBBBBBBBBBBBBBBBA"}]}"#,
    ] {
        let keys = rogue.seal(plaintext, SERVICE.as_bytes(), &rogue.apv());
        let opened = rogue.open(|claims| claims["keys"] = keys.into());
        assert!(matches!(opened, Err(Error::Keys)), "{plaintext}");
    }
}
