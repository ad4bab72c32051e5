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
use crate::exchange::signed::{self, SignedByDevice};
use crate::key::KeyId;
use crate::strict::jwk::PublicKey;
use crate::strict::{base64url, json};
use crate::time::UnixTime;

/// The `typ` of a request (RFC 8725 section 3.11).
pub const TYP: &str = "license-request+jwt";

/// The longest request, in bytes.
pub const BYTES_MAX: usize = signed::BYTES_MAX;

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
    /// The P-256 public JWK that the keys are sealed to; none in a release. Not parsed here: the service
    /// checks it last.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub enc_jwk: Value,
    /// base64url of the SHA-256 of the authorization token (RFC 9449 section 4.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ath: Option<String>,
    /// The ID of the license to renew or release: its `jti`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_id: Option<String>,
    /// When the stored license was first played: seconds from the `iat` of its counter 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_play: Option<u64>,
    /// What the device says about itself.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "json::object_or_null"
    )]
    pub device: Option<DeviceDescription>,
    /// The code of a conflicting session that this account wants ended, from a `concurrency-limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_session: Option<String>,
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
    /// The certificates of `x5c` in DER, the device's own first; none if there is no such member. Not
    /// verified.
    pub certificates: Vec<Vec<u8>>,
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
    /// The KIDs from `kids` and `pssh`, each once. None in a renewal or a release.
    pub kids: BTreeSet<KeyId>,
    /// The content ID, not checked. None in a renewal or a release.
    pub content_id: Option<String>,
    /// The JWK to seal to, not checked. `null` in a release, and only there.
    pub enc_jwk: Value,
    /// The SHA-256 of the authorization token that the device sent. Only a release may lack it.
    pub ath: Option<[u8; 32]>,
    /// The license to renew or release, 22 base64url characters. Exactly renewals and releases have it.
    pub license_id: Option<String>,
    /// When a stored license was first played: seconds from the `iat` of its counter 0. Only renewals and
    /// releases of a persistent license have it, and only if it was played.
    pub first_play: Option<u64>,
    /// The code of a conflicting session that this account wants ended, 1 to 128 base64url characters.
    /// A release has none.
    pub end_session: Option<String>,
    /// What the device says about itself.
    pub device: DeviceDescription,
}

/// The body is not a license request. The message repeats nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a compact JWS of `typ` `license-request+jwt` with the device key in its header.
    #[error(transparent)]
    Signed(#[from] signed::Error),
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
    /// A new license is asked for with none of `kids`, `pssh` and `content_id`.
    #[error("one of kids, pssh and content_id has to say what is asked for")]
    NothingAsked,
    /// A renewal or a release names keys or a title.
    #[error(
        "a RENEWAL and a RELEASE are for what the license holds: leave out kids, pssh and content_id"
    )]
    AskedAgain,
    /// A renewal or a release has no `license_id`.
    #[error("a RENEWAL and a RELEASE need license_id: the jti of the license")]
    LicenseIdMissing,
    /// `license_id` is not the base64url of 16 bytes.
    #[error("license_id is the jti of a license as it was received: 22 base64url characters")]
    LicenseId,
    /// A request for a new license has `license_id`.
    #[error("a NEW request has no license_id; to renew that license send request_type RENEWAL")]
    LicenseIdInNew,
    /// A request for a new license has `first_play`.
    #[error(
        "a NEW request has no first_play: nothing was played under a license that is not there yet"
    )]
    FirstPlayInNew,
    /// `first_play` in a temporary session.
    #[error("first_play is for session_type persistent-license; leave it out of a temporary one")]
    FirstPlayTemporary,
    /// A request for keys has no `enc_jwk`.
    #[error("a NEW and a RENEWAL need enc_jwk: a P-256 public key that the license is sealed to")]
    EncJwkMissing,
    /// A release has `enc_jwk`.
    #[error("a RELEASE has no enc_jwk: no keys are sent")]
    EncJwkInRelease,
    /// `ath` is missing in a request for keys.
    #[error("a NEW and a RENEWAL need ath: base64url of the SHA-256 of the authorization token")]
    AthMissing,
    /// `ath` is not the base64url of 32 bytes.
    #[error("ath is base64url of the SHA-256 of the authorization token")]
    Ath,
    /// A member of `device` is longer than 64 characters, or has a control character.
    #[error("each member of device is at most 64 printable characters")]
    Device,
    /// `end_session` is not 1 to 128 base64url characters.
    #[error("end_session is the session code of a conflict: 1 to 128 base64url characters")]
    EndSession,
    /// A release has `end_session`.
    #[error("a RELEASE has no end_session: it takes no slot")]
    EndSessionInRelease,
}

impl<'a> SignedRequest<'a> {
    /// Reads a request strictly.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let signed = SignedByDevice::parse(body, TYP)?;
        let claims: Claims = json::read(&signed.payload).map_err(Error::Claims)?;
        let kids = match claims.request_type {
            RequestType::New => asked_kids(&claims)?,
            RequestType::Renewal | RequestType::Release if names_keys(&claims) => {
                return Err(Error::AskedAgain);
            }
            RequestType::Renewal | RequestType::Release => BTreeSet::new(),
        };
        judge_license(&claims)?;
        judge_answer(&claims)?;
        let ath = claims.ath.as_deref();
        let ath = ath.map(|ath| signed::token_hash(ath).ok_or(Error::Ath)).transpose()?;
        Ok(Self {
            signing_input: signed.signing_input,
            signature: signed.signature,
            device_key: signed.device_key,
            certificates: signed.certificates,
            aud: claims.aud,
            iat: UnixTime::from_secs(claims.iat),
            jti: signed::request_id(claims.jti).ok_or(Error::Jti)?,
            request_type: claims.request_type,
            session_type: claims.session_type,
            kids,
            content_id: claims.content_id,
            enc_jwk: claims.enc_jwk,
            ath,
            license_id: claims.license_id,
            first_play: claims.first_play,
            device: claims.device.unwrap_or_default().printable().ok_or(Error::Device)?,
            end_session: claims.end_session,
        })
    }
}

impl DeviceDescription {
    /// The description, if each member has at most 64 printable characters.
    pub(crate) fn printable(self) -> Option<Self> {
        let members = [&self.name, &self.model, &self.os, &self.client];
        let fits =
            |text: &String| text.chars().count() <= 64 && !text.chars().any(char::is_control);
        let all_fit = members.into_iter().flatten().all(fits);
        all_fit.then_some(self)
    }
}

fn names_keys(claims: &Claims) -> bool {
    !claims.kids.is_empty() || !claims.pssh.is_empty() || claims.content_id.is_some()
}

fn asked_kids(claims: &Claims) -> Result<BTreeSet<KeyId>, Error> {
    if !names_keys(claims) {
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

/// What a request says about a license that the device has already.
fn judge_license(claims: &Claims) -> Result<(), Error> {
    match (claims.request_type, claims.license_id.as_deref()) {
        (RequestType::New, Some(_)) => return Err(Error::LicenseIdInNew),
        (RequestType::New, None) if claims.first_play.is_some() => {
            return Err(Error::FirstPlayInNew);
        }
        (RequestType::New, None) => {}
        (RequestType::Renewal | RequestType::Release, None) => {
            return Err(Error::LicenseIdMissing);
        }
        (RequestType::Renewal | RequestType::Release, Some(id)) => {
            base64url::decode_array::<16>(id).map_err(|_| Error::LicenseId)?;
        }
    }
    if claims.first_play.is_some() && claims.session_type == SessionType::Temporary {
        return Err(Error::FirstPlayTemporary);
    }
    Ok(())
}

/// What a request says about the answer to it, which has no keys after a release.
fn judge_answer(claims: &Claims) -> Result<(), Error> {
    let is_code = |code: &String| signed::is_base64url(code, 1);
    match claims.request_type {
        RequestType::New | RequestType::Renewal if claims.enc_jwk.is_null() => {
            Err(Error::EncJwkMissing)
        }
        RequestType::New | RequestType::Renewal if claims.ath.is_none() => Err(Error::AthMissing),
        RequestType::New | RequestType::Renewal if !claims.end_session.iter().all(is_code) => {
            Err(Error::EndSession)
        }
        RequestType::Release if !claims.enc_jwk.is_null() => Err(Error::EncJwkInRelease),
        RequestType::Release if claims.end_session.is_some() => Err(Error::EndSessionInRelease),
        RequestType::New | RequestType::Renewal | RequestType::Release => Ok(()),
    }
}
