//! A request without its signature, and what drafting one takes: claims, a request ID, a fresh key.
//!
//! Deliberately absent: what is asked for ([`ask`](crate::exchange::ask), [`renew`](crate::exchange::renew),
//! [`release`](crate::exchange::release), [`register`](crate::exchange::register)).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::rand_core::TryCryptoRng;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::exchange::device::DeviceKey;
use crate::exchange::license;
use crate::exchange::request::{Claims, RequestType, SessionType};
use crate::exchange::signature::Signature;
use crate::strict::base64url;
use crate::strict::jwk::{PublicKey, Thumbprint};
use crate::time::UnixTime;

/// The request could not be drafted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E> {
    /// The random source failed.
    #[error("the random source failed")]
    Random(#[source] E),
    /// The key drawn for `enc_jwk` is the device key or its negative, which a working random source
    /// never draws. **The device key was drawn from the same source and has to be replaced.**
    #[error("the random source repeats itself: it drew the device key again")]
    RepeatedKey,
    /// The license to renew or release was issued to another device key.
    #[error("the license was issued to another device key; renew and release it with that one")]
    OtherDevice,
    /// `first_play` for a temporary license, whose playback the service dates itself.
    #[error("first_play is for persistent licenses; leave it out for a temporary one")]
    FirstPlay,
}

/// A request without its signature. `P` is what opens the answer to it.
///
/// ```
/// # use getrandom::SysRng;
/// # use reelkey_client::exchange::{Ask, DeviceKey, SessionType, Signature};
/// # use reelkey_client::time::UnixTime;
/// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
/// #     session_type: SessionType::Temporary, iat: UnixTime::from_secs(1_700_000_000) };
/// # let platform_key = DeviceKey::generate(&mut SysRng)?;
/// # let public_key = platform_key.public_key();
/// # let platform_sign = |message: &[u8]| *platform_key.sign(message).as_bytes();
/// // With a key that the platform keeps: it signs the text, SHA-256 included.
/// let draft = ask.draft(&public_key, None, &mut SysRng)?;
/// let signature = Signature::from_bytes(&platform_sign(draft.signing_input().as_bytes()))?;
/// let (body, pending) = draft.with_signature(&signature);
/// # assert!(body.is_ascii());
/// # drop(pending);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Draft<P> {
    pub(super) signing_input: String,
    pub(super) pending: P,
}

impl<P> Draft<P> {
    /// The draft of a request of this `typ` with these claims; `pending` gets the hash of its signing
    /// input.
    pub(crate) fn new(
        typ: &str,
        claims: &impl Serialize,
        device: &PublicKey,
        pending: impl FnOnce([u8; 32]) -> P,
    ) -> Self {
        let header = format!(r#"{{"typ":"{typ}","alg":"ES256","jwk":{}}}"#, device.to_jwk());
        // Serializing strings and numbers cannot fail. If it ever did, the service would refuse the
        // empty payload.
        let payload = serde_json::to_vec(claims).unwrap_or_default();
        let signing_input =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(&payload));
        let pending = pending(Sha256::digest(&signing_input).into());
        Self { signing_input, pending }
    }

    /// The JWS signing input (RFC 7515 section 5.1), ASCII: the device key signs it with ES256.
    #[must_use]
    pub fn signing_input(&self) -> &str {
        &self.signing_input
    }

    /// Signs with a key in memory. Returns the body to POST, and what opens the answer to it.
    ///
    /// `key` has to be the private half of the key that the draft was made for. Otherwise the
    /// service refuses the request with `proof-invalid`.
    #[must_use]
    pub fn sign(self, key: &DeviceKey) -> (String, P) {
        let signature = key.sign(self.signing_input.as_bytes());
        self.with_signature(&signature)
    }

    /// Adds a signature over [`signing_input`](Self::signing_input) that was made elsewhere. Returns
    /// the body to POST, and what opens the answer to it.
    #[must_use]
    pub fn with_signature(self, signature: &Signature) -> (String, P) {
        let mut body = self.signing_input.to_string();
        body.push('.');
        body.push_str(&base64url::encode(signature.as_bytes()));
        (body, self.pending)
    }
}

/// A fresh key for the service to seal to, another one than `device`.
pub(crate) fn sealing_key<R: TryCryptoRng + ?Sized>(
    device: &PublicKey,
    rng: &mut R,
) -> Result<(SecretKey, PublicKey), Error<R::Error>> {
    let secret = SecretKey::try_generate_from_rng(rng).map_err(Error::Random)?;
    let enc_jwk = PublicKey::from_p256(secret.public_key());
    if enc_jwk.is_same_or_negative(device) {
        return Err(Error::RepeatedKey);
    }
    Ok((secret, enc_jwk))
}

/// The claims of a request to `service_id` that asks for nothing yet, with a fresh request ID.
pub(crate) fn blank<R: TryCryptoRng + ?Sized>(
    service_id: &str,
    session_type: SessionType,
    iat: UnixTime,
    rng: &mut R,
) -> Result<Claims, Error<R::Error>> {
    Ok(Claims {
        aud: service_id.into(),
        iat: iat.as_secs(),
        jti: request_id(rng)?,
        request_type: RequestType::New,
        session_type,
        kids: Vec::new(),
        pssh: Vec::new(),
        content_id: None,
        enc_jwk: Value::Null,
        ath: None,
        license_id: None,
        first_play: None,
        device: None,
        end_session: None,
    })
}

/// The claims of a request about a license that the device `device` holds.
pub(crate) fn of_held<R: TryCryptoRng + ?Sized>(
    license: &license::Claims,
    device: &PublicKey,
    first_play: Option<u64>,
    iat: UnixTime,
    rng: &mut R,
) -> Result<Claims, Error<R::Error>> {
    if Thumbprint::parse(&license.cnf.jkt) != Ok(device.thumbprint()) {
        return Err(Error::OtherDevice);
    }
    if first_play.is_some() && license.session_type == SessionType::Temporary {
        return Err(Error::FirstPlay);
    }
    let mut claims = blank(&license.iss, license.session_type, iat, rng)?;
    claims.license_id = Some(license.jti.clone());
    claims.first_play = first_play;
    Ok(claims)
}

/// A fresh request ID.
pub(crate) fn request_id<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<String, Error<R::Error>> {
    let mut jti = [0; 16];
    rng.try_fill_bytes(&mut jti).map_err(Error::Random)?;
    Ok(base64url::encode(&jti))
}

/// What `ath` says of a token.
pub(crate) fn token_hash(token: &str) -> String {
    base64url::encode(&Sha256::digest(token))
}
