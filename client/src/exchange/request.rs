//! The license request: a compact JWS by the device, `typ` `license-request+jwt`.
//!
//! [`Claims`] is what travels; [`SignedRequest`] is what the service made of it after strict reading
//! and before it verified the signature.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exchange::pssh;
use crate::key::KeyId;
use crate::strict::jwk::{self, PublicKey};
use crate::strict::{base64url, json, jws};
use crate::time::UnixTime;

/// The `typ` of a request (RFC 8725 section 3.11).
pub const TYP: &str = "license-request+jwt";

/// The longest request, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;

/// The most KIDs that one request may name, `pssh` included.
pub const KIDS_MAX: usize = 64;

/// What the device wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RequestType {
    /// A first license.
    New,
    /// The same license again, with new times.
    Renewal,
    /// The license is given back.
    Release,
}

/// How long the license is meant to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionType {
    /// For this playback.
    Temporary,
    /// Stored by the device, for playback without a connection.
    PersistentLicense,
}

/// The claims as they travel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The id of the service that is asked.
    pub aud: String,
    /// When the request was made, seconds since 1970.
    pub iat: u64,
    /// The request's own name: 16 to 128 base64url characters, at least 128 random bits.
    pub jti: String,
    /// What is wanted.
    pub request_type: RequestType,
    /// How long it is wanted for.
    pub session_type: SessionType,
    /// Key IDs: base64url of 16 bytes each, as EME writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kids: Vec<String>,
    /// `pssh` boxes, base64 (RFC 4648 section 4).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pssh: Vec<String>,
    /// The title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// The P-256 public JWK that the keys shall be sealed to. Read last, hence kept as it came.
    #[serde(default)]
    pub enc_jwk: Value,
    /// base64url of the SHA-256 of the authorization token (RFC 9449 section 4.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ath: Option<String>,
    /// Renewal and release: which license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_id: Option<String>,
    /// What the device says of itself.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::object_or_null"
    )]
    pub device: Option<DeviceDescription>,
    /// The code of a session to end. No service takes it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_session: Option<Value>,
}

/// What the device says of itself, for people to read. Decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDescription {
    /// "Living room".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The player.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// A request whose form is right and whose signature **nobody has verified yet**.
#[derive(Debug)]
pub struct SignedRequest<'a> {
    /// What the device signed. Its hash names the request: a second valid signature over the same
    /// text is the same request.
    pub signing_input: &'a str,
    /// ES256: `r || s` if it is one at all (RFC 7518 section 3.4).
    pub signature: Vec<u8>,
    /// The key from the header that the signature is claimed to be by.
    pub device_key: PublicKey,
    /// The service that was meant.
    pub aud: String,
    /// When the device says it asked.
    pub iat: UnixTime,
    /// The request's name.
    pub jti: String,
    /// What is wanted.
    pub request_type: RequestType,
    /// How long it is wanted for.
    pub session_type: SessionType,
    /// The KIDs of `kids` and `pssh`, each once.
    pub kids: BTreeSet<KeyId>,
    /// The title, unread.
    pub content_id: Option<String>,
    /// The key to seal to, unread.
    pub enc_jwk: Value,
    /// The hash of the token that the device used.
    pub ath: [u8; 32],
    /// What the device says of itself.
    pub device: DeviceDescription,
}

/// The body is not a license request. Each variant is one broken rule; nothing read is repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The outer form.
    #[error("the request is not a compact JWS as required: {0}")]
    Jws(#[from] jws::Error),
    /// `alg` is not `ES256`.
    #[error("the request's alg is ES256, nothing else")]
    Alg,
    /// The header brings a certificate chain, which no service takes yet.
    #[error("x5c is not supported yet; send the device key as jwk")]
    CertificateChain,
    /// The header's `jwk` is missing or unusable.
    #[error("the header's jwk (the device key): {0}")]
    DeviceKey(#[source] jwk::Error),
    /// The payload's form, or a missing or mistyped claim.
    #[error("the request's claims: {0}")]
    Claims(#[source] json::Error),
    /// `jti` is not 16 to 128 base64url characters.
    #[error("jti is 16 to 128 base64url characters with at least 128 random bits")]
    Jti,
    /// A member of `kids` is not a KID.
    #[error("each of kids is base64url of exactly 16 bytes")]
    Kid,
    /// More than [`KIDS_MAX`].
    #[error("kids and pssh name more than 64 keys")]
    TooManyKids,
    /// A member of `pssh` is unreadable, or there are too many.
    #[error("pssh: {0}")]
    Pssh(#[from] pssh::Error),
    /// None of `kids`, `pssh` and `content_id`.
    #[error("one of kids, pssh and content_id has to say what is asked for")]
    NothingAsked,
    /// `ath` is missing or not a hash.
    #[error("ath is base64url of the SHA-256 of the authorization token")]
    Ath,
    /// A member of `device` is not 1 to 64 printable characters.
    #[error("each member of device is at most 64 printable characters")]
    Device,
    /// `end_session` is there.
    #[error("end_session is not supported yet")]
    EndSession,
}

impl<'a> SignedRequest<'a> {
    /// Reads a request strictly.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let expect =
            jws::Expect { bytes_max: BYTES_MAX, typ: &[TYP], typ_optional: false, own_key: true };
        let jws = jws::Compact::parse(body, expect)?;
        if jws.alg != "ES256" {
            return Err(Error::Alg);
        }
        if jws.header.contains_key("x5c") {
            return Err(Error::CertificateChain);
        }
        let device_key = jws.header.get("jwk").unwrap_or(&Value::Null);
        let device_key = PublicKey::from_jwk(device_key).map_err(Error::DeviceKey)?;
        let claims: Claims = json::read(&jws.payload).map_err(Error::Claims)?;
        if claims.end_session.is_some() {
            return Err(Error::EndSession);
        }
        let kids = asked_kids(&claims)?;
        let ath = claims.ath.as_deref().ok_or(Error::Ath)?;
        Ok(Self {
            signing_input: jws.signing_input,
            signature: jws.signature,
            device_key,
            aud: claims.aud,
            iat: UnixTime::from_secs(claims.iat),
            jti: jti(claims.jti)?,
            request_type: claims.request_type,
            session_type: claims.session_type,
            kids,
            content_id: claims.content_id,
            enc_jwk: claims.enc_jwk,
            ath: base64url::decode_array(ath).map_err(|_| Error::Ath)?,
            device: description(claims.device.unwrap_or_default())?,
        })
    }
}

fn asked_kids(claims: &Claims) -> Result<BTreeSet<KeyId>, Error> {
    if claims.kids.is_empty() && claims.pssh.is_empty() && claims.content_id.is_none() {
        return Err(Error::NothingAsked);
    }
    if claims.kids.len() > KIDS_MAX {
        return Err(Error::TooManyKids);
    }
    let mut kids = BTreeSet::new();
    for kid in &claims.kids {
        let bytes = base64url::decode_array(kid).map_err(|_| Error::Kid)?;
        kids.insert(KeyId::from_bytes(bytes));
    }
    pssh::collect_kids(&claims.pssh, &mut kids)?;
    if kids.len() > KIDS_MAX {
        return Err(Error::TooManyKids);
    }
    Ok(kids)
}

fn jti(jti: String) -> Result<String, Error> {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let fits = (16..=128).contains(&jti.len()) && jti.bytes().all(base64url);
    if fits { Ok(jti) } else { Err(Error::Jti) }
}

fn description(device: DeviceDescription) -> Result<DeviceDescription, Error> {
    let members = [&device.name, &device.model, &device.os, &device.client];
    for text in members.into_iter().flatten() {
        if text.chars().count() > 64 || text.chars().any(char::is_control) {
            return Err(Error::Device);
        }
    }
    Ok(device)
}
