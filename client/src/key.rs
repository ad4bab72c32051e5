//! Content keys and their identifiers.
//!
//! A [`KeyId`] is public and printed as a UUID. A [`ContentKey`] is secret and never printed.
//!
//! ```
//! use reelkey_client::key::{ContentKey, KeyId};
//!
//! let kid: KeyId = "4d97930a3d7b500080005c7bda1f0a11".parse()?;
//! assert_eq!(kid.to_string(), "4d97930a-3d7b-5000-8000-5c7bda1f0a11");
//!
//! let key = ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?;
//! assert_eq!(format!("{key:?}"), "ContentKey(..)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Deliberately absent: device keys ([`crate::exchange::device`]), and where keys are stored.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use zeroize::Zeroizing;

/// The identifier of a content key (`KID`, ISO/IEC 23001-7:2023, 3.1), 16 bytes in the order in
/// which `default_KID` holds them. Printed as a lowercase UUID, most significant byte first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// Makes the identifier from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, as `default_KID` holds them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The identifier with the bytes of a GUID in PlayReady's order: of the first three groups the last byte comes first.
    /// Twice, it is the identifier itself.
    ///
    /// ```
    /// # use reelkey_client::key::KeyId;
    /// let kid: KeyId = "00112233-4455-6677-8899-aabbccddeeff".parse()?;
    /// assert_eq!(kid.in_playready_order().to_string(), "33221100-5544-7766-8899-aabbccddeeff");
    /// # Ok::<(), reelkey_client::key::InvalidKeyId>(())
    /// ```
    #[must_use]
    pub const fn in_playready_order(&self) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let [i, j, k, l, m, n, o, p] = rest;
        Self([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }
}

/// Reads 32 hexadecimal digits, with the hyphens of a UUID (8-4-4-4-12) or without any.
impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let mut digits = [0; 32];
        let mut count = 0;
        let hyphens = text.len() == 36;
        for (at, byte) in text.bytes().enumerate() {
            if hyphens && matches!(at, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return Err(InvalidKeyId);
                }
                continue;
            }
            *digits.get_mut(count).ok_or(InvalidKeyId)? = byte;
            count += 1;
        }
        if count != digits.len() {
            return Err(InvalidKeyId);
        }
        let mut bytes = [0; 16];
        read_hex(&digits, &mut bytes).ok_or(InvalidKeyId)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = u128::from_be_bytes(self.0);
        // Records and logs are full of IDs, and a call for each byte would be slow.
        let [a, b, c, d, e] = [(96, 32), (80, 16), (64, 16), (48, 16), (0, 48)]
            .map(|(from, bits)| (all >> from) & ((1 << bits) - 1));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The text is not a key ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key ID is 32 hexadecimal digits, or a UUID in its 8-4-4-4-12 form")]
pub struct InvalidKeyId;

/// A 128-bit content key (AES-128, ISO/IEC 23001-7:2023, 9.1).
///
/// Zeroed on drop, never printed, never cloned. Only [`expose`](Self::expose) and
/// [`to_hex`](Self::to_hex) give access to the bytes, so a search for these two names finds every place
/// where a key is in the clear.
pub struct ContentKey(Box<Zeroizing<[u8; 16]>>);

impl ContentKey {
    /// Builds the key in place: `fill` writes its 16 bytes.
    ///
    /// # Errors
    /// The error of `fill`. The partly written bytes are zeroed.
    pub fn try_init<E>(fill: impl FnOnce(&mut [u8; 16]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Box::new(Zeroizing::new([0; 16]));
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads 32 hexadecimal digits, as packagers and `ffmpeg` take them.
    ///
    /// # Errors
    /// [`InvalidContentKey`], which repeats nothing of the text.
    pub fn parse_hex(text: &str) -> Result<Self, InvalidContentKey> {
        let digits: &[u8; 32] = text.as_bytes().try_into().map_err(|_| InvalidContentKey)?;
        Self::try_init(|key| read_hex(digits, key).ok_or(InvalidContentKey))
    }

    /// The key in the clear. **Every caller of this method is a place where a key can leak.**
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// The key in the clear as 32 hexadecimal digits, zeroed on drop, to hand it to another program.
    /// **Every caller of this method is a place where a key can leak.**
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(32));
        for byte in self.expose() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(digit.into(), 16).unwrap_or_default());
            }
        }
        text
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

/// The text is not a content key. The message repeats nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a content key is exactly 32 hexadecimal digits")]
pub struct InvalidContentKey;

/// Reads into the caller's buffer, so that no copy of a key is left in memory.
fn read_hex(digits: &[u8; 32], bytes: &mut [u8; 16]) -> Option<()> {
    let (pairs, _) = digits.as_chunks::<2>();
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(())
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn a_key_id_is_read_in_both_forms_and_printed_as_a_uuid() {
        let uuid = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";
        let kid: KeyId = uuid.parse().unwrap();
        assert_eq!("4D97930A3D7B500080005C7BDA1F0A11".parse(), Ok(kid));
        assert_eq!(kid.to_string(), uuid);
        for wrong in ["", "4d97930a", "4d97930a3d7b-5000-8000-5c7bda1f0a11", &format!("{uuid}0")] {
            assert_eq!(wrong.parse::<KeyId>(), Err(InvalidKeyId), "{wrong}");
        }
        assert!("4d97930a-3d7b-5000-8000_5c7bda1f0a11".parse::<KeyId>().is_err());
        assert!("gd97930a3d7b500080005c7bda1f0a11".parse::<KeyId>().is_err());
    }

    #[test]
    fn a_content_key_is_never_printed() {
        let key = ContentKey::parse_hex("00112233445566778899aabbccddeeff").unwrap();
        assert_eq!(format!("{key:?}"), "ContentKey(..)");
        assert_eq!(key.expose()[1], 0x11);
        assert!(ContentKey::parse_hex("00112233445566778899aabbccddeef").is_err());
        assert!(ContentKey::parse_hex("00112233445566778899aabbccddeefg").is_err());
    }
}
