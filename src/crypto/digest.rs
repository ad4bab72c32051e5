//! SHA-256 and SHA-1 (FIPS 180-4).

use p256::elliptic_curve::subtle::ConstantTimeEq;
use sha2::{Digest, Sha256};

/// The SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether two digests are the same, compared in constant time.
#[must_use]
pub fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

/// The SHA-1 of `bytes`, for protocols that prescribe it. Two texts with the same SHA-1 can be made by whoever writes both.
#[must_use]
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    sha1::Sha1::digest(bytes).into()
}
