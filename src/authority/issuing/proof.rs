//! Proof of possession: the holder of the device key sent this request, to this service, now, and with this token
//! (RFC 7800).

use reelkey_client::exchange::license::IAT_DISTANCE_SECS_MAX;
use reelkey_client::exchange::request::SignedRequest;
use reelkey_client::strict::jwk::{PublicKey, Thumbprint};
use reelkey_client::time::UnixTime;

use crate::authority::issuing::refused::{Refused, refuse, refuse_by};
use crate::authority::issuing::token::Viewer;
use crate::authority::stop::Stop;
use crate::crypto::digest::sha256;
use crate::crypto::sign;
use crate::domain::refusal::Refusal;

/// The result of a successful proof. Only [`prove`] makes it.
#[derive(Debug)]
pub struct Proof {
    /// The device key's thumbprint.
    pub(super) device: Thumbprint,
    /// SHA-256 of the request's signing input: `apv` of the license's keys.
    pub(super) request_hash: [u8; 32],
}

/// Checks, in this order: signature, `aud`, `iat`, `ath`, `cnf`. [`recipient`] follows.
///
/// # Errors
/// The first failed check.
pub fn prove(
    request: &SignedRequest<'_>,
    viewer: &Viewer,
    service_id: &str,
    now: UnixTime,
) -> Result<Proof, Stop<Refused>> {
    prove_signature(request, service_id)?;
    if request.iat.abs_diff(now) > IAT_DISTANCE_SECS_MAX {
        return Err(refuse(Refusal::RequestStale));
    }
    if request.ath != Some(*viewer.token_hash()) {
        let rule = "ath is not the SHA-256 of the authorization token that was sent";
        return Err(refuse_by(Refusal::ProofInvalid, rule));
    }
    let device = request.device_key.thumbprint();
    if viewer.entitlement().device.is_some_and(|bound| bound != device) {
        return Err(refuse(Refusal::TokenNotBound));
    }
    Ok(Proof { device, request_hash: sha256(request.signing_input.as_bytes()) })
}

fn prove_signature(request: &SignedRequest<'_>, service_id: &str) -> Result<(), Stop<Refused>> {
    let message = request.signing_input.as_bytes();
    if !sign::verify(&request.device_key, message, &request.signature) {
        let rule = "the request's signature does not verify under its own jwk";
        return Err(refuse_by(Refusal::ProofInvalid, rule));
    }
    if request.aud != service_id {
        return Err(refuse_by(Refusal::BadRequest, "aud is not the id of this service"));
    }
    Ok(())
}

/// Checks a release, whose token is optional: signature, `aud`, and with a token `ath` and `cnf`. When it was signed, the license
/// tells: pages sign it ahead.
///
/// # Errors
/// The first failed check.
pub fn prove_release(
    request: &SignedRequest<'_>,
    viewer: Option<&Viewer>,
    service_id: &str,
) -> Result<(), Stop<Refused>> {
    match viewer {
        // The time is the license's matter.
        Some(viewer) => prove(request, viewer, service_id, request.iat).map(|_| ()),
        None => prove_signature(request, service_id),
    }
}

/// The public key that the license is sealed to: the request's `enc_jwk`. A release has none.
///
/// # Errors
/// [`Refusal::BadRequest`] if it is no P-256 key, or the device key or its negative.
pub fn recipient(request: &SignedRequest<'_>) -> Result<PublicKey, Stop<Refused>> {
    let recipient = PublicKey::from_jwk(&request.enc_jwk)
        .map_err(|why| refuse_by(Refusal::BadRequest, format_args!("enc_jwk: {why}")))?;
    if recipient.is_same_or_negative(&request.device_key) {
        let rule = "enc_jwk is the device key or its negative; one key has one purpose";
        return Err(refuse_by(Refusal::BadRequest, rule));
    }
    Ok(recipient)
}
