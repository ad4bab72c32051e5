//! The private key of a development issuer. It mints tokens as long as there is no auth service.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::pkcs8::EncodePrivateKey;
use reelkey_client::strict::json;
use reelkey_client::strict::jwk::PublicKey;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::crypto::jwt;
use crate::crypto::random::{RandomnessFailed, SystemRng};

/// A P-256 key as a private JWK (RFC 7518 section 6.2.2). Zeroed on drop, never printed.
pub struct DevelopmentKey(SecretKey);

/// A development key cannot be read or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not a private P-256 JWK. The error does not repeat the text.
    #[error("not a private P-256 JWK (RFC 7518, 6.2.2)")]
    Malformed,
    /// jsonwebtoken reported an error.
    #[error("the token could not be signed")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

#[derive(Deserialize)]
struct PrivateJwk {
    d: Zeroizing<String>,
}

impl DevelopmentKey {
    /// Generates a key.
    ///
    /// # Errors
    /// [`RandomnessFailed`].
    pub fn generate() -> Result<Self, RandomnessFailed> {
        SecretKey::try_generate_from_rng(&mut SystemRng).map(Self)
    }

    /// Reads a key that [`to_jwk`](Self::to_jwk) wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(jwk: &str) -> Result<Self, Error> {
        let jwk: PrivateJwk = json::read(jwk.as_bytes()).map_err(|_| Error::Malformed)?;
        let mut scalar = Zeroizing::new([0; 32]);
        let read = Base64UrlUnpadded::decode(jwk.d.as_str(), scalar.as_mut_slice());
        if read.is_ok_and(|read| read.len() == 32) {
            SecretKey::from_slice(scalar.as_slice()).map(Self).map_err(|_| Error::Malformed)
        } else {
            Err(Error::Malformed)
        }
    }

    /// The private JWK. **Store it only in a file that only its owner may read.**
    #[must_use]
    pub fn to_jwk(&self) -> Zeroizing<String> {
        let scalar = Zeroizing::new(self.0.to_bytes());
        let d = Zeroizing::new(Base64UrlUnpadded::encode_string(&scalar));
        let public = self.public_jwk().to_string();
        let mut jwk = Zeroizing::new(String::with_capacity(public.len() + d.len() + 16));
        jwk.push_str(public.trim_end_matches('}'));
        jwk.push_str(",\"d\":\"");
        jwk.push_str(&d);
        jwk.push_str("\"}\n");
        jwk
    }

    /// The public JWK, with `kid`, `use` and `alg`.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        let (mut jwk, kid) = self.public_key().map_or_else(
            || (Value::Null, String::new()),
            |key| (key.to_jwk(), key.thumbprint().to_string()),
        );
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid".into(), kid.into());
            members.insert("use".into(), "sig".into());
            members.insert("alg".into(), "ES256".into());
        }
        jwk
    }

    /// Signs `claims` as a JWT of `typ` `JWT`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn mint(&self, claims: &Value) -> Result<String, Error> {
        jwt::install();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = self.public_key().map(|key| key.thumbprint().to_string());
        let pkcs8 = self.0.to_pkcs8_der().map_err(|_| Error::Malformed)?;
        Ok(jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(pkcs8.as_bytes()))?)
    }

    /// The public key. Every private key has one that is a point of the curve.
    fn public_key(&self) -> Option<PublicKey> {
        use p256::elliptic_curve::sec1::ToSec1Point;
        PublicKey::from_sec1(self.0.public_key().to_sec1_point(false).as_bytes()).ok()
    }
}

impl fmt::Debug for DevelopmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DevelopmentKey(..)")
    }
}
