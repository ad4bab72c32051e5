//! Signatures of requests, over the bytes of the inner message.
//!
//! ```text
//! AES   AES-CBC[key, iv](PKCS7(SHA-1(request)))      the IV is constant, so there is one signature of a request
//! RSA   RSASSA-PSS with SHA-1, MGF1 with SHA-1 and a salt of 20 bytes
//! ```
//!
//! They have neither a nonce nor a time: whoever reads a request can repeat it, so it needs TLS.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::authority::packager::SigningKey;
use crate::crypto::cbc;
use crate::crypto::digest::{is_same, sha1, sha256};
use crate::crypto::rsa::RsaPublicKey;

/// Whether `signature` is that of `request` by this key.
#[must_use]
pub fn is_signed(key: &SigningKey, request: &[u8], signature: &[u8]) -> bool {
    match key {
        SigningKey::Rsa(der) => Base64::decode_vec(der)
            .ok()
            .and_then(|der| RsaPublicKey::parse(&der).ok())
            .is_some_and(|key| key.verifies_pss_sha1(request, signature)),
        SigningKey::Aes { key, iv } => expected(key, iv, request)
            // Their digests are compared, so that the time tells nothing of the signature.
            .is_some_and(|expected| is_same(&sha256(&expected), &sha256(signature))),
    }
}

/// The one signature by an AES key.
fn expected(key: &str, iv: &str, request: &[u8]) -> Option<Vec<u8>> {
    let key = hex(key)?;
    let iv = hex(iv)?;
    cbc::encrypt(&key, iv.first_chunk()?, &sha1(request)).ok()
}

fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
    }
    rest.is_empty().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = br#"{"content_id":"dGVzdGNpZDE=","policy":"","tracks":[{"type":"SD"},{"type":"HD"},{"type":"UHD1"},{"type":"UHD2"},{"type":"AUDIO"}],"drm_types":["WIDEVINE"],"protection_scheme":"CENC"}"#;

    /// The public test credential of Shaka Packager's documentation.
    fn aes() -> SigningKey {
        let key = "1ae8ccd0e7985cc0b6203a55855a1034afc252980e970ca90e5202689f947ab9";
        let iv = "d58ce954203b7c9a9a9d467f59839249";
        SigningKey::Aes { key: Zeroizing::new(key.into()), iv: iv.into() }
    }

    #[test]
    fn the_recorded_signature_of_shaka_packager_verifies_and_no_other() {
        let signature = Base64::decode_vec("eb1doPzJH9rpORXHrowmGWECnVvXRicETmw2N+D8F+E=").unwrap();
        assert!(is_signed(&aes(), REQUEST, &signature));
        assert!(!is_signed(&aes(), b"{}", &signature));
        for bit in 0..256 {
            let mut altered = signature.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_signed(&aes(), REQUEST, &altered), "bit {bit}");
        }
        let longer = [&signature[..], &[0]].concat();
        for wrong in [&[][..], &signature[..31], &signature[..16], &longer] {
            assert!(!is_signed(&aes(), REQUEST, wrong));
        }
    }

    #[test]
    fn a_signature_by_another_kind_of_key_is_refused() {
        let signature = Base64::decode_vec("eb1doPzJH9rpORXHrowmGWECnVvXRicETmw2N+D8F+E=").unwrap();
        let rsa = SigningKey::Rsa("MAA=".into());
        assert!(!is_signed(&rsa, REQUEST, &signature));
        let SigningKey::Aes { key, .. } = aes() else { panic!("an AES key") };
        for iv in ["", "d5", "d58ce954203b7c9a9a9d467f5983924x", "00000000000000000000000000000000"]
        {
            let other = SigningKey::Aes { key: key.clone(), iv: iv.into() };
            assert!(!is_signed(&other, REQUEST, &signature), "{iv}");
        }
    }
}
