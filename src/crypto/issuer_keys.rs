//! The keys by which a token issuer's signatures are verified: public ones, or one shared secret.
//!
//! Every key of a JWK Set is checked when the set is read, not when a token first names it. A token
//! chooses among these keys by `kid`, as the key of a map; its `alg` has to be one that the operator
//! allowed and that fits the key, so it can choose nothing else.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto;
use reelkey_client::strict::jwk::PublicKey;
use reelkey_client::strict::{base64url, json};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::crypto::jwt;

/// The longest JWK Set, in bytes.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;

/// The most keys of one issuer.
const KEYS_MAX: usize = 256;

/// Shortest and longest RSA modulus that is accepted, in bytes (RFC 7518 section 3.3 asks for 2048
/// bits; more than 8192 only cost time).
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Shortest and longest HMAC secret, in bytes (RFC 7518 section 3.2 asks for 32).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=1024;

/// A signature algorithm that an issuer may use (RFC 7518 section 3.1, RFC 8037, RFC 9864).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519; both names of it, `EdDSA` and `Ed25519`, are read.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// HMAC with SHA-256: whoever verifies can also sign, so only where the issuer is ours too.
    Hs256,
}

/// The name is none of the five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token algorithm is one of ES256, EdDSA (Ed25519), RS256, PS256 and HS256")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        match name {
            "ES256" => Ok(Self::Es256),
            "EdDSA" | "Ed25519" => Ok(Self::EdDsa),
            "RS256" => Ok(Self::Rs256),
            "PS256" => Ok(Self::Ps256),
            "HS256" => Ok(Self::Hs256),
            _ => Err(UnknownAlgorithm),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Hs256 => "HS256",
        })
    }
}

impl Algorithm {
    fn key_type(self) -> KeyType {
        match self {
            Self::Es256 => KeyType::P256,
            Self::EdDsa => KeyType::Ed25519,
            Self::Rs256 | Self::Ps256 => KeyType::Rsa,
            Self::Hs256 => KeyType::Secret,
        }
    }

    /// Whether it needs a [secret](IssuerKeys::shared_secret) and not a JWK Set.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        self.key_type() == KeyType::Secret
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyType {
    P256,
    Ed25519,
    Rsa,
    Secret,
}

/// The verification keys of one issuer.
#[derive(Clone, Debug)]
pub struct IssuerKeys(Vec<IssuerKey>);

#[derive(Clone)]
struct IssuerKey {
    kid: Option<String>,
    /// The one algorithm that the JWK restricts itself to (RFC 7517 section 4.4).
    only: Option<Algorithm>,
    key_type: KeyType,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Public(DecodingKey),
    Secret(Zeroizing<Vec<u8>>),
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKey({:?}, {:?})", self.key_type, self.kid)
    }
}

/// The bytes are nothing to verify tokens with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Longer than [`JWKS_BYTES_MAX`].
    #[error("the JWK Set is longer than 262144 bytes")]
    TooLong,
    /// Not strict JSON with a `keys` array (RFC 7517 section 5).
    #[error("not a JWK Set (RFC 7517, 5): {0}")]
    Form(#[from] json::Error),
    /// More than 256 keys.
    #[error("the JWK Set holds more than 256 keys")]
    TooMany,
    /// A key has a private or symmetric part.
    #[error("key {number} of the JWK Set is private; an issuer's set holds public keys only")]
    Private {
        /// From 1.
        number: usize,
    },
    /// A key of a known type is unusable.
    #[error("key {number} of the JWK Set: {why}")]
    Key {
        /// From 1.
        number: usize,
        /// The broken rule.
        why: &'static str,
    },
    /// Two keys with one `kid` (RFC 7517 section 4.5).
    #[error("two keys of the JWK Set have one kid")]
    RepeatedKid,
    /// A secret that can be guessed, or is no secret.
    #[error("an HMAC secret has 32 to 1024 bytes (RFC 7518, 3.2), this one has {0}")]
    SecretLength(usize),
    /// Nothing to verify with.
    #[error("the JWK Set holds no P-256, Ed25519 or RSA key for signatures")]
    NoKey,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl IssuerKeys {
    /// Reads a JWK Set. Keys for encryption or of types that no token here may use are passed over
    /// (RFC 7517 section 5); a private or malformed one refuses the whole set.
    ///
    /// # Errors
    /// [`Error`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        jwt::install();
        if bytes.len() > JWKS_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let set: KeySet = json::read(bytes)?;
        if set.keys.len() > KEYS_MAX {
            return Err(Error::TooMany);
        }
        let mut keys: Vec<IssuerKey> = Vec::new();
        for (number, jwk) in (1..).zip(&set.keys) {
            let Some(key) = read_key(jwk, number)? else { continue };
            if key.kid.is_some() && keys.iter().any(|other| other.kid == key.kid) {
                return Err(Error::RepeatedKid);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(Error::NoKey) } else { Ok(Self(keys)) }
    }

    /// The one secret of an issuer that signs with HMAC. Tokens may name it as they like.
    ///
    /// # Errors
    /// [`Error::SecretLength`].
    pub fn shared_secret(secret: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        if !SECRET_BYTES.contains(&secret.len()) {
            return Err(Error::SecretLength(secret.len()));
        }
        let (key_type, key) = (KeyType::Secret, Key::Secret(secret));
        Ok(Self(vec![IssuerKey { kid: None, only: None, key_type, key }]))
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether `signature_text`, base64url, is a signature over `message` by the key that `kid`
    /// names, or, without a name, by the only key that fits `algorithm`.
    #[must_use]
    pub fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        message: &[u8],
        signature_text: &str,
    ) -> bool {
        let mut fitting = self.0.iter().filter(|key| {
            key.key_type == algorithm.key_type()
                && key.only.is_none_or(|only| only == algorithm)
                && kid.is_none_or(|kid| algorithm.is_symmetric() || key.kid.as_deref() == Some(kid))
        });
        let (Some(found), None) = (fitting.next(), fitting.next()) else { return false };
        let by = |key, algorithm| {
            matches!(crypto::verify(signature_text, message, key, algorithm), Ok(true))
        };
        match (&found.key, algorithm) {
            (Key::Public(key), Algorithm::Es256) => by(key, jsonwebtoken::Algorithm::ES256),
            (Key::Public(key), Algorithm::EdDsa) => by(key, jsonwebtoken::Algorithm::EdDSA),
            (Key::Public(key), Algorithm::Rs256) => by(key, jsonwebtoken::Algorithm::RS256),
            (Key::Public(key), Algorithm::Ps256) => by(key, jsonwebtoken::Algorithm::PS256),
            (Key::Secret(secret), Algorithm::Hs256) => verify_hmac(secret, message, signature_text),
            // The key's type fits the algorithm.
            (Key::Public(_), Algorithm::Hs256) | (Key::Secret(_), _) => false,
        }
    }
}

/// HS256 (RFC 7518 section 3.2), compared in time that does not depend on the tag. Not through
/// jsonwebtoken, whose keys are not zeroed.
fn verify_hmac(secret: &[u8], message: &[u8], tag_text: &str) -> bool {
    let Ok(tag) = base64url::decode(tag_text) else { return false };
    Hmac::<Sha256>::new_from_slice(secret)
        .is_ok_and(|mac| mac.chain_update(message).verify_slice(&tag).is_ok())
}

fn read_key(jwk: &Value, number: usize) -> Result<Option<IssuerKey>, Error> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    let wrong = |why| Error::Key { number, why };
    if jwk.get("d").is_some() || jwk.get("k").is_some() {
        return Err(Error::Private { number });
    }
    if text("use").is_some_and(|purpose| purpose != "sig") {
        return Ok(None);
    }
    let (key_type, key) = match (text("kty"), text("crv")) {
        (Some("EC"), Some("P-256")) => {
            let key = PublicKey::from_jwk(jwk)
                .map_err(|_| wrong("x and y are not a point of P-256 (RFC 7518, 6.2.1)"))?;
            (KeyType::P256, DecodingKey::from_ec_der(&key.to_sec1()))
        }
        (Some("OKP"), Some("Ed25519")) => {
            let x = text("x").and_then(|x| base64url::decode_array::<32>(x).ok());
            let x = x.ok_or_else(|| wrong("x is not base64url of 32 bytes (RFC 8037, 2)"))?;
            (KeyType::Ed25519, DecodingKey::from_ed_der(&x))
        }
        (Some("RSA"), _) => {
            let read = |name| text(name).and_then(|text| base64url::decode(text).ok());
            let modulus = read("n").filter(|n| MODULUS_BYTES.contains(&n.len()));
            let n = modulus.ok_or_else(|| wrong("n is not base64url of 2048 to 8192 bits"))?;
            let exponent = read("e").filter(|e| (1..=5).contains(&e.len()));
            let e = exponent.ok_or_else(|| wrong("e is not base64url of 1 to 5 bytes"))?;
            (KeyType::Rsa, DecodingKey::from_rsa_raw_components(&n, &e))
        }
        _ => return Ok(None),
    };
    let only = match text("alg").map(Algorithm::from_str) {
        None => None,
        Some(Ok(only)) if only.key_type() == key_type => Some(only),
        Some(Ok(_)) => return Err(wrong("alg does not fit kty and crv (RFC 7517, 4.4)")),
        Some(Err(UnknownAlgorithm)) => return Ok(None),
    };
    let kid = text("kid").map(Into::into);
    Ok(Some(IssuerKey { kid, only, key_type, key: Key::Public(key) }))
}
