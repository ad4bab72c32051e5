//! A request that the device stored, to open its license again after a restart.
//!
//! A device that may store a license (`persistent-license`) stores three things: the license as it
//! was received, the request as it was sent, and the private half of the request's `enc_jwk`. The
//! private half is as secret as the keys in the license.
//!
//! Deliberately absent: where they are stored. The platform's key store is better than a file.

use alloc::string::String;
use core::fmt;
use p256::SecretKey;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::exchange::pending::{Pending, Renewed};
use crate::exchange::request::{self, SignedRequest};
use crate::strict::jwk::PublicKey;
use crate::strict::{base64url, json};

/// What a device stored of a request.
#[derive(Clone, Copy)]
pub struct StoredRequest<'a> {
    /// The body that was POSTed, byte for byte.
    pub request: &'a [u8],
    /// **Secret**: what [`Pending::to_private_jwk`] returned for this request.
    pub private_jwk: &'a [u8],
}

impl fmt::Debug for StoredRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredRequest(..)")
    }
}

/// The stored request and key do not open licenses. The message repeats nothing of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stored request is not a license request.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// Not a private JWK on P-256 (RFC 7518 section 6.2.2).
    #[error("the key is not a private JWK with kty EC, crv P-256 and d (RFC 7518, 6.2.2)")]
    Key,
    /// The private half of another key than the request's `enc_jwk`.
    #[error("the key is not the private half of the request's enc_jwk")]
    OtherKey,
    /// `enc_jwk` is the device key or its negative. No service answers such a request.
    #[error("the request's enc_jwk is its device key or the negative of it")]
    DeviceKey,
}

/// The private half of a key to seal to. Zeroed on drop.
#[derive(Deserialize)]
pub(crate) struct PrivateJwk {
    kty: String,
    crv: String,
    d: Zeroizing<String>,
}

impl Pending {
    /// The private half of the request's `enc_jwk` as a JWK (RFC 7518 section 6.2.2), to store
    /// together with the request. **Secret**: it opens the license.
    #[must_use]
    pub fn to_private_jwk(&self) -> Zeroizing<String> {
        let public = PublicKey::from_p256(self.secret.public_key()).to_jwk();
        let scalar = Zeroizing::new(<[u8; 32]>::from(self.secret.to_bytes()));
        let d = Zeroizing::new(base64url::encode(scalar.as_slice()));
        // Has its final capacity from the start, so that growing leaves no copy behind.
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

    /// Restores a request from what the device stored.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/service.rs"));
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use getrandom::SysRng;
    /// # use reelkey_client::exchange::{Ask, DeviceKey, Jwks, SessionType};
    /// # use reelkey_client::time::UnixTime;
    /// use reelkey_client::exchange::{StoredRequest, Pending};
    ///
    /// # let device = DeviceKey::generate(&mut SysRng)?;
    /// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
    /// #     session_type: SessionType::PersistentLicense, iat: UnixTime::from_secs(1_700_000_000) };
    /// # let (request, pending) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
    /// # let service = service::Service::new();
    /// # let jwks = Jwks::parse(service.jwks().as_bytes())?;
    /// # let license = service.license(&request);
    /// let private_jwk = pending.to_private_jwk(); // store it with `request` and `license`
    ///
    /// // After a restart:
    /// let stored = StoredRequest { request: request.as_bytes(), private_jwk: private_jwk.as_bytes() };
    /// let opened = Pending::resume(stored)?.open(license.as_bytes(), &jwks)?;
    /// assert_eq!(opened.keys.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn resume(stored: StoredRequest<'_>) -> Result<Self, Error> {
        let request = SignedRequest::parse(stored.request)?;
        let jwk = json::read(stored.private_jwk).map_err(|_| Error::Key)?;
        Self::restore(request, &jwk)
    }

    /// As [`resume`](Self::resume), with what was read already.
    pub(crate) fn restore(request: SignedRequest<'_>, jwk: &PrivateJwk) -> Result<Self, Error> {
        if jwk.kty != "EC" || jwk.crv != "P-256" {
            return Err(Error::Key);
        }
        let scalar = base64url::decode_array::<32>(&jwk.d).map(Zeroizing::new);
        let scalar = scalar.map_err(|_| Error::Key)?;
        let secret = SecretKey::from_slice(scalar.as_slice()).map_err(|_| Error::Key)?;
        let public = PublicKey::from_p256(secret.public_key());
        if PublicKey::from_jwk(&request.enc_jwk).as_ref() != Ok(&public) {
            return Err(Error::OtherKey);
        }
        if public.is_same_or_negative(&request.device_key) {
            return Err(Error::DeviceKey);
        }
        Ok(Self {
            secret,
            service_id: request.aud,
            nonce: request.jti,
            iat: request.iat,
            device: request.device_key.thumbprint(),
            request_hash: Sha256::digest(request.signing_input).into(),
            // The license that was held is not stored. Every renewal has a counter above 0.
            renewed: request.license_id.map(|license_id| Renewed { license_id, counter: 0 }),
        })
    }
}
