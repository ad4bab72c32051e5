//! Verifies the license that answers a request, and opens its keys.
//!
//! A JOSE library checks the signature and the encryption. This file also makes the comparisons that no
//! JOSE library makes: the license answers this request, by the service that was asked, for this device.

use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64UrlUnpadded, Encoding};
use core::fmt;
use p256::SecretKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::exchange::jwe;
use crate::exchange::jwks::Jwks;
use crate::exchange::license::{BYTES_MAX, Claims, IAT_DISTANCE_SECS_MAX, TYP};
use crate::exchange::verified::{self, Signer, Verified};
use crate::key::{ContentKey, KeyId};
use crate::strict::jwk::Thumbprint;
use crate::strict::{base64url, json, jws};
use crate::time::UnixTime;

#[doc(no_inline)]
pub use crate::exchange::license::License;

/// A request that was sent: what its license has to agree with, and the private key that opens it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/service.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use getrandom::SysRng;
/// # use reelkey_client::exchange::{Ask, DeviceKey, SessionType};
/// # use reelkey_client::time::UnixTime;
/// use reelkey_client::exchange::Jwks;
///
/// # let device = DeviceKey::generate(&mut SysRng)?;
/// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
/// #     session_type: SessionType::Temporary, iat: UnixTime::from_secs(1_700_000_000) };
/// # let (body, pending) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
/// # let service = service::Service::new();
/// # let (answer, key_set) = (service.license(&body), service.jwks());
/// let jwks = Jwks::parse(key_set.as_bytes())?; // from `/.well-known/jwks.json`
/// let license = pending.open(answer.as_bytes(), &jwks)?; // the body of the `200`
/// for (kid, _key) in &license.keys {
///     println!("{kid}: {:?}", license.track(*kid));
/// }
/// assert!(license.holds_after(599) && !license.holds_after(600));
/// # Ok(())
/// # }
/// ```
pub struct Pending {
    pub(crate) secret: SecretKey,
    pub(crate) service_id: String,
    pub(crate) nonce: String,
    pub(crate) iat: UnixTime,
    pub(crate) device: Thumbprint,
    pub(crate) request_hash: [u8; 32],
    /// The license that is to be renewed; none if a new one was asked for.
    pub(crate) renewed: Option<Renewed>,
}

/// What a renewed license has to agree with.
#[derive(Clone, Debug)]
pub(crate) struct Renewed {
    pub(crate) license_id: String,
    /// The counter of the license that the device holds.
    pub(crate) counter: u64,
}

/// The answer is not a license for this request, and no key of it was opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a compact JWS of `typ` `license+jwt`.
    #[error("the license is not a compact JWS as required: {0}")]
    Jws(#[from] jws::Error),
    /// `alg` is not `ES256`.
    #[error("the license's alg is not ES256")]
    Alg,
    /// `kid` is missing or not in the key set; a fresh key set may have it (RFC 7517 section 4.5).
    #[error("the license is signed by a key that is not in the service's key set; fetch it again")]
    UnknownKey,
    /// The signature is not the service's (RFC 7515 section 5.2).
    #[error("the license's signature does not verify")]
    Signature,
    /// A claim is missing or has another type.
    #[error("the license's claims: {0}")]
    Claims(#[source] json::Error),
    /// `iss` is another service.
    #[error("iss is not the service that was asked")]
    Issuer,
    /// `nonce` is not the request's `jti`.
    #[error("nonce is not this request's jti")]
    Nonce,
    /// `cnf.jkt` is another device.
    #[error("cnf.jkt is not this device (RFC 7800, 3.1)")]
    Device,
    /// The answer to a renewal is another license than the one that was to be renewed.
    #[error("jti is not the license that was to be renewed")]
    OtherLicense,
    /// The answer to a renewal is no newer than the license that the device holds.
    #[error("counter is not higher than that of the license that was to be renewed")]
    Counter,
    /// Not `nbf` ≤ `iat` < `exp`.
    #[error("the license's times are not nbf <= iat < exp")]
    Times,
    /// `iat` is more than [`IAT_DISTANCE_SECS_MAX`] from the request's.
    #[error("the license was not made within 120 seconds of the request")]
    Stale,
    /// The keys do not open.
    #[error(transparent)]
    Sealed(#[from] jwe::Error),
    /// The opened text is not a JWK Set of 16-byte `oct` keys with each KID once.
    #[error("the opened keys are not a JWK Set of 16-byte oct keys (RFC 7518, 6.4)")]
    Keys,
}

impl From<verified::Error> for Error {
    fn from(error: verified::Error) -> Self {
        match error {
            verified::Error::Jws(error) => Self::Jws(error),
            verified::Error::Alg => Self::Alg,
            verified::Error::UnknownKey => Self::UnknownKey,
            verified::Error::Signature => Self::Signature,
        }
    }
}

impl Pending {
    /// Verifies `answer`, the body of a `200`, against the service's keys, compares `iss`, `nonce`,
    /// `cnf.jkt`, the times, `apu` and `apv` with the request, and opens the keys. The answer to a renewal
    /// has to be the same license (`jti`) with a higher `counter`.
    ///
    /// After [`Error::UnknownKey`] the player fetches the key set again, once: the service may have
    /// changed its signing key.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn open(&self, answer: &[u8], jwks: &Jwks) -> Result<License, Error> {
        let (claims, _) = self.verify(answer, jwks)?;
        Ok(License { keys: self.open_keys(&claims)?, claims })
    }

    /// Does what [`open`](Self::open) does before it opens the keys.
    pub(crate) fn verify(&self, answer: &[u8], jwks: &Jwks) -> Result<(Claims, Signer), Error> {
        let verified = Verified::parse(answer, TYP, BYTES_MAX, jwks)?;
        let claims: Claims = json::read(&verified.payload).map_err(Error::Claims)?;
        self.agree(&claims)?;
        Ok((claims, verified.signer))
    }

    /// Opens the keys of claims that [`verify`](Self::verify) returned.
    pub(crate) fn open_keys(&self, claims: &Claims) -> Result<Vec<(KeyId, ContentKey)>, Error> {
        let parties = jwe::Parties { apu: self.service_id.as_bytes(), apv: &self.request_hash };
        read_keys(&jwe::open(&claims.keys, &self.secret, parties)?)
    }

    /// The same request once more, for a license that is kept.
    pub(crate) fn again(&self) -> Self {
        Self {
            secret: self.secret.clone(),
            service_id: self.service_id.clone(),
            nonce: self.nonce.clone(),
            iat: self.iat,
            device: self.device,
            request_hash: self.request_hash,
            renewed: self.renewed.clone(),
        }
    }

    /// Compares the claims with the request.
    fn agree(&self, claims: &Claims) -> Result<(), Error> {
        if claims.iss != self.service_id {
            return Err(Error::Issuer);
        }
        if claims.nonce != self.nonce {
            return Err(Error::Nonce);
        }
        if Thumbprint::parse(&claims.cnf.jkt) != Ok(self.device) {
            return Err(Error::Device);
        }
        if let Some(renewed) = &self.renewed {
            if claims.jti != renewed.license_id {
                return Err(Error::OtherLicense);
            }
            if claims.counter <= renewed.counter {
                return Err(Error::Counter);
            }
        }
        if claims.nbf > claims.iat || claims.iat >= claims.exp {
            return Err(Error::Times);
        }
        if UnixTime::from_secs(claims.iat).abs_diff(self.iat) > IAT_DISTANCE_SECS_MAX {
            return Err(Error::Stale);
        }
        Ok(())
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({}, ..)", self.nonce)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySet {
    #[serde(deserialize_with = "json::objects")]
    keys: Vec<OctetKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OctetKey {
    kty: String,
    kid: String,
    k: Zeroizing<String>,
}

fn read_keys(opened: &[u8]) -> Result<Vec<(KeyId, ContentKey)>, Error> {
    let set: KeySet = json::read(opened).map_err(|_| Error::Keys)?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        let kid = base64url::decode_array(&jwk.kid).map_err(|_| Error::Keys)?;
        let kid = KeyId::from_bytes(kid);
        if jwk.kty != "oct" || keys.iter().any(|(seen, _)| *seen == kid) {
            return Err(Error::Keys);
        }
        let key = ContentKey::try_init(|bytes| {
            let read = Base64UrlUnpadded::decode(jwk.k.as_bytes(), bytes);
            if read.is_ok_and(|read| read.len() == 16) { Ok(()) } else { Err(Error::Keys) }
        })?;
        keys.push((kid, key));
    }
    Ok(keys)
}
