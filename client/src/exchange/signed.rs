//! What every request of a device has in common: a compact JWS with the device key in its header.
//!
//! Nothing that is read here can be trusted yet. The service verifies the signature over the signing input,
//! under the device key, before it acts on the payload.
//!
//! Deliberately absent: the claims, which [`request`](crate::exchange::request) and
//! [`registration`](crate::exchange::registration) read.

use alloc::string::String;
use alloc::vec::Vec;
use serde_json::Value;

use crate::strict::jwk::{self, PublicKey};
use crate::strict::{base64url, jws};

/// The longest request, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;

/// A compact JWS with the sender's own key. **Not verified.**
#[derive(Debug)]
pub(crate) struct SignedByDevice<'a> {
    pub(crate) signing_input: &'a str,
    pub(crate) signature: Vec<u8>,
    pub(crate) device_key: PublicKey,
    pub(crate) payload: Vec<u8>,
}

/// The body is not a compact JWS by a device. The message repeats nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a compact JWS of the expected `typ`.
    #[error("the request is not a compact JWS as required: {0}")]
    Jws(#[from] jws::Error),
    /// `alg` is not `ES256`.
    #[error("the request's alg is ES256, nothing else")]
    Alg,
    /// The header has a certificate chain, which no service accepts yet.
    #[error("x5c is not supported yet; send the device key as jwk")]
    CertificateChain,
    /// The header's `jwk` is missing or unusable.
    #[error("the header's jwk (the device key): {0}")]
    DeviceKey(#[source] jwk::Error),
}

impl<'a> SignedByDevice<'a> {
    /// Splits and decodes `body`, whose `typ` has to be `typ`.
    pub(crate) fn parse(body: &'a [u8], typ: &str) -> Result<Self, Error> {
        let expect =
            jws::Expect { bytes_max: BYTES_MAX, typ: &[typ], typ_optional: false, own_key: true };
        let jws = jws::Compact::parse(body, expect)?;
        if jws.alg != "ES256" {
            return Err(Error::Alg);
        }
        if jws.header.contains_key("x5c") {
            return Err(Error::CertificateChain);
        }
        let device_key = jws.header.get("jwk").unwrap_or(&Value::Null);
        Ok(Self {
            signing_input: jws.signing_input,
            signature: jws.signature,
            device_key: PublicKey::from_jwk(device_key).map_err(Error::DeviceKey)?,
            payload: jws.payload,
        })
    }
}

/// `text`, if it is a request ID: 16 to 128 base64url characters.
pub(crate) fn request_id(text: String) -> Option<String> {
    is_base64url(&text, 16).then_some(text)
}

/// The SHA-256 that `ath` holds.
pub(crate) fn token_hash(ath: &str) -> Option<[u8; 32]> {
    base64url::decode_array(ath).ok()
}

/// Whether `text` is `least` to 128 base64url characters. They need not decode to bytes: request IDs and
/// codes are compared as text.
pub(crate) fn is_base64url(text: &str, least: usize) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (least..=128).contains(&text.len()) && text.bytes().all(base64url)
}
