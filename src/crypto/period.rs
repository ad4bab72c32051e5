//! The keys of crypto periods, derived from one seed of the store.
//!
//! ```text
//! key = HKDF-SHA256(ikm = seed, info = "reelkey period key 1" | content | number | track | period)[..16]    RFC 5869
//! KID = AES-128[KID key](number | track | period | 0)        one block: 4 + 1 + 4 + 7 bytes, big-endian
//! ```
//!
//! `number` is the random number of a content (see [`ContentRecord`](crate::store::record::content::ContentRecord)), so a
//! content that was removed and added again has other keys. The seven bytes of zeros are a check: another KID has them by
//! chance once in 2^56. So a KID alone leads to its content and its period, and nobody can make one up.
//!
//! Deliberately absent: which contents and periods may have keys.

use std::fmt;

use aes_gcm::KeyInit;
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt};
use hkdf::Hkdf;
use reelkey_client::key::{ContentKey, KeyId};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;

/// The seed of all crypto periods of a store: 32 random bytes, which are never replaced, because films that were packaged
/// would lose their keys. A rotation wraps them again.
pub struct PeriodSeed {
    seed: Box<Zeroizing<[u8; 32]>>,
    kids: Box<Aes128>,
}

/// The key of one crypto period. A KID is another form of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeriodKey {
    /// The number of the content.
    pub number: u32,
    /// A number for the track type.
    pub track: u8,
    /// The index of the crypto period.
    pub period: u32,
}

/// HKDF refused. It refuses only outputs of 8 KiB and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of a crypto period cannot be derived")]
pub struct NotDerived;

impl PeriodSeed {
    /// Makes the seed from its bytes.
    ///
    /// # Errors
    /// [`NotDerived`].
    pub fn new(bytes: &[u8; 32]) -> Result<Self, NotDerived> {
        on_clean_stack(|| {
            let mut seed = Box::new(Zeroizing::new([0; 32]));
            seed.copy_from_slice(bytes);
            let mut key = Zeroizing::new([0; 16]);
            expand(&seed, &[b"reelkey period kid 1"], key.as_mut_slice())?;
            Ok(Self { seed, kids: Box::new(Aes128::new((&*key).into())) })
        })
    }

    /// The KID of a key.
    #[must_use]
    pub fn kid(&self, key: PeriodKey) -> KeyId {
        let mut block = [0; 16];
        let PeriodKey { number, track, period } = key;
        let bytes = number.to_be_bytes().into_iter().chain([track]).chain(period.to_be_bytes());
        for (place, byte) in block.iter_mut().zip(bytes) {
            *place = byte;
        }
        self.kids.encrypt_block((&mut block).into());
        KeyId::from_bytes(block)
    }

    /// The key that has this KID; `None` if the KID is none of a derived key.
    #[must_use]
    pub fn read_kid(&self, kid: KeyId) -> Option<PeriodKey> {
        let mut block = *kid.as_bytes();
        self.kids.decrypt_block((&mut block).into());
        let (number, rest) = block.split_first_chunk()?;
        let (track, rest) = rest.split_first()?;
        let (period, check) = rest.split_first_chunk()?;
        let [number, period] = [number, period].map(|bytes| u32::from_be_bytes(*bytes));
        check.iter().all(|byte| *byte == 0).then_some(PeriodKey { number, track: *track, period })
    }

    /// The content key itself.
    ///
    /// # Errors
    /// [`NotDerived`].
    pub fn key(&self, content: &str, key: PeriodKey) -> Result<ContentKey, NotDerived> {
        let PeriodKey { number, track, period } = key;
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX).to_be_bytes();
        let (number, period) = (number.to_be_bytes(), period.to_be_bytes());
        let label = b"reelkey period key 1";
        let info = [&label[..], &length, content.as_bytes(), &number, &[track], &period];
        on_clean_stack(|| ContentKey::try_init(|key| expand(&self.seed, &info, key)))
    }
}

impl PeriodSeed {
    /// A proof that the service gave this KID to this packager, until a time in seconds since 1970. Nobody else can make it.
    ///
    /// # Errors
    /// [`NotDerived`].
    pub fn ticket(&self, packager: &str, kid: KeyId, until: u64) -> Result<[u8; 32], NotDerived> {
        let (until, mut ticket) = (until.to_be_bytes(), [0; 32]);
        let info = [&b"reelkey ticket 1"[..], kid.as_bytes(), &until, packager.as_bytes()];
        on_clean_stack(|| expand(&self.seed, &info, &mut ticket))?;
        Ok(ticket)
    }
}

fn expand(seed: &[u8; 32], info: &[&[u8]], out: &mut [u8]) -> Result<(), NotDerived> {
    Hkdf::<Sha256>::new(None, seed).expand_multi_info(info, out).map_err(|_| NotDerived)
}

impl fmt::Debug for PeriodSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeriodSeed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_kid_leads_back_to_its_key(seed: [u8; 32], number: u32, track: u8, period: u32) {
            let (seed, key) = (PeriodSeed::new(&seed).unwrap(), PeriodKey { number, track, period });
            prop_assert_eq!(seed.read_kid(seed.kid(key)), Some(key));
            prop_assert_eq!(seed.key("a", key).unwrap().to_hex(), seed.key("a", key).unwrap().to_hex());
        }

        #[test]
        fn another_kid_is_none_of_a_derived_key(seed: [u8; 32], other: [u8; 16]) {
            let seed = PeriodSeed::new(&seed).unwrap();
            prop_assert_eq!(seed.read_kid(KeyId::from_bytes(other)), None);
        }
    }

    /// Computed once with Python's hmac and OpenSSL: packaged films depend on these bytes.
    #[test]
    fn keys_and_kids_never_change() {
        let seed = PeriodSeed::new(&[7; 32]).unwrap();
        let key = PeriodKey { number: 0x0102_0304, track: 3, period: 42 };
        assert_eq!(seed.kid(key).to_string(), "09fbe4e2-ed84-2aa7-b5cf-58385191efc1");
        assert_eq!(
            *seed.key("live/news", key).unwrap().to_hex(),
            "296c3439bcebb3e4485eae00351a9916"
        );
        let others = [
            PeriodKey { number: 0x0102_0305, ..key },
            PeriodKey { track: 2, ..key },
            PeriodKey { period: 43, ..key },
        ];
        for other in others {
            assert_ne!(seed.kid(other), seed.kid(key));
            assert_ne!(
                seed.key("live/news", other).unwrap().to_hex(),
                seed.key("live/news", key).unwrap().to_hex()
            );
        }
        assert_ne!(
            seed.key("live/sport", key).unwrap().to_hex(),
            seed.key("live/news", key).unwrap().to_hex()
        );
    }
}
