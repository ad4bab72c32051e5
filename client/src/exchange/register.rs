//! Registers a device: it takes its place in the account before it asks for a license.
//!
//! Deliberately absent: the list of an account's devices, and removing one, which take a token and no
//! signature.

use p256::elliptic_curve::rand_core::TryCryptoRng;

use crate::exchange::draft::{self, Draft, Error};
use crate::exchange::registration::{Claims, TYP};
use crate::exchange::request::DeviceDescription;
use crate::strict::jwk::PublicKey;
use crate::time::UnixTime;

/// A registration of a device.
///
/// ```
/// use getrandom::SysRng;
/// use reelkey_client::exchange::{DeviceDescription, DeviceKey, Register};
/// use reelkey_client::time::UnixTime;
///
/// let device = DeviceKey::generate(&mut SysRng)?;
/// let mut description = DeviceDescription::default();
/// description.name = Some("Living room".into());
/// let register = Register {
///     service_id: "reelkey",
///     token: "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9..", // its `scope` has `devices`
///     description: Some(description),
///     iat: UnixTime::from_secs(1_700_000_000), // now
/// };
/// let (body, ()) = register.draft(&device.public_key(), &mut SysRng)?.sign(&device);
/// // POST `body` to `/v1/devices` with `Authorization: Bearer <token>`.
/// # use reelkey_client::exchange::registration::SignedRegistration;
/// # assert_eq!(SignedRegistration::parse(body.as_bytes())?.device.name.as_deref(), Some("Living room"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Register<'a> {
    /// The service's ID, configured in the player.
    pub service_id: &'a str,
    /// The authorization token, whose `scope` has `devices`. The player also sends it as
    /// `Authorization: Bearer <token>`; the registration holds its hash only.
    pub token: &'a str,
    /// What people see of the device. It decides nothing.
    pub description: Option<DeviceDescription>,
    /// The current time. A device without a clock takes
    /// [`server_time`](crate::exchange::problem::Problem::server_time) from a refusal.
    pub iat: UnixTime,
}

impl Register<'_> {
    /// Writes the registration that the device key `device` has to sign. Nothing opens the answer to it:
    /// it is no license.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn draft<R: TryCryptoRng + ?Sized>(
        self,
        device: &PublicKey,
        rng: &mut R,
    ) -> Result<Draft<()>, Error<R::Error>> {
        let claims = Claims {
            aud: self.service_id.into(),
            iat: self.iat.as_secs(),
            jti: draft::request_id(rng)?,
            ath: draft::token_hash(self.token),
            device: self.description,
        };
        Ok(Draft::new(TYP, &claims, device, |_| ()))
    }
}
