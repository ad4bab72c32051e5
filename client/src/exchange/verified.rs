//! What every answer of the service has in common: a compact JWS that one of its keys signed.
//!
//! Deliberately absent: the claims, and the comparisons with the request.

use alloc::string::String;
use alloc::vec::Vec;

use crate::exchange::jwks::Jwks;
use crate::exchange::signature::Signature;
use crate::strict::jwk::PublicKey;
use crate::strict::jws;

/// The answer is not signed by the service. The message repeats nothing of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a compact JWS of the expected `typ`.
    #[error("the answer is not a compact JWS as required: {0}")]
    Jws(#[from] jws::Error),
    /// `alg` is not `ES256`.
    #[error("the answer's alg is not ES256")]
    Alg,
    /// `kid` is missing or not in the key set; a fresh key set may have it (RFC 7517 section 4.5).
    #[error("the answer is signed by a key that is not in the service's key set; fetch it again")]
    UnknownKey,
    /// The signature is not the service's (RFC 7515 section 5.2).
    #[error("the answer's signature does not verify")]
    Signature,
}

/// An answer that the service signed.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) payload: Vec<u8>,
    pub(crate) signer: Signer,
}

/// The key that signed an answer, and its name.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) key: PublicKey,
}

impl Verified {
    /// Verifies `answer`, a compact JWS of this `typ`, against the service's keys.
    pub(crate) fn parse(
        answer: &[u8],
        typ: &str,
        bytes_max: usize,
        jwks: &Jwks,
    ) -> Result<Self, Error> {
        let expect = jws::Expect { bytes_max, typ: &[typ], typ_optional: false, own_key: false };
        let jws = jws::Compact::parse(answer, expect)?;
        if jws.alg != "ES256" {
            return Err(Error::Alg);
        }
        let kid = jws.kid.ok_or(Error::UnknownKey)?;
        let key = jwks.key(&kid).ok_or(Error::UnknownKey)?;
        let signature = Signature::from_bytes(&jws.signature).map_err(|_| Error::Signature)?;
        if !signature.verifies(key, jws.signing_input.as_bytes()) {
            return Err(Error::Signature);
        }
        Ok(Self { payload: jws.payload, signer: Signer { kid, key: key.clone() } })
    }
}
