//! The license request: a compact JWS by the device, `typ` `license-request+jwt`.
//!
//! [`Claims`] is what travels. [`SignedRequest`] is what the service has after strict reading, before
//! it verifies the signature. [`RequestType`] and [`SessionType`] are not `#[non_exhaustive]`: the
//! server matches them, and a new value must not fall into a default arm there.
//!
//! Deliberately absent: drafting ([`crate::exchange::ask`]), verification and the decision, which the
//! server makes.

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

/// The greatest number of KIDs that one request may name, those in `pssh` included.
pub const KIDS_MAX: usize = 64;

/// What the device asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RequestType {
    /// A first license.
    New,
    /// A renewal: the same license with new times.
    Renewal,
    /// The release of a license.
    Release,
}

/// Whether the device stores the license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionType {
    /// For this playback; the device does not store it.
    Temporary,
    /// Stored by the device, for playback without a connection.
    PersistentLicense,
}

/// The claims as they travel. Only [`Ask::draft`](crate::exchange::ask::Ask::draft) writes them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// The ID of the service that is asked.
    pub aud: String,
    /// When the request was made, in seconds since 1970.
    pub iat: u64,
    /// The request ID: 16 to 128 base64url characters, with at least 128 random bits.
    pub jti: String,
    /// What is asked for.
    pub request_type: RequestType,
    /// Whether the device stores the license.
    pub session_type: SessionType,
    /// The KIDs: base64url of 16 bytes each, as EME writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kids: Vec<String>,
    /// `pssh` boxes in base64 (RFC 4648 section 4).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pssh: Vec<String>,
    /// The content ID of the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// The P-256 public JWK that the keys are sealed to. Not parsed here: the service checks it last.
    #[serde(default)]
    pub enc_jwk: Value,
    /// base64url of the SHA-256 of the authorization token (RFC 9449 section 4.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ath: Option<String>,
    /// The ID of the license to renew or release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_id: Option<String>,
    /// What the device says about itself.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::object_or_null"
    )]
    pub device: Option<DeviceDescription>,
    /// The code of a session to end. No service accepts it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_session: Option<Value>,
}

/// What the device says about itself, for people to read. It decides nothing.
///
/// Each member has at most 64 printable characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceDescription {
    /// The device's name, such as "Living room".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model of the hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The player's name and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// A well-formed request whose signature is **not verified yet**.
///
/// ```
/// # use getrandom::SysRng;
/// # use reelkey_client::exchange::{Ask, DeviceKey, SessionType};
/// # use reelkey_client::time::UnixTime;
/// use reelkey_client::exchange::request::SignedRequest;
///
/// # let device = DeviceKey::generate(&mut SysRng)?;
/// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
/// #     session_type: SessionType::Temporary, iat: UnixTime::from_secs(1_700_000_000) };
/// # let (body, _) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
/// let request = SignedRequest::parse(body.as_bytes())?;
/// // A service now verifies `signature` over `signing_input` with `device_key`.
/// assert_eq!(request.device_key, device.public_key());
/// assert_eq!(request.aud, "reelkey");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedRequest<'a> {
    /// The text that the device signed. Its hash identifies the request: a second valid signature over
    /// the same text is the same request.
    pub signing_input: &'a str,
    /// The bytes in the place of the ES256 signature, `r || s` (RFC 7518 section 3.4). Their number is
    /// not checked yet.
    pub signature: Vec<u8>,
    /// The device key from the header, which the signature has to verify under.
    pub device_key: PublicKey,
    /// The ID of the service that the request is for.
    pub aud: String,
    /// When the request was made, by the device's clock.
    pub iat: UnixTime,
    /// The request ID.
    pub jti: String,
    /// What is asked for.
    pub request_type: RequestType,
    /// Whether the device stores the license.
    pub session_type: SessionType,
    /// The KIDs from `kids` and `pssh`, each once.
    pub kids: BTreeSet<KeyId>,
    /// The content ID, not checked.
    pub content_id: Option<String>,
    /// The JWK to seal to, not checked.
    pub enc_jwk: Value,
    /// The SHA-256 of the authorization token that the device sent.
    pub ath: [u8; 32],
    /// What the device says about itself.
    pub device: DeviceDescription,
}

/// The body is not a license request. The message repeats nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a compact JWS of `typ` `license-request+jwt`.
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
    /// The payload is not strict JSON, or a claim is missing or has another type.
    #[error("the request's claims: {0}")]
    Claims(#[source] json::Error),
    /// `jti` is not 16 to 128 base64url characters.
    #[error("jti is 16 to 128 base64url characters with at least 128 random bits")]
    Jti,
    /// A member of `kids` is not the base64url of 16 bytes.
    #[error("each of kids is base64url of exactly 16 bytes")]
    Kid,
    /// `kids` and `pssh` name more than [`KIDS_MAX`] keys.
    #[error("kids and pssh name more than 64 keys")]
    TooManyKids,
    /// The `pssh` claim cannot be read.
    #[error("pssh: {0}")]
    Pssh(#[from] pssh::Error),
    /// None of `kids`, `pssh` and `content_id`.
    #[error("one of kids, pssh and content_id has to say what is asked for")]
    NothingAsked,
    /// `ath` is missing or not the base64url of 32 bytes.
    #[error("ath is base64url of the SHA-256 of the authorization token")]
    Ath,
    /// A member of `device` is longer than 64 characters, or has a control character.
    #[error("each member of device is at most 64 printable characters")]
    Device,
    /// The request has `end_session`.
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
