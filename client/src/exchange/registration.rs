//! The registration of a device: a compact JWS by it, `typ` `device-registration+jwt`.
//!
//! A device registers to take its place in the account before it asks for a license. [`Claims`] is what
//! travels, [`SignedRegistration`] what the service has after strict reading, before it verifies the
//! signature.
//!
//! Deliberately absent: verification and the decision, which the server makes.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::exchange::request::DeviceDescription;
use crate::exchange::signed::{self, SignedByDevice};
use crate::strict::json;
use crate::strict::jwk::PublicKey;
use crate::time::UnixTime;

/// The `typ` of a registration (RFC 8725 section 3.11).
pub const TYP: &str = "device-registration+jwt";

/// The longest registration, in bytes.
pub const BYTES_MAX: usize = signed::BYTES_MAX;

/// The claims as they travel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// The ID of the service that the device registers with.
    pub aud: String,
    /// When the registration was made, in seconds since 1970.
    pub iat: u64,
    /// The request ID: 16 to 128 base64url characters, with at least 128 random bits.
    pub jti: String,
    /// base64url of the SHA-256 of the authorization token (RFC 9449 section 4.2).
    pub ath: String,
    /// What the device says about itself.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::object_or_null"
    )]
    pub device: Option<DeviceDescription>,
}

/// A well-formed registration whose signature is **not verified yet**.
///
/// ```
/// use reelkey_client::exchange::DeviceKey;
/// use reelkey_client::exchange::registration::SignedRegistration;
/// use reelkey_client::strict::base64url;
///
/// # let device = DeviceKey::generate(&mut getrandom::SysRng)?;
/// # let header = format!(r#"{{"typ":"device-registration+jwt","alg":"ES256","jwk":{}}}"#,
/// #     device.public_key().to_jwk());
/// let claims = r#"{"aud":"reelkey","iat":1700000000,"jti":"N1SGY_kMTxaB0F25gh27jQ",
///     "ath":"QmmdvNxxCW0AOHf_mpR16XlXt0gu-2wF5eNhyM1zpfE","device":{"name":"Living room"}}"#;
/// # let input = [header.as_str(), claims].map(|part| base64url::encode(part.as_bytes())).join(".");
/// # let signature = device.sign(input.as_bytes());
/// # let body = format!("{input}.{}", base64url::encode(signature.as_bytes()));
/// let registration = SignedRegistration::parse(body.as_bytes())?;
/// // A service now verifies `signature` over `signing_input` with `device_key`.
/// assert_eq!(registration.device_key, device.public_key());
/// assert_eq!(registration.device.name.as_deref(), Some("Living room"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedRegistration<'a> {
    /// The text that the device signed. Its hash identifies the registration.
    pub signing_input: &'a str,
    /// The bytes in the place of the ES256 signature, `r || s` (RFC 7518 section 3.4). Their number is
    /// not checked yet.
    pub signature: Vec<u8>,
    /// The device key from the header, which the signature has to verify under.
    pub device_key: PublicKey,
    /// The ID of the service that the registration is for.
    pub aud: String,
    /// When the registration was made, by the device's clock.
    pub iat: UnixTime,
    /// The request ID.
    pub jti: String,
    /// The SHA-256 of the authorization token that the device sent.
    pub ath: [u8; 32],
    /// What the device says about itself.
    pub device: DeviceDescription,
}

/// The body is not a registration. The message repeats nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a compact JWS of `typ` `device-registration+jwt` with the device key in its header.
    #[error(transparent)]
    Signed(#[from] signed::Error),
    /// The payload is not strict JSON, or a claim is missing or has another type.
    #[error("the registration's claims: {0}")]
    Claims(#[source] json::Error),
    /// `jti` is not 16 to 128 base64url characters.
    #[error("jti is 16 to 128 base64url characters with at least 128 random bits")]
    Jti,
    /// `ath` is not the base64url of 32 bytes.
    #[error("ath is base64url of the SHA-256 of the authorization token")]
    Ath,
    /// A member of `device` is longer than 64 characters, or has a control character.
    #[error("each member of device is at most 64 printable characters")]
    Device,
}

impl<'a> SignedRegistration<'a> {
    /// Reads a registration strictly.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let signed = SignedByDevice::parse(body, TYP)?;
        let claims: Claims = json::read(&signed.payload).map_err(Error::Claims)?;
        Ok(Self {
            signing_input: signed.signing_input,
            signature: signed.signature,
            device_key: signed.device_key,
            aud: claims.aud,
            iat: UnixTime::from_secs(claims.iat),
            jti: signed::request_id(claims.jti).ok_or(Error::Jti)?,
            ath: signed::token_hash(&claims.ath).ok_or(Error::Ath)?,
            device: claims.device.unwrap_or_default().printable().ok_or(Error::Device)?,
        })
    }
}
