//! The root key: the only secret that is not in the store.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::random::{self, RandomnessFailed};
use crate::crypto::wrap::Kek;

/// The first characters of a root key's text, so that secret scanners find a leaked one.
const PREFIX: &str = "reelkey-root-key-1-";

/// 32 random bytes that wrap the KEKs. Zeroed on drop, never printed.
pub struct RootKey(Box<Zeroizing<[u8; 32]>>);

/// The text is not a root key. The error does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a root key: expected one line that begins with {PREFIX:?}")]
pub struct InvalidRootKey;

impl RootKey {
    /// Generates a root key.
    ///
    /// # Errors
    /// [`RandomnessFailed`].
    pub fn generate() -> Result<Self, RandomnessFailed> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        random::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Reads a key that [`to_text`](Self::to_text) wrote.
    ///
    /// # Errors
    /// [`InvalidRootKey`].
    pub fn parse(text: &str) -> Result<Self, InvalidRootKey> {
        on_clean_stack(|| Self::read(text))
    }

    fn read(text: &str) -> Result<Self, InvalidRootKey> {
        let encoded = text.trim_end_matches('\n').strip_prefix(PREFIX).ok_or(InvalidRootKey)?;
        let mut key = Box::new(Zeroizing::new([0; 32]));
        let read = Base64UrlUnpadded::decode(encoded, key.as_mut_slice());
        if read.is_ok_and(|read| read.len() == 32) { Ok(Self(key)) } else { Err(InvalidRootKey) }
    }

    /// The text of the key, one line: a prefix and base64url.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let encode = || Zeroizing::new(Base64UrlUnpadded::encode_string(self.0.as_slice()));
        let encoded = on_clean_stack(encode);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + encoded.len() + 1));
        text.push_str(PREFIX);
        text.push_str(&encoded);
        text.push('\n');
        text
    }

    /// `HKDF-SHA256(key, salt = store id, info)`: a store keeps this value to distinguish a wrong root key from a
    /// damaged record. It reveals nothing about the key, and differs from store to store.
    #[must_use]
    pub fn check_value(&self, store_id: &[u8; 16]) -> [u8; 16] {
        let mut value = [0; 16];
        on_clean_stack(|| {
            let hkdf = Hkdf::<Sha256>::new(Some(store_id), self.0.as_slice());
            // RFC 5869 section 2.3 limits the output to 255 blocks. This is half a block.
            hkdf.expand(b"reelkey root key check 1", &mut value).ok();
        });
        value
    }

    /// The root key as a KEK of generation 0, which wraps the other KEKs.
    #[must_use]
    pub fn to_kek(&self) -> Kek {
        Kek::from_bytes(0, &self.0)
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_key_is_read_back_and_never_printed() {
        let key = RootKey::generate().unwrap();
        let text = key.to_text();
        let again = RootKey::parse(&text).unwrap();
        assert_eq!(*again.to_text(), *text);
        assert_eq!(format!("{key:?}"), "RootKey(..)");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn another_text_is_refused_without_repeating_it() {
        let text = RootKey::generate().unwrap().to_text();
        for wrong in ["", "\n", PREFIX, &text[1..], &text[..text.len() - 2], &format!("{}A", *text)]
        {
            assert_eq!(RootKey::parse(wrong).unwrap_err(), InvalidRootKey);
        }
    }
}
