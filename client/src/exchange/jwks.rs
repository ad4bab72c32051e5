//! The service's verification keys: a JWK Set (RFC 7517 section 5).
//!
//! Deliberately absent: fetching it, and deciding when to fetch it again.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Deserialize;
use serde_json::Value;

use crate::strict::json;
use crate::strict::jwk::PublicKey;

/// The longest key set, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;

/// The ES256 verification keys of a service, by `kid`.
///
/// ```
/// use reelkey_client::exchange::Jwks;
///
/// // What `GET /.well-known/jwks.json` returns.
/// let body = br#"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"2026-01",
///     "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
///     "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
/// let jwks = Jwks::parse(body)?;
/// # Ok::<(), reelkey_client::exchange::jwks::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Jwks(BTreeMap<String, PublicKey>);

/// The bytes are not a key set that can verify a license.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// Reads a JWK Set. Keys of other types, algorithms or uses are ignored (RFC 7517 section 5).
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > BYTES_MAX {
            return Err(Error::TooLong);
        }
        let set: KeySet = json::read(bytes)?;
        let mut keys = BTreeMap::new();
        for jwk in &set.keys {
            let is_or_absent = |name, value: &str| jwk.get(name).is_none_or(|is| is == value);
            let Some(kid) = jwk.get("kid").and_then(Value::as_str) else { continue };
            let Ok(key) = PublicKey::from_jwk(jwk) else { continue };
            if !is_or_absent("use", "sig") || !is_or_absent("alg", "ES256") {
                continue;
            }
            if keys.insert(kid.into(), key).is_some() {
                return Err(Error::RepeatedKid);
            }
        }
        if keys.is_empty() { Err(Error::NoKey) } else { Ok(Self(keys)) }
    }

    /// The set of this key alone.
    pub(crate) fn of(kid: String, key: PublicKey) -> Self {
        Self(BTreeMap::from([(kid, key)]))
    }

    pub(crate) fn key(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    /// The key of RFC 7515 appendix A.3.1.
    const P256: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    #[test]
    fn keys_of_another_type_algorithm_or_use_are_ignored() {
        let set = |keys: &str| Jwks::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes());
        let read = set(&format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"e"}},{{{P256}}},{{{P256},"kid":"x","use":"enc"}},{{{P256},"kid":"h","alg":"HS256"}},{{{P256},"kid":"a","alg":"ES256"}}"#
        ));
        assert_eq!(read.unwrap().0.keys().collect::<Vec<_>>(), ["a"]);
        assert!(matches!(set(""), Err(Error::NoKey)));
    }

    #[test]
    fn a_repeated_kid_an_array_and_an_oversized_set_are_refused() {
        let set = |keys: &str| Jwks::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes());
        let twice = set(&format!(r#"{{{P256},"kid":"a"}},{{{P256},"kid":"a"}}"#));
        assert!(matches!(twice, Err(Error::RepeatedKid)));
        assert!(matches!(Jwks::parse(&[b' '; BYTES_MAX + 1]), Err(Error::TooLong)));
        assert!(matches!(Jwks::parse(b"[]"), Err(Error::Form(_))));
    }
}
