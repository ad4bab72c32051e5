//! Gives a license back, before it ends by itself: the slot is free at once.
//!
//! A release needs no authorization token and holds for as long as the license is known, so a page signs
//! it ahead and sends it with `navigator.sendBeacon` when it is closed, as `text/plain`.
//!
//! Deliberately absent: the keys of the released license. Whoever releases it drops them.

use alloc::string::String;
use core::fmt;
use p256::elliptic_curve::rand_core::TryCryptoRng;

use crate::exchange::draft::{self, Draft, Error};
use crate::exchange::jwks::Jwks;
use crate::exchange::license;
use crate::exchange::receipt::{self, BYTES_MAX, Claims};
use crate::exchange::request::{self, RequestType, SignedRequest, TYP};
use crate::exchange::verified::{self, Verified};
use crate::strict::json;
use crate::strict::jwk::{PublicKey, Thumbprint};
use crate::time::UnixTime;

/// A release of a license.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/service.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use getrandom::SysRng;
/// # use reelkey_client::exchange::{Ask, DeviceKey, Jwks, SessionType};
/// # use reelkey_client::time::UnixTime;
/// use reelkey_client::exchange::Release;
///
/// # let device = DeviceKey::generate(&mut SysRng)?;
/// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
/// #     session_type: SessionType::Temporary, iat: UnixTime::from_secs(1_700_000_000) };
/// # let (body, pending) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
/// # let service = service::Service::new();
/// # let jwks = Jwks::parse(service.jwks().as_bytes())?;
/// # let license = pending.open(service.license(&body).as_bytes(), &jwks)?;
/// # let post = |_: &str, body: &str| service.receipt(body).into_bytes();
/// let release = Release {
///     license: &license.claims,
///     token: None,
///     first_play: None,
///     iat: UnixTime::from_secs(1_700_000_090), // now
/// };
/// let (body, pending) = release.draft(&device.public_key(), &mut SysRng)?.sign(&device);
/// let answer = post("/v1/license", &body);
/// let receipt = pending.open(&answer, &jwks)?;
/// assert_eq!(receipt.jti, license.claims.jti);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Release<'a> {
    /// The claims of the license that is released.
    pub license: &'a license::Claims,
    /// The authorization token, if one is sent along. A release without one can be sent at any time.
    pub token: Option<&'a str>,
    /// When a stored license was first played: seconds from the `iat` of its counter 0. `None` if it was
    /// not, and for temporary licenses.
    pub first_play: Option<u64>,
    /// The current time.
    pub iat: UnixTime,
}

impl Release<'_> {
    /// Writes the request that the device key `device` has to sign.
    ///
    /// # Errors
    /// [`Error::OtherDevice`] if the license is another device's, [`Error::FirstPlay`] if it is a
    /// temporary one and `first_play` is told, and [`Error::Random`].
    pub fn draft<R: TryCryptoRng + ?Sized>(
        &self,
        device: &PublicKey,
        rng: &mut R,
    ) -> Result<Draft<PendingRelease>, Error<R::Error>> {
        let mut claims = draft::of_held(self.license, device, self.first_play, self.iat, rng)?;
        claims.request_type = RequestType::Release;
        claims.ath = self.token.map(draft::token_hash);
        let pending = PendingRelease {
            service_id: claims.aud.clone(),
            license_id: self.license.jti.clone(),
            nonce: claims.jti.clone(),
            device: device.thumbprint(),
        };
        Ok(Draft::new(TYP, &claims, device, |_| pending))
    }
}

/// A release that was sent: what its receipt has to agree with.
#[derive(Clone)]
pub struct PendingRelease {
    service_id: String,
    license_id: String,
    nonce: String,
    device: Thumbprint,
}

/// The answer is not a receipt for this release.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not a compact JWS of `typ` `license-release+jwt` that the service signed.
    #[error(transparent)]
    Unverified(#[from] verified::Error),
    /// A claim is missing or has another type.
    #[error("the receipt's claims: {0}")]
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
    /// `jti` is another license.
    #[error("jti is not the license that was released")]
    License,
}

/// What was stored is not a release. The message repeats nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// Not a request.
    #[error(transparent)]
    Request(#[from] request::Error),
    /// A request of another type.
    #[error("the request is no RELEASE")]
    Type,
}

impl PendingRelease {
    /// Restores a release from the body that was signed, so that it can be sent again after a restart.
    ///
    /// # Errors
    /// [`StoredError`].
    pub fn resume(body: &[u8]) -> Result<Self, StoredError> {
        let request = SignedRequest::parse(body)?;
        match (request.request_type, request.license_id) {
            (RequestType::Release, Some(license_id)) => Ok(Self {
                service_id: request.aud,
                license_id,
                nonce: request.jti,
                device: request.device_key.thumbprint(),
            }),
            _ => Err(StoredError::Type),
        }
    }

    /// Verifies `answer`, the body of a `200`, against the service's keys, and compares `iss`, `nonce`,
    /// `cnf.jkt` and `jti` with the release.
    ///
    /// # Errors
    /// [`ReceiptError`], one variant per broken rule.
    pub fn open(&self, answer: &[u8], jwks: &Jwks) -> Result<Claims, ReceiptError> {
        let verified = Verified::parse(answer, receipt::TYP, BYTES_MAX, jwks)?;
        let claims: Claims = json::read(&verified.payload).map_err(ReceiptError::Claims)?;
        if claims.iss != self.service_id {
            return Err(ReceiptError::Issuer);
        }
        if claims.nonce != self.nonce {
            return Err(ReceiptError::Nonce);
        }
        if Thumbprint::parse(&claims.cnf.jkt) != Ok(self.device) {
            return Err(ReceiptError::Device);
        }
        if claims.jti != self.license_id {
            return Err(ReceiptError::License);
        }
        Ok(claims)
    }

    /// Whether this is the release of a license of this device.
    pub(crate) fn is_of(&self, license: &license::Claims) -> bool {
        self.license_id == license.jti
            && self.service_id == license.iss
            && Thumbprint::parse(&license.cnf.jkt) == Ok(self.device)
    }
}

impl fmt::Debug for PendingRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingRelease({}, ..)", self.nonce)
    }
}
