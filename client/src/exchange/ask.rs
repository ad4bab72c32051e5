//! Builds the license request that a player sends.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::rand_core::TryCryptoRng;
use sha2::{Digest, Sha256};

use crate::exchange::device::DeviceKey;
use crate::exchange::pending::Pending;
use crate::exchange::request::{Claims, DeviceDescription, RequestType, SessionType, TYP};
use crate::exchange::signature::Signature;
use crate::key::KeyId;
use crate::strict::base64url;
use crate::strict::jwk::PublicKey;
use crate::time::UnixTime;

/// What a player asks for: a new license, for a title (`content_id`) or for keys (`kids`).
///
/// ```
/// use getrandom::SysRng;
/// use reelkey_client::exchange::{Ask, DeviceKey, SessionType};
/// use reelkey_client::time::UnixTime;
///
/// let device = DeviceKey::generate(&mut SysRng)?;
/// let ask = Ask {
///     service_id: "reelkey",
///     token: "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9..", // from the operator's auth service
///     kids: &["4d97930a-3d7b-5000-8000-5c7bda1f0a11".parse()?],
///     content_id: None,
///     session_type: SessionType::Temporary,
///     iat: UnixTime::from_secs(1_700_000_000), // now
/// };
/// let (body, pending) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
/// // POST `body`; keep `pending` to open the answer.
/// # assert_eq!(body.split('.').count(), 3);
/// # drop(pending);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The service's ID, configured in the player. A license of another service is refused.
    pub service_id: &'a str,
    /// The authorization token. The player also sends it as `Authorization: Bearer <token>`; the
    /// request holds its hash only.
    pub token: &'a str,
    /// The KIDs of the wanted keys, from `default_KID` or a `pssh` box; may be empty.
    pub kids: &'a [KeyId],
    /// The content ID of the wanted title.
    pub content_id: Option<&'a str>,
    /// Whether the device stores the license.
    pub session_type: SessionType,
    /// The current time. A device without a clock takes
    /// [`server_time`](crate::exchange::problem::Problem::server_time) from a refusal.
    pub iat: UnixTime,
}

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
}

impl Ask<'_> {
    /// Writes the request that the device key `device` has to sign, with a fresh request ID (`jti`)
    /// and a fresh key for the service to seal to (`enc_jwk`).
    ///
    /// `description` is shown to the operator and decides nothing.
    ///
    /// # Errors
    /// [`Error`]: `rng` failed or repeats itself.
    pub fn draft<R: TryCryptoRng + ?Sized>(
        &self,
        device: &PublicKey,
        description: Option<DeviceDescription>,
        rng: &mut R,
    ) -> Result<Draft, Error<R::Error>> {
        let secret = SecretKey::try_generate_from_rng(rng).map_err(Error::Random)?;
        let enc_jwk = PublicKey::from_p256(secret.public_key());
        if enc_jwk.is_same_or_negative(device) {
            return Err(Error::RepeatedKey);
        }
        let mut jti = [0; 16];
        rng.try_fill_bytes(&mut jti).map_err(Error::Random)?;
        let claims = Claims {
            aud: self.service_id.into(),
            iat: self.iat.as_secs(),
            jti: base64url::encode(&jti),
            request_type: RequestType::New,
            session_type: self.session_type,
            kids: self.kids.iter().map(|kid| base64url::encode(kid.as_bytes())).collect(),
            pssh: Vec::new(),
            content_id: self.content_id.map(Into::into),
            enc_jwk: enc_jwk.to_jwk(),
            ath: Some(base64url::encode(&Sha256::digest(self.token))),
            license_id: None,
            first_play: None,
            device: description,
            end_session: None,
        };
        let header = format!(r#"{{"typ":"{TYP}","alg":"ES256","jwk":{}}}"#, device.to_jwk());
        // Serializing strings and numbers cannot fail. If it ever did, the service would refuse the
        // empty payload.
        let payload = serde_json::to_vec(&claims).unwrap_or_default();
        let signing_input =
            format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(&payload));
        let pending = Pending {
            secret,
            service_id: claims.aud,
            nonce: claims.jti,
            iat: self.iat,
            device: device.thumbprint(),
            request_hash: Sha256::digest(&signing_input).into(),
        };
        Ok(Draft { signing_input, pending })
    }
}

/// A request without its signature.
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
pub struct Draft {
    signing_input: String,
    pending: Pending,
}

impl Draft {
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
    pub fn sign(self, key: &DeviceKey) -> (String, Pending) {
        let signature = key.sign(self.signing_input.as_bytes());
        self.with_signature(&signature)
    }

    /// Adds a signature over [`signing_input`](Self::signing_input) that was made elsewhere. Returns
    /// the body to POST, and what opens the answer to it.
    #[must_use]
    pub fn with_signature(self, signature: &Signature) -> (String, Pending) {
        let mut body = self.signing_input.to_string();
        body.push('.');
        body.push_str(&base64url::encode(signature.as_bytes()));
        (body, self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use p256::elliptic_curve::rand_core::TryRng;

    /// A broken random source: every draw returns the same bytes.
    struct Stuck;

    impl TryRng for Stuck {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(0x0707_0707)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(0x0707_0707_0707_0707)
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.fill(7);
            Ok(())
        }
    }

    impl TryCryptoRng for Stuck {}

    #[test]
    fn a_random_source_that_repeats_the_device_key_is_refused() {
        let ask = Ask {
            service_id: "reelkey",
            token: "token",
            kids: &[],
            content_id: Some("bunny"),
            session_type: SessionType::Temporary,
            iat: UnixTime::from_secs(1_700_000_000),
        };
        let device = DeviceKey::generate(&mut Stuck).unwrap();
        let draft = ask.draft(&device.public_key(), None, &mut Stuck);
        assert!(matches!(draft, Err(Error::RepeatedKey)));

        let scalar = SecretKey::try_generate_from_rng(&mut Stuck).unwrap().to_nonzero_scalar();
        let negative = PublicKey::from_p256(SecretKey::from(-scalar).public_key());
        assert_ne!(negative, device.public_key());
        assert!(matches!(ask.draft(&negative, None, &mut Stuck), Err(Error::RepeatedKey)));

        let other = SecretKey::from_slice(&[8; 32]).unwrap().public_key();
        assert!(ask.draft(&PublicKey::from_p256(other), None, &mut Stuck).is_ok());
    }
}
