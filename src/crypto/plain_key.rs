//! Content keys in the clear, for protocols that hand them out so. **Every caller is a place where a key leaves the service.**

use base64ct::{Base64, Encoding};
use reelkey_client::key::ContentKey;
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;

/// The 16 bytes, zeroed on drop.
#[must_use]
pub fn bytes(key: &ContentKey) -> Box<Zeroizing<[u8; 16]>> {
    let mut bytes = Box::new(Zeroizing::new([0; 16]));
    on_clean_stack(|| bytes.copy_from_slice(key.expose()));
    bytes
}

/// The key as base64 (RFC 4648 section 4): 24 characters, zeroed on drop.
#[must_use]
pub fn base64(key: &ContentKey) -> Zeroizing<String> {
    Zeroizing::new(on_clean_stack(|| Base64::encode_string(key.expose())))
}

/// A key from base64, with or without its padding. `None` if it is not one of 16 bytes.
#[must_use]
pub fn from_base64(text: &str) -> Option<ContentKey> {
    on_clean_stack(|| {
        ContentKey::try_init(|key| {
            let mut buffer = Zeroizing::new([0; 16]);
            let text = text.trim_end_matches('=');
            let read =
                base64ct::Base64Unpadded::decode(text, buffer.as_mut_slice()).map_err(|_| ())?;
            key.copy_from_slice(read.get(..).filter(|read| read.len() == 16).ok_or(())?);
            Ok::<_, ()>(())
        })
        .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_out_and_comes_back() {
        let key = ContentKey::parse_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        assert_eq!(*base64(&key), "AAECAwQFBgcICQoLDA0ODw==");
        assert_eq!(bytes(&key)[..3], [0, 1, 2]);
        for text in ["AAECAwQFBgcICQoLDA0ODw==", "AAECAwQFBgcICQoLDA0ODw"] {
            assert_eq!(*from_base64(text).unwrap().to_hex(), *key.to_hex());
        }
    }

    #[test]
    fn what_is_no_key_in_base64_is_refused() {
        for text in ["", "AAEC", "AAECAwQFBgcICQoLDA0ODxA=", "AAECAwQFBgcICQoLDA0OD!==", "0x00"] {
            assert!(from_base64(text).is_none(), "{text}");
        }
    }
}
