//! The two calculations of PlayReady with content keys (PlayReady Header Specification, "Checksum" and "Key seed").
//!
//! ```text
//! guid(kid)             = the KID in PlayReady's byte order
//! checksum[key](kid)    = the first 8 bytes of AES-ECB[key](guid(kid))
//! key[seed](kid)        = the halves of A, B and C, all six xored, where s is the first 30 bytes of the seed and
//!                         A = SHA-256(s | guid), B = SHA-256(s | guid | s), C = SHA-256(s | guid | s | guid)
//! ```
//!
//! A checksum is public: it tells a player that a license has the wrong key. Deliberately absent: where keys come from.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};
use core::fmt;
use core::str::FromStr;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::{ContentKey, KeyId};

/// The checksum of a content key: the first half of its KID, encrypted with it. Printed in base64, as headers have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checksum(pub [u8; 8]);

impl Checksum {
    /// The checksum of this key.
    #[must_use]
    pub fn of(kid: KeyId, key: &ContentKey) -> Self {
        let mut block = (*kid.in_playready_order().as_bytes()).into();
        Aes128::new(key.expose().into()).encrypt_block(&mut block);
        let [a, b, c, d, e, f, g, h, ..] = block.0;
        Self([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64::encode_string(&self.0))
    }
}

/// Reads base64 with padding.
impl FromStr for Checksum {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let mut buffer = [0; 9];
        let bytes = Base64::decode(text, &mut buffer).map_err(|_| InvalidChecksum)?;
        bytes.try_into().map(Self).map_err(|_| InvalidChecksum)
    }
}

/// The text is no checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a checksum is 8 bytes in base64")]
pub struct InvalidChecksum;

/// A key seed has at least so many bytes. Further ones are not used.
const SEED_BYTES: usize = 30;

/// A secret from which the content keys of many KIDs are derived. Zeroed on drop, never printed.
pub struct KeySeed(Zeroizing<[u8; SEED_BYTES]>);

impl KeySeed {
    /// Takes the first 30 bytes.
    ///
    /// # Errors
    /// [`InvalidKeySeed`] if there are fewer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKeySeed> {
        let seed = bytes.first_chunk().ok_or(InvalidKeySeed)?;
        Ok(Self(Zeroizing::new(*seed)))
    }

    /// Reads base64 with padding, as PlayReady servers and Bento4 have it.
    ///
    /// # Errors
    /// [`InvalidKeySeed`], which repeats nothing of the text.
    pub fn parse_base64(text: &str) -> Result<Self, InvalidKeySeed> {
        let bytes: Zeroizing<Vec<u8>> =
            Zeroizing::new(Base64::decode_vec(text).map_err(|_| InvalidKeySeed)?);
        Self::from_bytes(&bytes)
    }

    /// The content key of this KID.
    #[must_use]
    pub fn key(&self, kid: KeyId) -> ContentKey {
        let (seed, guid) = (&self.0[..], kid.in_playready_order());
        let guid = &guid.as_bytes()[..];
        let made = ContentKey::try_init(|key| {
            for parts in [&[seed, guid][..], &[seed, guid, seed], &[seed, guid, seed, guid]] {
                let mut hash = Sha256::new();
                for part in parts {
                    hash.update(part);
                }
                let digest: Zeroizing<[u8; 32]> = Zeroizing::new(hash.finalize().into());
                for half in digest.as_chunks::<16>().0 {
                    for (byte, other) in key.iter_mut().zip(half) {
                        *byte ^= other;
                    }
                }
            }
            Ok::<(), core::convert::Infallible>(())
        });
        match made {
            Ok(key) => key,
        }
    }
}

impl fmt::Debug for KeySeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySeed(..)")
    }
}

/// The text or the bytes are no key seed. The message repeats nothing of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key seed is at least 30 bytes, in base64 where it is text")]
pub struct InvalidKeySeed;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    /// Microsoft's public test seed.
    const SEED: &str = "XVBovsmzhP9gRIZxWfFta3VVRPzVEWmJsazEJ46I";

    /// The GUID of a KID in base64, the key of the test seed, and its checksum. The first is from the test service; the
    /// others are the examples of the header specification, which has the GUIDs and the checksums.
    const VECTORS: [(&str, &str, &str); 3] = [
        ("3kqpi7lunUS0T6W+769DsA==", "dbfd6922c321c4bb486f4a1c44097ed6", "Me48z71nuqY="),
        ("0IbHou/5s0yzM80yOkKEpQ==", "4edb7704cdbf03617f4800bd878a6df2", "xNvWVxoWk04="),
        ("/qgG2xbs4k2SKCxx6bhWqw==", "3179923adf3c929892951e62f93a518a", "GnKaQIRacPU="),
    ];

    #[test]
    fn the_test_seed_gives_the_published_keys_and_checksums() {
        let seed = KeySeed::parse_base64(SEED).unwrap();
        for (guid, expected, checksum) in VECTORS {
            let mut bytes = [0; 16];
            Base64::decode(guid, &mut bytes).unwrap();
            let kid = KeyId::from_bytes(bytes).in_playready_order();
            let key = seed.key(kid);
            assert_eq!(*key.to_hex(), expected, "{kid}");
            assert_eq!(Checksum::of(kid, &key).to_string(), checksum, "{kid}");
            assert_eq!(checksum.parse(), Ok(Checksum::of(kid, &key)));
        }
    }

    #[test]
    fn a_seed_is_never_printed_and_a_short_one_is_refused() {
        assert_eq!(format!("{:?}", KeySeed::parse_base64(SEED).unwrap()), "KeySeed(..)");
        let longer = KeySeed::from_bytes(&[[7; 40], [8; 40]].concat()).unwrap();
        let kid = KeyId::from_bytes([1; 16]);
        assert_eq!(
            *longer.key(kid).to_hex(),
            *KeySeed::from_bytes(&[7; 30]).unwrap().key(kid).to_hex()
        );
        for wrong in ["", "XVBovsmz", &format!("{SEED}=")] {
            assert!(KeySeed::parse_base64(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "Me48z71nuqY", "Me48z71nug==", "Me48z71nuqYA", "Me48z71nuqYAAAAA"] {
            assert_eq!(wrong.parse::<Checksum>(), Err(InvalidChecksum), "{wrong}");
        }
    }
}
