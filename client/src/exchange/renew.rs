//! Asks for new times of a license that the device holds.
//!
//! The answer is a license with the same ID, a higher counter, and keys that are sealed anew.
//!
//! Deliberately absent: when to renew ([`schedule`](crate::exchange::schedule)).

use p256::elliptic_curve::rand_core::TryCryptoRng;

use crate::exchange::draft::{self, Draft, Error};
use crate::exchange::license;
use crate::exchange::pending::{Pending, Renewed};
use crate::exchange::request::{RequestType, TYP};
use crate::strict::jwk::PublicKey;
use crate::time::UnixTime;

/// A renewal of a license.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchange/service.rs"));
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use getrandom::SysRng;
/// # use reelkey_client::exchange::{Ask, DeviceKey, Jwks, SessionType};
/// # use reelkey_client::time::UnixTime;
/// use reelkey_client::exchange::Renew;
///
/// # let device = DeviceKey::generate(&mut SysRng)?;
/// # let ask = Ask { service_id: "reelkey", token: "token", kids: &[], content_id: Some("bunny"),
/// #     session_type: SessionType::Temporary, iat: UnixTime::from_secs(1_700_000_000) };
/// # let (body, pending) = ask.draft(&device.public_key(), None, &mut SysRng)?.sign(&device);
/// # let service = service::Service::new();
/// # let jwks = Jwks::parse(service.jwks().as_bytes())?;
/// # let license = pending.open(service.license(&body).as_bytes(), &jwks)?;
/// # let post = |_: &str, body: &str| service.license(body).into_bytes();
/// let renew = Renew {
///     license: &license.claims,
///     token: "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9..", // a fresh one, of the same account
///     first_play: None,
///     end_session: None,
///     iat: UnixTime::from_secs(1_700_000_240), // now
/// };
/// let (body, pending) = renew.draft(&device.public_key(), &mut SysRng)?.sign(&device);
/// let answer = post("/v1/license", &body); // with `Authorization: Bearer <token>`
/// let renewed = pending.open(&answer, &jwks)?;
/// assert_eq!(renewed.claims.jti, license.claims.jti);
/// assert!(renewed.claims.counter > license.claims.counter);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Renew<'a> {
    /// The claims of the license that the device holds.
    pub license: &'a license::Claims,
    /// The authorization token, of the same account and entitlement as that of the license. The player
    /// also sends it as `Authorization: Bearer <token>`; the request holds its hash only.
    pub token: &'a str,
    /// When a stored license was first played: seconds from the `iat` of its counter 0. `None` if it was
    /// not, and for temporary licenses.
    pub first_play: Option<u64>,
    /// The code of a session that is to end, from the conflicts of a `concurrency-limit`.
    pub end_session: Option<&'a str>,
    /// The current time: `iat` of the license plus what a monotonic clock has counted since its request
    /// was sent, or [`server_time`](crate::exchange::problem::Problem::server_time) from a refusal.
    pub iat: UnixTime,
}

impl Renew<'_> {
    /// Writes the request that the device key `device` has to sign, with a fresh request ID (`jti`) and
    /// a fresh key for the service to seal to (`enc_jwk`).
    ///
    /// # Errors
    /// [`Error::OtherDevice`] if the license is another device's, [`Error::FirstPlay`] if it is a
    /// temporary one and `first_play` is told, [`Error::Random`] and [`Error::RepeatedKey`].
    pub fn draft<R: TryCryptoRng + ?Sized>(
        &self,
        device: &PublicKey,
        rng: &mut R,
    ) -> Result<Draft<Pending>, Error<R::Error>> {
        let (secret, enc_jwk) = draft::sealing_key(device, rng)?;
        let mut claims = draft::of_held(self.license, device, self.first_play, self.iat, rng)?;
        claims.request_type = RequestType::Renewal;
        claims.enc_jwk = enc_jwk.to_jwk();
        claims.ath = Some(draft::token_hash(self.token));
        claims.end_session = self.end_session.map(Into::into);
        let renewed =
            Renewed { license_id: self.license.jti.clone(), counter: self.license.counter };
        Ok(Draft::new(TYP, &claims, device, |request_hash| Pending {
            secret,
            service_id: claims.aud.clone(),
            nonce: claims.jti.clone(),
            iat: self.iat,
            device: device.thumbprint(),
            request_hash,
            renewed: Some(renewed),
        }))
    }
}
