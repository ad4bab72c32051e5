//! Builds the license request that a player sends.

use alloc::string::String;
use p256::elliptic_curve::rand_core::TryCryptoRng;

use crate::exchange::draft;
use crate::exchange::pending::Pending;
use crate::exchange::request::{DeviceDescription, SessionType, TYP};
use crate::key::KeyId;
use crate::strict::base64url;
use crate::strict::jwk::PublicKey;
use crate::time::UnixTime;

#[doc(no_inline)]
pub use crate::exchange::draft::{Draft, Error};

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
    ) -> Result<Draft<Pending>, Error<R::Error>> {
        self.write(device, description, None, rng)
    }

    /// As [`draft`](Self::draft), and asks the service to end the session with the code `session` first,
    /// which is one of the conflicts that a refusal with `concurrency-limit` lists.
    ///
    /// # Errors
    /// [`Error`]: `rng` failed or repeats itself.
    pub fn draft_ending<R: TryCryptoRng + ?Sized>(
        &self,
        session: &str,
        device: &PublicKey,
        description: Option<DeviceDescription>,
        rng: &mut R,
    ) -> Result<Draft<Pending>, Error<R::Error>> {
        self.write(device, description, Some(session.into()), rng)
    }

    fn write<R: TryCryptoRng + ?Sized>(
        &self,
        device: &PublicKey,
        description: Option<DeviceDescription>,
        end_session: Option<String>,
        rng: &mut R,
    ) -> Result<Draft<Pending>, Error<R::Error>> {
        let (secret, enc_jwk) = draft::sealing_key(device, rng)?;
        let mut claims = draft::blank(self.service_id, self.session_type, self.iat, rng)?;
        claims.kids = self.kids.iter().map(|kid| base64url::encode(kid.as_bytes())).collect();
        claims.content_id = self.content_id.map(Into::into);
        claims.enc_jwk = enc_jwk.to_jwk();
        claims.ath = Some(draft::token_hash(self.token));
        claims.device = description;
        claims.end_session = end_session;
        Ok(Draft::new(TYP, &claims, device, |request_hash| Pending {
            secret,
            service_id: claims.aud.clone(),
            nonce: claims.jti.clone(),
            iat: self.iat,
            device: device.thumbprint(),
            request_hash,
            renewed: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::device::DeviceKey;
    use core::convert::Infallible;
    use p256::SecretKey;
    use p256::elliptic_curve::Generate;
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
