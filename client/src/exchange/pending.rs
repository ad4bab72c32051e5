//! From the service's answer to the keys: every comparison that no JOSE library makes.

use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64UrlUnpadded, Encoding};
use core::fmt;
use p256::SecretKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::exchange::jwks::{Jwks, verify_es256};
use crate::exchange::license::{BYTES_MAX, Claims, IAT_DISTANCE_SECS_MAX, TYP};
use crate::exchange::{jwe, license};
use crate::key::{ContentKey, KeyId};
use crate::strict::jwk::Thumbprint;
use crate::strict::{base64url, json, jws};
use crate::time::UnixTime;

/// A request on its way: what its answer has to agree with, and the secret that opens it.
pub struct Pending {
    pub(crate) secret: SecretKey,
    pub(crate) service_id: String,
    pub(crate) nonce: String,
    pub(crate) iat: UnixTime,
    pub(crate) device: Thumbprint,
    pub(crate) request_hash: [u8; 32],
}

/// A license that was verified, held to its request, and opened.
#[derive(Debug)]
pub struct License {
    /// What the service signed.
    pub claims: Claims,
    /// The keys it licensed, as many as the service sent.
    pub keys: Vec<(KeyId, ContentKey)>,
}

/// The answer is not a license for this request. No key comes out of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a compact JWS of `typ` `license+jwt`.
    #[error("the license is not a compact JWS as required: {0}")]
    Jws(#[from] jws::Error),
    /// `alg` is not `ES256`.
    #[error("the license's alg is not ES256")]
    Alg,
    /// `kid` is missing or not in the key set; a fresh key set may have it (RFC 7517 section 4.5).
    #[error("the license is signed by a key that is not in the service's key set; fetch it again")]
    UnknownKey,
    /// The signature is not the service's (RFC 7515 section 5.2).
    #[error("the license's signature does not verify")]
    Signature,
    /// A claim is missing or mistyped.
    #[error("the license's claims: {0}")]
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
    /// Not `nbf` ≤ `iat` < `exp`.
    #[error("the license's times are not nbf <= iat < exp")]
    Times,
    /// `iat` is further than 120 s from the request's.
    #[error("the license was not made within 120 seconds of the request")]
    Stale,
    /// The keys do not open.
    #[error(transparent)]
    Sealed(#[from] jwe::Error),
    /// What was sealed is not exactly a JWK Set of 16-byte `oct` keys, each KID once.
    #[error("the opened keys are not a JWK Set of 16-byte oct keys (RFC 7518, 6.4)")]
    Keys,
}

impl Pending {
    /// Verifies `answer`, the body of a `200`, against the service's keys; holds `iss`, `nonce`,
    /// `cnf.jkt`, the times, `apu` and `apv` to the request; opens the keys.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn open(&self, answer: &[u8], jwks: &Jwks) -> Result<License, Error> {
        let expect =
            jws::Expect { bytes_max: BYTES_MAX, typ: &[TYP], typ_optional: false, own_key: false };
        let jws = jws::Compact::parse(answer, expect)?;
        if jws.alg != "ES256" {
            return Err(Error::Alg);
        }
        let key = jws.kid.as_deref().and_then(|kid| jwks.key(kid)).ok_or(Error::UnknownKey)?;
        if !verify_es256(key, jws.signing_input.as_bytes(), &jws.signature) {
            return Err(Error::Signature);
        }
        let claims: Claims = json::read(&jws.payload).map_err(Error::Claims)?;
        self.hold(&claims)?;
        let parties = jwe::Parties { apu: self.service_id.as_bytes(), apv: &self.request_hash };
        let opened = jwe::open(&claims.keys, &self.secret, parties)?;
        Ok(License { keys: read_keys(&opened)?, claims })
    }

    fn hold(&self, claims: &Claims) -> Result<(), Error> {
        if claims.iss != self.service_id {
            return Err(Error::Issuer);
        }
        if claims.nonce != self.nonce {
            return Err(Error::Nonce);
        }
        if Thumbprint::parse(&claims.cnf.jkt) != Ok(self.device) {
            return Err(Error::Device);
        }
        if claims.nbf > claims.iat || claims.iat >= claims.exp {
            return Err(Error::Times);
        }
        if UnixTime::from_secs(claims.iat).abs_diff(self.iat) > IAT_DISTANCE_SECS_MAX {
            return Err(Error::Stale);
        }
        Ok(())
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({}, ..)", self.nonce)
    }
}

impl License {
    /// Whether the license still holds `elapsed_secs` after its request was sent, on a clock that
    /// only goes forward. The device's own idea of the date is not asked.
    #[must_use]
    pub fn holds_after(&self, elapsed_secs: u64) -> bool {
        self.claims.iat.saturating_add(elapsed_secs) < self.claims.exp
    }

    /// The key's properties, if the license has it.
    #[must_use]
    pub fn track(&self, kid: KeyId) -> Option<&license::Track> {
        let kid = base64url::encode(kid.as_bytes());
        self.claims.tracks.iter().find(|track| track.kid == kid)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySet {
    #[serde(deserialize_with = "json::objects")]
    keys: Vec<OctetKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OctetKey {
    kty: String,
    kid: String,
    k: Zeroizing<String>,
}

fn read_keys(opened: &[u8]) -> Result<Vec<(KeyId, ContentKey)>, Error> {
    let set: KeySet = json::read(opened).map_err(|_| Error::Keys)?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        let kid = base64url::decode_array(&jwk.kid).map_err(|_| Error::Keys)?;
        let kid = KeyId::from_bytes(kid);
        if jwk.kty != "oct" || keys.iter().any(|(seen, _)| *seen == kid) {
            return Err(Error::Keys);
        }
        let key = ContentKey::try_init(|bytes| {
            let read = Base64UrlUnpadded::decode(jwk.k.as_bytes(), bytes);
            if read.is_ok_and(|read| read.len() == 16) { Ok(()) } else { Err(Error::Keys) }
        })?;
        keys.push((kid, key));
    }
    Ok(keys)
}
