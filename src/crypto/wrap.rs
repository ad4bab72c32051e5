//! `wrap[kek, place](secret)`: how secrets are stored.
//!
//! ```text
//! record key = HKDF-SHA256(ikm = kek, salt = 32 random bytes, info = place)        RFC 5869
//! wrapped    = AES-256-GCM[record key](nonce = 0, aad = place, plaintext = secret)  SP 800-38D
//! ```
//!
//! The place says where the record is, so a record that was moved does not open. **A record key encrypts only once**:
//! it is derived with a fresh salt. So the nonce can be constant, and the number of records has no limit. Every
//! failure to unwrap is the same error, with the same text. The work runs [on a clean
//! stack](crate::crypto::clean_stack).

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use p256::elliptic_curve::subtle::ConstantTimeEq;
use reelkey_client::key::ContentKey;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::random::{self, RandomnessFailed};

/// Identifies a secret: its store, its record and the fields that belong to it. It is bound to the wrapped bytes,
/// together with the KEK's generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bytes before the generation.
    before: Vec<u8>,
    /// The bytes after the generation.
    behind: Vec<u8>,
}

impl Place {
    /// The place of the record named `record`, of the kind `tree`, in the store with this ID. `bound` has the other
    /// fields of the record that must not change while the secret stays the same.
    #[must_use]
    pub fn new(store_id: &[u8; 16], tree: &str, record: &[u8], bound: &[&[u8]]) -> Self {
        let (mut before, mut behind) = (b"reelkey wrap 1".to_vec(), Vec::new());
        for part in [&store_id[..], tree.as_bytes(), record] {
            push(&mut before, part);
        }
        for part in bound {
            push(&mut behind, part);
        }
        Self { before, behind }
    }

    fn to_bytes(&self, generation: u32) -> Vec<u8> {
        let mut bytes = self.before.clone();
        push(&mut bytes, &generation.to_be_bytes());
        bytes.extend_from_slice(&self.behind);
        bytes
    }
}

/// Writes a part after its length, so that two different places never have the same bytes.
fn push(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
}

/// A key-encryption key: 32 random bytes, with a generation. Generation 0 is the root key, which wraps the other KEKs
/// and nothing else.
pub struct Kek {
    generation: u32,
    key: Box<Zeroizing<[u8; 32]>>,
}

/// A wrapped secret, as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// The generation of the KEK that opens it.
    pub kek: u32,
    /// base64url of 32 bytes.
    salt: String,
    /// base64url of the ciphertext and its 16-byte tag.
    sealed: String,
}

/// The wrapped secret does not open: it was wrapped under another KEK or for another place, or its bytes were altered.
/// It is impossible to tell which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a wrapped secret does not open: it was altered, moved, or wrapped under another key")]
pub struct DoesNotOpen;

/// A secret could not be wrapped, so it must not be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrapFailed {
    /// The operating system gave no randomness for the salt.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
    /// There is no KEK to wrap it under.
    #[error("there is no primary key-encryption key")]
    NoKek,
    /// The cipher refused. It refuses only plaintexts of 64 GiB and more.
    #[error("the cipher refused a secret")]
    Cipher,
}

/// A secret could not be moved from one KEK to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RewrapFailed {
    /// It does not open.
    #[error(transparent)]
    Open(#[from] DoesNotOpen),
    /// It cannot be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapFailed),
}

impl Kek {
    /// Generates a KEK.
    ///
    /// # Errors
    /// [`RandomnessFailed`].
    pub fn generate(generation: u32) -> Result<Self, RandomnessFailed> {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        random::fill(key.as_mut_slice())?;
        Ok(Self { generation, key })
    }

    /// Makes a KEK from its bytes.
    #[must_use]
    pub fn from_bytes(generation: u32, bytes: &[u8; 32]) -> Self {
        let mut key = Box::new(Zeroizing::new([0; 32]));
        key.copy_from_slice(bytes);
        Self { generation, key }
    }

    /// The generation of this KEK.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Wraps a content key.
    ///
    /// # Errors
    /// [`WrapFailed`].
    pub fn wrap_content_key(&self, place: &Place, key: &ContentKey) -> Result<Wrapped, WrapFailed> {
        self.wrap(place, key.expose())
    }

    /// Unwraps a content key directly into its own buffer.
    ///
    /// # Errors
    /// [`DoesNotOpen`].
    pub fn unwrap_content_key(
        &self,
        place: &Place,
        wrapped: &Wrapped,
    ) -> Result<ContentKey, DoesNotOpen> {
        on_clean_stack(|| {
            let secret = self.open(place, wrapped)?;
            ContentKey::try_init(|key| {
                let bytes = secret.get(..).filter(|_| secret.len() == 16).ok_or(DoesNotOpen)?;
                key.copy_from_slice(bytes);
                Ok(())
            })
        })
    }

    /// Wraps another KEK. Only the root key does this.
    ///
    /// # Errors
    /// [`WrapFailed`].
    pub fn wrap_kek(&self, place: &Place, kek: &Self) -> Result<Wrapped, WrapFailed> {
        self.wrap(place, kek.key.as_slice())
    }

    /// Unwraps a KEK of this generation.
    ///
    /// # Errors
    /// [`DoesNotOpen`].
    pub fn unwrap_kek(
        &self,
        place: &Place,
        generation: u32,
        wrapped: &Wrapped,
    ) -> Result<Self, DoesNotOpen> {
        on_clean_stack(|| {
            let secret = self.open(place, wrapped)?;
            let bytes = secret.first_chunk().filter(|_| secret.len() == 32).ok_or(DoesNotOpen)?;
            Ok(Self::from_bytes(generation, bytes))
        })
    }

    /// Wraps any secret.
    ///
    /// # Errors
    /// [`WrapFailed`].
    pub fn wrap(&self, place: &Place, secret: &[u8]) -> Result<Wrapped, WrapFailed> {
        on_clean_stack(|| self.close(place, secret))
    }

    fn close(&self, place: &Place, secret: &[u8]) -> Result<Wrapped, WrapFailed> {
        let salt = random::bytes::<32>()?;
        let place = place.to_bytes(self.generation);
        let mut sealed = Zeroizing::new(Vec::with_capacity(secret.len() + 16));
        sealed.extend_from_slice(secret);
        let tag = self
            .record_cipher(&salt, &place)
            .ok_or(WrapFailed::Cipher)?
            .encrypt_inout_detached(&Nonce::default(), &place, sealed.as_mut_slice().into())
            .map_err(|_| WrapFailed::Cipher)?;
        sealed.extend_from_slice(&tag);
        let [salt, sealed] = [&salt[..], &sealed].map(Base64UrlUnpadded::encode_string);
        Ok(Wrapped { kek: self.generation, salt, sealed })
    }

    /// Unwraps a secret that [`wrap`](Self::wrap) wrapped for the same place.
    ///
    /// # Errors
    /// [`DoesNotOpen`].
    pub fn unwrap(
        &self,
        place: &Place,
        wrapped: &Wrapped,
    ) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        on_clean_stack(|| self.open(place, wrapped))
    }

    fn open(&self, place: &Place, wrapped: &Wrapped) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let decode = |text: &str| Base64UrlUnpadded::decode_vec(text).map_err(|_| DoesNotOpen);
        let salt: [u8; 32] = decode(&wrapped.salt)?.try_into().map_err(|_| DoesNotOpen)?;
        let mut sealed = Zeroizing::new(decode(&wrapped.sealed)?);
        let (text, tag) = sealed.split_last_chunk_mut::<16>().ok_or(DoesNotOpen)?;
        let place = place.to_bytes(self.generation);
        self.record_cipher(&salt, &place)
            .ok_or(DoesNotOpen)?
            .decrypt_inout_detached(&Nonce::default(), &place, text.into(), &Tag::from(*tag))
            .map_err(|_| DoesNotOpen)?;
        let length = sealed.len() - 16;
        sealed.truncate(length);
        Ok(sealed)
    }

    /// Wraps a secret again: unwraps it with this KEK and wraps it under `to`, for the same place.
    ///
    /// # Errors
    /// [`RewrapFailed`].
    pub fn rewrap(
        &self,
        to: &Self,
        place: &Place,
        wrapped: &Wrapped,
    ) -> Result<Wrapped, RewrapFailed> {
        on_clean_stack(|| {
            let secret = self.open(place, wrapped)?;
            Ok(to.close(place, &secret)?)
        })
    }

    /// The cipher of one record. Its key schedule is zeroed on drop.
    fn record_cipher(&self, salt: &[u8; 32], place: &[u8]) -> Option<Aes256Gcm> {
        let mut key = Zeroizing::new([0; 32]);
        // RFC 5869 section 2.3 limits the output to 255 blocks. This is one block.
        Hkdf::<Sha256>::new(Some(salt), self.key.as_slice())
            .expand(place, key.as_mut_slice())
            .ok()?;
        Some(Aes256Gcm::new((&*key).into()))
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({}, ..)", self.generation)
    }
}

/// Whether the two keys are equal. The time does not depend on where they differ.
#[must_use]
pub fn is_same(one: &ContentKey, other: &ContentKey) -> bool {
    on_clean_stack(|| one.expose().ct_eq(other.expose()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f";

    fn place(record: &[u8], bound: &[&[u8]]) -> Place {
        Place::new(&[7; 16], "key", record, bound)
    }

    fn wrapped(kek: &Kek) -> Wrapped {
        let key = ContentKey::parse_hex(KEY).unwrap();
        kek.wrap_content_key(&place(b"kid", &[b"movies/bunny"]), &key).unwrap()
    }

    #[test]
    fn what_was_wrapped_opens_at_its_place() {
        let kek = Kek::generate(3).unwrap();
        let opened = kek.unwrap_content_key(&place(b"kid", &[b"movies/bunny"]), &wrapped(&kek));
        assert_eq!(opened.unwrap().expose()[..3], [0, 1, 2]);
        assert_ne!(wrapped(&kek), wrapped(&kek), "a salt is never repeated");
    }

    #[test]
    fn a_record_that_was_moved_does_not_open() {
        let kek = Kek::generate(3).unwrap();
        let wrapped = wrapped(&kek);
        let opens = |place: Place| kek.unwrap_content_key(&place, &wrapped).is_ok();
        assert!(!opens(place(b"kie", &[b"movies/bunny"])));
        assert!(!opens(place(b"kid", &[b"movies/sintel"])));
        assert!(!opens(place(b"kid", &[])));
        assert!(!opens(place(b"kid", &[b"movies", b"/bunny"])));
        assert!(!opens(Place::new(&[8; 16], "key", b"kid", &[b"movies/bunny"])));
        assert!(!opens(Place::new(&[7; 16], "signer", b"kid", &[b"movies/bunny"])));
        let later = Kek::from_bytes(4, &kek.key);
        assert!(later.unwrap(&place(b"kid", &[b"movies/bunny"]), &wrapped).is_err());
        assert!(Kek::generate(3).unwrap().unwrap(&place(b"kid", &[]), &wrapped).is_err());
    }

    /// Stores in use were wrapped with exactly these bytes.
    #[test]
    fn the_bytes_of_a_place_never_change() {
        let bytes = Place::new(&[7; 16], "key", b"kid", &[b"a", b""]).to_bytes(0x0102_0304);
        let length = |length: u8| [0, 0, 0, 0, 0, 0, 0, length];
        let mut right = b"reelkey wrap 1".to_vec();
        for part in [&[7_u8; 16][..], b"key", b"kid", &[1, 2, 3, 4], b"a", b""] {
            right.extend(length(u8::try_from(part.len()).unwrap()));
            right.extend(part);
        }
        assert_eq!(bytes, right);
    }

    #[test]
    fn what_was_rewrapped_opens_under_the_new_key_alone() {
        let (old, new) = (Kek::generate(1).unwrap(), Kek::generate(2).unwrap());
        let place = place(b"kid", &[b"movies/bunny"]);
        let moved = old.rewrap(&new, &place, &wrapped(&old)).unwrap();
        assert_eq!(moved.kek, 2);
        assert_eq!(new.unwrap_content_key(&place, &moved).unwrap().expose()[..3], [0, 1, 2]);
        assert!(old.unwrap(&place, &moved).is_err());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let kek = Kek::generate(1).unwrap();
        let wrapped = wrapped(&kek);
        let bytes = Base64UrlUnpadded::decode_vec(&wrapped.sealed).unwrap();
        assert_eq!(bytes.len(), 32);
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let sealed = Base64UrlUnpadded::encode_string(&altered);
            let altered = Wrapped { sealed, ..wrapped.clone() };
            let opened = kek.unwrap_content_key(&place(b"kid", &[b"movies/bunny"]), &altered);
            assert_eq!(opened.unwrap_err(), DoesNotOpen, "bit {bit}");
        }
        for sealed in ["", "AAAA", "%", &wrapped.sealed[1..]] {
            let altered = Wrapped { sealed: sealed.into(), ..wrapped.clone() };
            assert!(kek.unwrap(&place(b"kid", &[b"movies/bunny"]), &altered).is_err(), "{sealed}");
        }
    }

    #[test]
    fn neither_a_kek_nor_what_it_wraps_is_printed() {
        let kek = Kek::from_bytes(2, &[0x41; 32]);
        assert_eq!(format!("{kek:?}"), "Kek(2, ..)");
    }
}
