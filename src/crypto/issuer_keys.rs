//! The keys by which a token issuer's signatures are verified: public ones, or one shared secret.
//!
//! Every key of a JWK Set is checked when the set is read, not when a token first names it. A token
//! chooses among these keys by `kid`, as the key of a map; its `alg` has to be one that the operator
//! allowed and that fits the key, so it can choose nothing else.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto;
use reelkey_client::strict::{base64url, json};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;
use zeroize::Zeroizing;

use crate::crypto::issuer_key::{Algorithm, Error, IssuerKey, Key, KeyType};
use crate::crypto::{jwt, public_jwk};

/// The longest JWK Set, in bytes.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;

/// The most keys of one issuer.
const KEYS_MAX: usize = 256;

/// Shortest and longest HMAC secret, in bytes (RFC 7518 section 3.2 asks for 32).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=1024;

/// The verification keys of one issuer.
#[derive(Clone, Debug)]
pub struct IssuerKeys(Vec<IssuerKey>);

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
            let Some(key) = public_jwk::read(jwk, number)? else { continue };
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
    /// [`Error::SecretLength`], or [`Error::NoSecret`] for what is a key of another kind.
    pub fn shared_secret(secret: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        if !SECRET_BYTES.contains(&secret.len()) {
            return Err(Error::SecretLength(secret.len()));
        }
        if let Some(what) = known_form(&secret) {
            return Err(Error::NoSecret(what));
        }
        let (key_type, key) = (KeyType::Secret, Key::Secret(secret));
        Ok(Self(vec![IssuerKey { kid: None, only: None, key_type, key }]))
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether there is a key that `kid` names and that fits `algorithm`; without a name, any that fits.
    #[must_use]
    pub fn has(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        self.fitting(algorithm, kid).next().is_some()
    }

    /// The algorithms, of all that there are, that at least one key fits.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        Algorithm::ALL.into_iter().filter(|algorithm| self.has(*algorithm, None)).collect()
    }

    fn fitting<'a>(
        &'a self,
        algorithm: Algorithm,
        kid: Option<&'a str>,
    ) -> impl Iterator<Item = &'a IssuerKey> {
        self.0.iter().filter(move |key| {
            key.key_type == algorithm.key_type()
                && key.only.is_none_or(|only| only == algorithm)
                && kid.is_none_or(|kid| algorithm.is_symmetric() || key.kid.as_deref() == Some(kid))
        })
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
        let mut fitting = self.fitting(algorithm, kid);
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

/// What a file holds that was taken for a secret by mistake. Public keys are known to all, so a service that takes one
/// for the secret trusts everybody (RFC 8725 section 2.1).
fn known_form(secret: &[u8]) -> Option<&'static str> {
    let bytes = secret.trim_ascii();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    let begins =
        |prefixes: &[&str]| prefixes.iter().any(|start| bytes.starts_with(start.as_bytes()));
    let is_der = |bytes: &[u8]| {
        SubjectPublicKeyInfoRef::from_der(bytes).is_ok() || Certificate::from_der(bytes).is_ok()
    };
    let unbroken: Vec<u8> =
        bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if bytes.is_empty() {
        Some("white space")
    } else if has(b"-----BEGIN ") || has(b"---- BEGIN ") {
        Some("a PEM file")
    } else if begins(&["{", "["]) && serde_json::from_slice::<Value>(bytes).is_ok() {
        Some("a JSON document, such as a JWK,")
    } else if begins(&["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]) {
        Some("an SSH key")
    } else if is_der(secret)
        || Base64::decode_vec(&String::from_utf8_lossy(&unbroken)).is_ok_and(|der| is_der(&der))
    {
        Some("a public key or certificate in DER")
    } else {
        None
    }
}
