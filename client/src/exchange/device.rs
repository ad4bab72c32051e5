//! The device key: what makes a license this device's and no other's.

use core::fmt;
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate;
pub use p256::elliptic_curve::rand_core::{TryCryptoRng, TryRng};

use crate::strict::jwk::PublicKey;

/// A P-256 signing key held in memory, zeroed on drop.
///
/// A platform that can keep keys out of a program's reach should: then only
/// [`Draft::with_signature`](crate::exchange::ask::Draft::with_signature) is needed.
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// A new key from `rng`.
    ///
    /// # Errors
    /// What `rng` says when it fails.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        SecretKey::try_generate_from_rng(rng).map(|secret| Self(secret.into()))
    }

    /// The public half; its thumbprint is the device's name.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_p256(self.0.verifying_key().into())
    }

    /// `ES256[key](message)`, deterministic (RFC 6979): `r || s`, big-endian.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().into()
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}
