//! What every request of a device has in common: a compact JWS with the device key in its header, as `jwk`
//! or as the key of the first certificate in `x5c`.
//!
//! Nothing that is read here can be trusted yet. The service verifies the signature over the signing input,
//! under the device key, before it acts on the payload. It also judges the certificates: here, only the key
//! of the first one is read.
//!
//! Deliberately absent: the claims, which [`request`](crate::exchange::request) and
//! [`registration`](crate::exchange::registration) read.

use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};
use serde_json::{Map, Value};

use crate::strict::jwk::{self, PublicKey};
use crate::strict::{base64url, certificate, jws};

/// The longest request, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;

/// The most certificates in `x5c`.
pub const CERTIFICATES_MAX: usize = 8;

/// A compact JWS with the sender's own key. **Not verified.**
#[derive(Debug)]
pub(crate) struct SignedByDevice<'a> {
    pub(crate) signing_input: &'a str,
    pub(crate) signature: Vec<u8>,
    pub(crate) device_key: PublicKey,
    /// The certificates of `x5c` in DER, the device's own first.
    pub(crate) certificates: Vec<Vec<u8>>,
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
    /// `x5c` is not an array of 1 to [`CERTIFICATES_MAX`] certificates in base64 (RFC 7515 section 4.1.6).
    #[error("x5c is an array of 1 to 8 certificates, DER in base64 with padding (RFC 7515, 4.1.6)")]
    CertificateChain,
    /// The header has no `jwk`, and the first certificate of `x5c` has no P-256 key that can be read.
    #[error(
        "the first certificate of x5c has no P-256 public key (the device key) that can be read"
    )]
    CertifiedKey,
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
        let certificates = certificates(&jws.header)?;
        let device_key = match (jws.header.get("jwk"), certificates.first()) {
            (None, Some(own)) => certificate::public_key(own).ok_or(Error::CertifiedKey)?,
            (jwk, _) => {
                PublicKey::from_jwk(jwk.unwrap_or(&Value::Null)).map_err(Error::DeviceKey)?
            }
        };
        Ok(Self {
            signing_input: jws.signing_input,
            signature: jws.signature,
            device_key,
            certificates,
            payload: jws.payload,
        })
    }
}

/// The certificates of `x5c`; none if there is no such member.
fn certificates(header: &Map<String, Value>) -> Result<Vec<Vec<u8>>, Error> {
    let Some(x5c) = header.get("x5c") else { return Ok(Vec::new()) };
    let texts = x5c.as_array().filter(|texts| (1..=CERTIFICATES_MAX).contains(&texts.len()));
    let decode = |text: &Value| {
        let bytes = Base64::decode_vec(text.as_str().unwrap_or_default()).ok();
        bytes.filter(|bytes| !bytes.is_empty()).ok_or(Error::CertificateChain)
    };
    texts.ok_or(Error::CertificateChain)?.iter().map(decode).collect()
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
