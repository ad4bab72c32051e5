//! `ES256[key](message)`: ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4), by ring.
//!
//! The service's own key signs licenses. A device's public key verifies its requests.

use std::fmt;

use reelkey_client::strict::jwk::{self, PublicKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;

/// A signing key of the service, or of a development issuer.
/// ring keeps the scalar in memory that it does not zero. The owner of the PKCS#8 bytes zeroes them.
/// zeroed by its owner.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    public_key: PublicKey,
    rng: SystemRandom,
}

/// A signing key cannot be generated, read or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operating system gave no randomness.
    #[error("the operating system gives no randomness")]
    Randomness,
    /// The bytes are not a P-256 key in PKCS#8 (RFC 5208).
    #[error("not a P-256 private key in PKCS#8")]
    Malformed,
}

impl SigningKey {
    /// Generates a key as PKCS#8 (RFC 5208). The caller wraps it before it is stored.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn generate_pkcs8() -> Result<Zeroizing<Vec<u8>>, Error> {
        let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
        on_clean_stack(|| {
            let document = EcdsaKeyPair::generate_pkcs8(scheme, &SystemRandom::new())
                .map_err(|_| Error::Randomness)?;
            Ok(Zeroizing::new(document.as_ref().to_vec()))
        })
    }

    /// Reads a key that [`generate_pkcs8`](Self::generate_pkcs8) made.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let (scheme, rng) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pair = on_clean_stack(|| EcdsaKeyPair::from_pkcs8(scheme, pkcs8, &rng))
            .map_err(|_| Error::Malformed)?;
        let public_key = PublicKey::from_sec1(pair.public_key().as_ref())
            .map_err(|_: jwk::Error| Error::Malformed)?;
        Ok(Self { pair, public_key, rng })
    }

    /// The public key. Its thumbprint is the `kid`.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Signs `message`. Returns `r || s`, 32 bytes each, big-endian.
    ///
    /// # Errors
    /// [`Error::Randomness`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.pair.sign(&self.rng, message).map_err(|_| Error::Randomness)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.public_key.thumbprint())
    }
}

/// Whether `signature` (`r || s`) is a signature by `key` over `message`.
#[must_use]
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.to_sec1())
        .verify(message, signature)
        .is_ok()
}
