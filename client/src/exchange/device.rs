//! The device key: a P-256 signing key. The service issues each license to one device key.
//!
//! This file makes, saves and loads a key that is held in memory.
//!
//! Deliberately absent: where the saved key is stored, and the source of randomness.

use alloc::vec::Vec;
use core::fmt;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::elliptic_curve::{ALGORITHM_OID, Generate};
use p256::pkcs8::{AssociatedOid, PrivateKeyInfoRef};
use p256::{NistP256, SecretKey};
use zeroize::Zeroizing;

use crate::exchange::signature::Signature;
use crate::strict::jwk::PublicKey;

pub use p256::elliptic_curve::rand_core::{TryCryptoRng, TryRng};

/// A P-256 signing key held in memory, zeroed on drop.
///
/// If the platform can sign with a key that programs cannot read (a Secure Enclave, the Android
/// keystore, a WebCrypto key with `extractable: false`), use that key instead, together with
/// [`Draft::with_signature`](crate::exchange::ask::Draft::with_signature).
///
/// ```
/// use getrandom::SysRng;
/// use reelkey_client::exchange::DeviceKey;
///
/// let key = DeviceKey::generate(&mut SysRng)?;
/// let device_id = key.public_key().thumbprint().to_string(); // 43 characters, not secret
/// # assert_eq!(device_id.len(), 43);
///
/// let saved = key.to_pkcs8_der(); // secret: see there
/// let loaded = DeviceKey::from_pkcs8_der(&saved)?;
/// assert_eq!(loaded.public_key(), key.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DeviceKey(SigningKey);

/// The bytes are not a device key. The message repeats nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not one unencrypted PKCS#8 structure in DER, or bytes follow it (RFC 5958 section 2). SEC 1
    /// keys (RFC 5915), public keys and encrypted keys have this error too.
    #[error("not an unencrypted PKCS#8 private key in DER (RFC 5958, 2)")]
    Form,
    /// The algorithm is not `id-ecPublicKey` (RFC 5480 section 2.1.1), for example Ed25519 or RSA.
    #[error("the key's algorithm is not id-ecPublicKey (RFC 5480, 2.1.1)")]
    Algorithm,
    /// An elliptic-curve key on another curve than P-256 (RFC 5480 section 2.1.1.1).
    #[error("the key is not on P-256 (RFC 5480, 2.1.1.1)")]
    Curve,
    /// Not an `ECPrivateKey` with a scalar of 32 bytes from 1 to the order of the curve minus 1, or
    /// its public key belongs to another scalar (RFC 5915 section 3).
    #[error(
        "the private key is not a P-256 scalar of 32 bytes, or its public key is another's (RFC 5915, 3)"
    )]
    Key,
}

/// `PrivateKeyInfo` (RFC 5958) with an `ECPrivateKey` (RFC 5915): everything before the scalar, and
/// between the scalar and the public point. All lengths are fixed, because the curve is.
const DER_BEFORE_SCALAR: [u8; 36] = [
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
    0x01, 0x01, 0x04, 0x20,
];
const DER_BEFORE_POINT: [u8; 5] = [0xa1, 0x44, 0x03, 0x42, 0x00];
const DER_BYTES: usize = DER_BEFORE_SCALAR.len() + 32 + DER_BEFORE_POINT.len() + 65;

impl DeviceKey {
    /// Makes a new key with randomness from `rng`.
    ///
    /// # Errors
    /// The error of `rng`.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        SecretKey::try_generate_from_rng(rng).map(|secret| Self(secret.into()))
    }

    /// Reads an unencrypted PKCS#8 key in DER (RFC 5958): what [`to_pkcs8_der`](Self::to_pkcs8_der)
    /// returns, what WebCrypto exports as `pkcs8`, and what
    /// `openssl pkcs8 -topk8 -nocrypt -outform DER` writes.
    ///
    /// The caller zeroes `der` after use; [`Zeroizing`] does so on drop.
    ///
    /// # Errors
    /// [`Error`], one variant per broken rule.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Error::Form)?;
        if info.algorithm.oid != ALGORITHM_OID {
            return Err(Error::Algorithm);
        }
        if info.algorithm.parameters_oid() != Ok(NistP256::OID) {
            return Err(Error::Curve);
        }
        // Version 1 and an OCTET STRING of 32 bytes: p256 also takes a scalar without its leading
        // zeros.
        if info.private_key.as_bytes().get(2..7) != Some(&[2, 1, 1, 4, 32]) {
            return Err(Error::Key);
        }
        let outer = info.public_key;
        let secret = SecretKey::try_from(info).map_err(|_| Error::Key)?;
        let point = secret.public_key().to_sec1_point(false);
        if outer.is_some_and(|outer| outer.as_bytes() != Some(point.as_bytes())) {
            return Err(Error::Key);
        }
        Ok(Self(secret.into()))
    }

    /// Writes the key as unencrypted PKCS#8 DER (RFC 5958), 138 bytes, zeroed on drop.
    ///
    /// **Whoever can read these bytes can act as this device**: they can obtain every license that
    /// the device can obtain. Keep the bytes in the key store of the platform, or, where there is
    /// none, in a file that only the owner can read (mode 0600). Do not log or back them up, and do
    /// not put them into a web page's `localStorage`: in a browser, a WebCrypto key with
    /// `extractable: false` in IndexedDB is better, because no script can read it.
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        // Has its final capacity from the start, so that growing leaves no copy behind.
        let mut der = Zeroizing::new(Vec::with_capacity(DER_BYTES));
        let scalar = Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        der.extend_from_slice(&DER_BEFORE_SCALAR);
        der.extend_from_slice(scalar.as_slice());
        der.extend_from_slice(&DER_BEFORE_POINT);
        der.extend_from_slice(&self.public_key().to_sec1());
        der
    }

    /// The public half. Its thumbprint identifies the device.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey::from_p256(self.0.verifying_key().into())
    }

    /// `ES256[key](message)`, deterministic (RFC 6979).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_p256(self.0.sign(message))
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use p256::pkcs8::EncodePrivateKey;

    /// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER`, then
    /// `openssl pkcs8 -topk8 -nocrypt -inform DER -outform DER` (OpenSSL 3.0).
    const OPENSSL: &str = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420\
        0db5dedae41cc09f435fc358c1b70b0ccdb150532d24b0a439131b7fb5745415a14403420004\
        6ca219ba9b3ff6377ef4f5d3bec870855bc53b7c18fb957f5a8dcc6aec4470c9\
        25212460e594904c481e757057727beac66e2cdb666ab596a3caa0e85322afc9";
    /// The public key of [`OPENSSL`], by `openssl pkey -pubout -outform DER`.
    const OPENSSL_PUBLIC: &str = "3059301306072a8648ce3d020106082a8648ce3d03010703420004\
        6ca219ba9b3ff6377ef4f5d3bec870855bc53b7c18fb957f5a8dcc6aec4470c9\
        25212460e594904c481e757057727beac66e2cdb666ab596a3caa0e85322afc9";
    /// [`OPENSSL`] in the form of SEC 1 (RFC 5915), which `openssl genpkey -outform DER` writes.
    const OPENSSL_SEC1: &str = "307702010104200db5dedae41cc09f435fc358c1b70b0ccdb150532d24b0a4\
        39131b7fb5745415a00a06082a8648ce3d030107a14403420004\
        6ca219ba9b3ff6377ef4f5d3bec870855bc53b7c18fb957f5a8dcc6aec4470c9\
        25212460e594904c481e757057727beac66e2cdb666ab596a3caa0e85322afc9";
    /// By openssl, as [`OPENSSL`] but with `ec_paramgen_curve:P-384`.
    const P384: &str = "3081b6020100301006072a8648ce3d020106052b8104002204819e30819b0201010430\
        f891430462628737c4eb3836996920e1c81919b89a879f32580c57493de73267\
        30b979779c4b6b38f64a907e34dc51bfa16403620004\
        d009ea1cf19cd3b17f996f9098e10ceba5ce9478290a2f6f5eaacaa06360c2e7\
        7d289edc4e21cdf2eb910f964776f33d97d72c10235e8547710e3edaab66b4e3\
        63672f7f549cb993701a9f73102f82ed2e7d1f68b51093f0389313d9fe9379ee";
    /// `openssl genpkey -algorithm ED25519 -outform DER`.
    const ED25519: &str = "302e020100300506032b657004220420\
        97d85d85254ec52d4f6130daaabff3592157df092ef734d3ce6e8d0ecd2b25ea";
    /// `crypto.subtle.exportKey("pkcs8", ..)` of an ECDSA key in Node, and `x` of its JWK.
    const WEBCRYPTO: &str = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420\
        529f017579b76e7586de0b5777f95ff6ed65d32489921d6ed283e211e8df0b6da14403420004\
        679381827e7f158a8db6d0f3a3766e8ee666d5c48951d0d846068a51058a3c3b\
        340f8fcd7ac6f8bf58e6ef5fc9b81a59dda1117b75b9cbe4afdf87bc60c67948";
    const WEBCRYPTO_X: &str = "Z5OBgn5_FYqNttDzo3ZujuZm1cSJUdDYRgaKUQWKPDs";

    const SCALAR_AT: usize = DER_BEFORE_SCALAR.len();

    fn hex(digits: &str) -> Vec<u8> {
        (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
            .collect()
    }

    fn load(der: &[u8]) -> Result<DeviceKey, Error> {
        DeviceKey::from_pkcs8_der(der)
    }

    #[test]
    fn a_key_is_saved_byte_for_byte_as_openssl_saves_it() {
        let key = load(&hex(OPENSSL)).unwrap();
        assert_eq!(*key.to_pkcs8_der(), hex(OPENSSL));
        let point = &hex(OPENSSL_PUBLIC)[26..];
        assert_eq!(key.public_key().to_sec1(), point);
        let library = SecretKey::from(key.0.as_nonzero_scalar()).to_pkcs8_der().unwrap();
        assert_eq!(*key.to_pkcs8_der(), library.as_bytes());
    }

    #[test]
    fn a_key_that_webcrypto_exported_is_loaded() {
        let key = load(&hex(WEBCRYPTO)).unwrap();
        assert_eq!(key.public_key().to_jwk()["x"], WEBCRYPTO_X);
    }

    #[test]
    fn a_loaded_key_makes_the_signatures_of_the_saved_one() {
        let key = load(&hex(OPENSSL)).unwrap();
        let again = load(&key.to_pkcs8_der()).unwrap();
        assert_eq!(again.sign(b"message"), key.sign(b"message"));
        assert!(again.sign(b"message").verifies(&key.public_key(), b"message"));
    }

    #[test]
    fn a_key_of_another_algorithm_or_curve_is_refused() {
        assert_eq!(load(&hex(ED25519)).unwrap_err(), Error::Algorithm);
        assert_eq!(load(&hex(P384)).unwrap_err(), Error::Curve);
    }

    #[test]
    fn what_is_no_pkcs8_private_key_is_refused() {
        assert_eq!(load(&hex(OPENSSL_PUBLIC)).unwrap_err(), Error::Form);
        assert_eq!(load(&hex(OPENSSL_SEC1)).unwrap_err(), Error::Form);
        assert_eq!(load(b"-----BEGIN PRIVATE KEY-----").unwrap_err(), Error::Form);
        assert_eq!(load(b"").unwrap_err(), Error::Form);
    }

    #[test]
    fn every_truncation_and_every_trailing_byte_is_refused() {
        let der = hex(OPENSSL);
        for length in 0..der.len() {
            assert_eq!(load(&der[..length]).unwrap_err(), Error::Form, "{length} bytes");
        }
        for byte in [0, 0x30, 0xff] {
            let longer = [&der[..], &[byte]].concat();
            assert_eq!(load(&longer).unwrap_err(), Error::Form, "{byte:#x} behind it");
        }
    }

    #[test]
    fn a_scalar_outside_the_group_is_refused() {
        let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        for scalar in [&[0; 32][..], &order, &[0xff; 32]] {
            let mut der = hex(OPENSSL);
            der[SCALAR_AT..SCALAR_AT + 32].copy_from_slice(scalar);
            assert_eq!(load(&der).unwrap_err(), Error::Key);
        }
    }

    #[test]
    fn a_scalar_without_its_public_key_is_loaded() {
        let mut der = hex("3041020100301306072a8648ce3d020106082a8648ce3d03010704273025020101\
            0420");
        der.extend(&hex(OPENSSL)[SCALAR_AT..SCALAR_AT + 32]);
        let key = load(&der).unwrap();
        assert_eq!(*key.to_pkcs8_der(), hex(OPENSSL));
    }

    #[test]
    fn a_public_key_of_another_scalar_is_refused() {
        let mut der = hex(OPENSSL);
        der[DER_BYTES - 65..].copy_from_slice(&hex(WEBCRYPTO)[DER_BYTES - 65..]);
        assert_eq!(load(&der).unwrap_err(), Error::Key, "in the ECPrivateKey");

        // Version 2 of RFC 5958 has a public key of its own, in [1].
        let with_outer = |point: &[u8]| {
            let mut der = hex(OPENSSL);
            der[5] = 1;
            der.extend([0x81, 0x42, 0]);
            der.extend(point);
            der[2] = u8::try_from(der.len() - 3).unwrap();
            load(&der)
        };
        let own = with_outer(&hex(OPENSSL)[DER_BYTES - 65..]).unwrap();
        assert_eq!(*own.to_pkcs8_der(), hex(OPENSSL));
        let other = with_outer(&hex(WEBCRYPTO)[DER_BYTES - 65..]);
        assert_eq!(other.unwrap_err(), Error::Key, "in the PrivateKeyInfo");
    }

    #[test]
    fn a_scalar_without_its_leading_zeros_is_refused() {
        let mut der = hex("3040020100301306072a8648ce3d020106082a8648ce3d030107042630240201010\
            41f");
        der.extend([7; 31]);
        assert_eq!(load(&der).unwrap_err(), Error::Key);
    }

    #[test]
    fn a_device_key_is_never_printed() {
        let key = load(&hex(OPENSSL)).unwrap();
        assert_eq!(format!("{key:?}"), "DeviceKey(..)");
    }
}
