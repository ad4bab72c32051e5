//! A request that was kept: what opens its license again, after the program has ended and begun anew.
//!
//! A device that may store a license (`persistent-license`) stores three things: the license as it came, the request as
//! it was sent, and the private half of the request's `enc_jwk`. The last is as secret as the keys in the license.
//!
//! Deliberately absent: where they are stored. A platform's own place for secrets is better than any file.

use alloc::string::String;
use p256::SecretKey;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::exchange::pending::Pending;
use crate::exchange::request::{self, SignedRequest};
use crate::strict::jwk::PublicKey;
use crate::strict::{base64url, json};

/// What was kept does not open licenses. Nothing of it is repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not one.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// Not a private JWK on P-256 (RFC 7518 section 6.2.2).
    #[error("the key is not a private JWK with kty EC, crv P-256 and d (RFC 7518, 6.2.2)")]
    Key,
    /// The private half of another key than the request's `enc_jwk`.
    #[error("the key is not the private half of the request's enc_jwk")]
    OtherKey,
}

#[derive(Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: String,
    d: Zeroizing<String>,
}

impl Pending {
    /// The private half of the request's `enc_jwk`, as a JWK (RFC 7518 section 6.2.2): for who keeps the request.
    #[must_use]
    pub fn to_private_jwk(&self) -> Zeroizing<String> {
        let public = PublicKey::from_p256(self.secret.public_key()).to_jwk();
        let scalar = Zeroizing::new(<[u8; 32]>::from(self.secret.to_bytes()));
        let d = Zeroizing::new(base64url::encode(scalar.as_slice()));
        // Long enough from the start, so that no part is left where it grew out of.
        let mut jwk = Zeroizing::new(String::with_capacity(256));
        jwk.push_str(r#"{"kty":"EC","crv":"P-256""#);
        for name in ["x", "y"] {
            let value = public.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
            for part in [",\"", name, "\":\"", value, "\""] {
                jwk.push_str(part);
            }
        }
        for part in [r#","d":""#, &d, r#""}"#] {
            jwk.push_str(part);
        }
        jwk
    }

    /// Takes up a request that was kept, as it was sent, with [the private half](Self::to_private_jwk) of its
    /// `enc_jwk`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn resume(request: &[u8], private_jwk: &[u8]) -> Result<Self, Error> {
        let request = SignedRequest::parse(request)?;
        let jwk: PrivateJwk = json::read(private_jwk).map_err(|_| Error::Key)?;
        if jwk.kty != "EC" || jwk.crv != "P-256" {
            return Err(Error::Key);
        }
        let scalar = base64url::decode_array::<32>(&jwk.d).map(Zeroizing::new);
        let scalar = scalar.map_err(|_| Error::Key)?;
        let secret = SecretKey::from_slice(scalar.as_slice()).map_err(|_| Error::Key)?;
        let public = PublicKey::from_p256(secret.public_key());
        let asked = PublicKey::from_jwk(&request.enc_jwk).map_err(|_| Error::OtherKey)?;
        if asked.thumbprint() != public.thumbprint() {
            return Err(Error::OtherKey);
        }
        Ok(Self {
            secret,
            service_id: request.aud,
            nonce: request.jti,
            iat: request.iat,
            device: request.device_key.thumbprint(),
            request_hash: Sha256::digest(request.signing_input).into(),
        })
    }
}
