//! Strict reading: what is accepted is what a lenient reader sees, and has one encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelkey_client::exchange::request::SignedRequest;
use reelkey_client::exchange::{DeviceKey, Jwks, Problem, Signature, pssh};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::strict::jwk::{PublicKey, Thumbprint};
use reelkey_client::strict::{base64url, json, jws};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = json::read::<Value>(bytes) {
        assert_eq!(value, serde_json::from_slice::<Value>(bytes).unwrap());
        assert!(value.is_object());
        if let Ok(key) = PublicKey::from_jwk(&value) {
            let again = PublicKey::from_jwk(&key.to_jwk()).unwrap();
            assert_eq!(again.thumbprint(), key.thumbprint());
            assert!(again.is_same_or_negative(&key));
        }
    }
    for own_key in [true, false] {
        let expect =
            jws::Expect { bytes_max: 4096, typ: &["a+jwt"], typ_optional: own_key, own_key };
        if let Ok(jws) = jws::Compact::parse(bytes, expect) {
            let (_, payload) = jws.signing_input.split_once('.').unwrap();
            assert_eq!(base64url::encode(&jws.payload), payload);
            assert_eq!(base64url::encode(&jws.signature), jws.signature_text);
            assert!(own_key || !jws.header.contains_key("jwk"));
        }
    }
    drop(Jwks::parse(bytes));
    drop(Problem::parse(bytes));
    drop(SignedRequest::parse(bytes));
    drop(pssh::key_ids(bytes));
    if let Ok(key) = DeviceKey::from_pkcs8_der(bytes) {
        let again = DeviceKey::from_pkcs8_der(&key.to_pkcs8_der()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
    }
    if let Ok(signature) = Signature::from_der(bytes) {
        assert_eq!(Signature::from_bytes(signature.as_bytes()), Ok(signature));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(decoded) = base64url::decode(text) {
        assert_eq!(base64url::encode(&decoded), text);
    }
    _ = Thumbprint::parse(text);
    if let Ok(key) = ContentKey::parse_hex(text) {
        assert_eq!(key.to_hex().to_lowercase(), text.to_lowercase());
    }
    if let Ok(kid) = text.parse::<KeyId>() {
        assert_eq!(kid.to_string().parse(), Ok(kid));
    }
    _ = pssh::collect_kids(&[text.into()], &mut Default::default());
});
