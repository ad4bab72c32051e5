//! From the terms of a grant to the signed license: its claims and the service's signature.

use reelkey_client::exchange::license::{Claims, Confirmation, Policy, TYP, Track};
use reelkey_client::exchange::request::SessionType;
use reelkey_client::strict::base64url;
use reelkey_client::strict::jwk::Thumbprint;
use serde::Serialize;
use serde_json::json;

use crate::authority::vault::fault::Fault;
use crate::crypto::sign::SigningKey;
use crate::domain::decision::{Allowed, GrantedTrack, Terms};

/// The claims of a license that are not part of its terms.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) service_id: &'a str,
    pub(super) account: &'a str,
    pub(super) license_id: String,
    pub(super) device: Thumbprint,
    pub(super) nonce: String,
    pub(super) session_type: SessionType,
    pub(super) sealed_keys: String,
}

/// The license as a compact JWS (RFC 7515 section 7.1).
pub(super) fn sign(
    terms: &Terms,
    context: Context<'_>,
    signer: &SigningKey,
) -> Result<String, Fault> {
    signed(TYP, &claims(terms, context), signer)
}

/// Claims of the service as a compact JWS of this `typ`.
pub(super) fn signed(
    typ: &str,
    claims: &impl Serialize,
    signer: &SigningKey,
) -> Result<String, Fault> {
    let kid = signer.public_key().thumbprint().to_string();
    let header = json!({ "typ": typ, "alg": "ES256", "kid": kid }).to_string();
    let claims = serde_json::to_vec(claims)?;
    let signing_input =
        format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(&claims));
    let signature = signer.sign(signing_input.as_bytes())?;
    Ok(format!("{signing_input}.{}", base64url::encode(&signature)))
}

fn claims(terms: &Terms, context: Context<'_>) -> Claims {
    Claims {
        iss: context.service_id.to_owned(),
        sub: context.account.to_owned(),
        jti: context.license_id,
        iat: terms.not_before.as_secs(),
        nbf: terms.not_before.as_secs(),
        exp: terms.expires.as_secs(),
        cnf: Confirmation { jkt: context.device.to_string() },
        nonce: context.nonce,
        counter: terms.counter,
        content_id: terms.content.to_string(),
        session_type: context.session_type,
        region: terms.region.as_ref().map(ToString::to_string),
        policy_id: terms.policy_id.clone(),
        policy: policy(terms),
        tracks: terms.tracks.iter().map(track).collect(),
        keys: context.sealed_keys,
    }
}

fn policy(terms: &Terms) -> Policy {
    let Allowed {
        can_persist,
        can_renew,
        can_release,
        license_duration,
        rental_duration,
        playback_duration,
        renewal_delay,
        renewal_retry_interval,
        renewal_recovery_duration,
    } = terms.allowed;
    Policy {
        can_play: true,
        can_persist,
        can_renew,
        can_release,
        license_duration,
        rental_duration,
        playback_duration,
        renewal_delay,
        renewal_retry_interval,
        renewal_recovery_duration,
        expires_because: terms.expires_because.to_owned(),
    }
}

fn track(granted: &GrantedTrack) -> Track {
    Track {
        kid: base64url::encode(granted.kid.as_bytes()),
        track_type: granted.track.map(|track| track.to_string()),
        security_level: granted.rule.security_level.map(|level| level.as_str().to_owned()),
        hdcp: granted.rule.hdcp.map(|hdcp| hdcp.as_str().to_owned()),
        max_height: granted.rule.max_height,
        crypto_period_index: granted.period,
    }
}
