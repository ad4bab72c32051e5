//! The keys that open the store: KEKs, each of a generation, unwrapped by the root key.

use std::collections::BTreeMap;
use std::sync::Arc;

use reelkey_client::key::{ContentKey, KeyId};
use zeroize::Zeroizing;

use crate::crypto::request_name::NamingKey;
use crate::crypto::root_key::RootKey;
use crate::crypto::sign::{self, SigningKey};
use crate::crypto::wrap::{self, DoesNotOpen, Kek, Place, WrapFailed, Wrapped};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::{self, Header, KekRecord, KeyRecord, NamingKeyRecord, SignerRecord};
use crate::store::{self, Store};

/// Wraps and unwraps what one store holds.
#[derive(Debug)]
pub struct Keyring {
    store_id: [u8; 16],
    keks: BTreeMap<u32, Arc<Kek>>,
    primary: u32,
}

/// What [`Error::Incomplete`] calls it.
pub(super) const PRIMARY: &str = "primary key-encryption key";

/// The store's secrets do not open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record is gone that every store has.
    #[error("the store has no {0}; keep its files and run `reelkey restore`")]
    Incomplete(&'static str),
    /// The root key is that of another store.
    #[error("the root key is not this store's; put the right one back into keys/root.key")]
    WrongRootKey,
    /// Two KEKs are primary.
    #[error(
        "two key-encryption keys are primary; keep the store's files and run `reelkey restore`"
    )]
    TwoPrimary,
    /// A record does not open.
    #[error("{record} of the store is damaged; keep its files and run `reelkey restore`")]
    Record {
        /// Which.
        record: String,
        /// That it does not open.
        source: DoesNotOpen,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A secret could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapFailed),
    /// The signing key opens and is no key.
    #[error("the signing key cannot be used")]
    Signer(#[from] sign::Error),
}

impl Keyring {
    /// Unwraps every KEK of the store.
    ///
    /// # Errors
    /// [`Error::WrongRootKey`] before anything else is tried.
    pub async fn open(root: &RootKey, store: &dyn Store) -> Result<Self, Error> {
        let header = record::header(store).await?.ok_or(Error::Incomplete("header"))?;
        if root.check_value(&header.store_id) != header.root_key_check {
            return Err(Error::WrongRootKey);
        }
        let root = root.to_kek();
        let mut keks = BTreeMap::new();
        let mut primary = None;
        for kek in record::all::<KekRecord>(store).await? {
            let generation = kek.generation;
            let bytes = generation.to_be_bytes();
            let place = Place { store: &header.store_id, tree: "kek", record: &bytes, bound: &[] };
            let opened = root.unwrap_kek(place, generation, &kek.wrapped).map_err(|source| {
                Error::Record { record: format!("key-encryption key {generation}"), source }
            })?;
            if kek.primary && primary.replace(generation).is_some() {
                return Err(Error::TwoPrimary);
            }
            keks.insert(generation, Arc::new(opened));
        }
        let primary = primary.ok_or(Error::Incomplete(PRIMARY))?;
        Ok(Self { store_id: header.store_id, keks, primary })
    }

    /// A new primary KEK of that generation, and its record as the root key wraps it.
    ///
    /// # Errors
    /// That there is no randomness.
    pub(super) fn make_kek(
        root: &RootKey,
        store_id: &[u8; 16],
        generation: u32,
        created_at: u64,
    ) -> Result<(KekRecord, Kek), WrapFailed> {
        let kek = Kek::generate(generation)?;
        let bytes = generation.to_be_bytes();
        let place = Place { store: store_id, tree: "kek", record: &bytes, bound: &[] };
        let wrapped = root.to_kek().wrap_kek(place, &kek)?;
        Ok((KekRecord { generation, primary: true, wrapped, created_at }, kek))
    }

    /// A keyring for a store that is being made.
    pub(super) fn new(header: &Header, kek: Kek) -> Self {
        let primary = kek.generation();
        Self {
            store_id: header.store_id,
            keks: BTreeMap::from([(primary, Arc::new(kek))]),
            primary,
        }
    }

    /// Opens also what an earlier keyring of the same store opens: who read a record a moment before its
    /// KEK was dropped takes the keyring afterwards.
    pub(super) fn remember(&mut self, earlier: &Self) {
        for (generation, kek) in &earlier.keks {
            self.keks.entry(*generation).or_insert_with(|| Arc::clone(kek));
        }
    }

    /// Wraps a content key of that title and track type.
    ///
    /// # Errors
    /// That there is no randomness.
    pub fn wrap_content_key(
        &self,
        kid: KeyId,
        content: &ContentId,
        track: Option<TrackType>,
        key: &ContentKey,
    ) -> Result<Wrapped, WrapFailed> {
        let bound = [content.as_str().as_bytes(), track_bytes(track)];
        let place = self.place("key", kid.as_bytes(), &bound);
        self.primary_kek()?.wrap_content_key(place, key)
    }

    /// Unwraps a content key.
    ///
    /// # Errors
    /// [`Error::Record`], which names the KID.
    pub fn content_key(&self, record: &KeyRecord) -> Result<ContentKey, Error> {
        let bound = [record.content_id.as_str().as_bytes(), track_bytes(record.track_type)];
        let place = self.place("key", record.kid.as_bytes(), &bound);
        self.kek(&record.wrapped)
            .and_then(|kek| kek.unwrap_content_key(place, &record.wrapped))
            .map_err(|source| Error::Record {
                record: format!("content key {}", record.kid),
                source,
            })
    }

    /// Whether the record holds this very key, in time that does not depend on it.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn is_key(&self, record: &KeyRecord, key: &ContentKey) -> Result<bool, Error> {
        Ok(wrap::is_same(&self.content_key(record)?, key))
    }

    /// Wraps a signing key, given as PKCS#8.
    ///
    /// # Errors
    /// That there is no randomness.
    pub fn wrap_signer(&self, kid: &str, pkcs8: &[u8]) -> Result<Wrapped, WrapFailed> {
        self.primary_kek()?.wrap(self.place("signer", kid.as_bytes(), &[]), pkcs8)
    }

    /// Unwraps a signing key.
    ///
    /// # Errors
    /// [`Error::Record`] or [`Error::Signer`].
    pub fn signer(&self, record: &SignerRecord) -> Result<SigningKey, Error> {
        Ok(SigningKey::from_pkcs8(&self.open_signer(record)?)?)
    }

    /// The generation under which everything new is wrapped.
    #[must_use]
    pub fn primary(&self) -> u32 {
        self.primary
    }

    /// The record with its key under the primary KEK.
    ///
    /// # Errors
    /// [`Error`].
    pub fn rewrap_key(&self, old: &KeyRecord) -> Result<KeyRecord, Error> {
        let key = self.content_key(old)?;
        let wrapped = self.wrap_content_key(old.kid, &old.content_id, old.track_type, &key)?;
        Ok(KeyRecord { wrapped, ..old.clone() })
    }

    /// The record with its signing key under the primary KEK.
    ///
    /// # Errors
    /// [`Error`].
    pub fn rewrap_signer(&self, old: &SignerRecord) -> Result<SignerRecord, Error> {
        let pkcs8 = self.open_signer(old)?;
        Ok(SignerRecord { wrapped: self.wrap_signer(&old.kid, &pkcs8)?, ..old.clone() })
    }

    /// The record with its key under the primary KEK.
    ///
    /// # Errors
    /// [`Error`].
    pub fn rewrap_naming_key(&self, old: &NamingKeyRecord) -> Result<NamingKeyRecord, Error> {
        Ok(NamingKeyRecord { wrapped: self.wrap_naming_key(&*self.open_naming_key(old)?)? })
    }

    /// Wraps the key that names requests.
    ///
    /// # Errors
    /// That there is no randomness.
    pub fn wrap_naming_key(&self, key: &[u8; 32]) -> Result<Wrapped, WrapFailed> {
        self.primary_kek()?.wrap(self.place("naming-key", &[], &[]), key)
    }

    /// Unwraps the key that names requests.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn naming_key(&self, record: &NamingKeyRecord) -> Result<NamingKey, Error> {
        Ok(NamingKey::new(&*self.open_naming_key(record)?))
    }

    fn open_signer(&self, record: &SignerRecord) -> Result<Zeroizing<Vec<u8>>, Error> {
        let place = self.place("signer", record.kid.as_bytes(), &[]);
        self.kek(&record.wrapped)
            .and_then(|kek| kek.unwrap(place, &record.wrapped))
            .map_err(|source| Error::Record { record: "a signing key".into(), source })
    }

    fn open_naming_key(&self, record: &NamingKeyRecord) -> Result<Zeroizing<[u8; 32]>, Error> {
        let place = self.place("naming-key", &[], &[]);
        let open = |key: Zeroizing<Vec<u8>>| match key.first_chunk::<32>() {
            Some(bytes) if key.len() == 32 => Ok(Zeroizing::new(*bytes)),
            _ => Err(DoesNotOpen),
        };
        self.kek(&record.wrapped)
            .and_then(|kek| kek.unwrap(place, &record.wrapped))
            .and_then(open)
            .map_err(|source| Error::Record {
                record: "the key that names requests".into(),
                source,
            })
    }

    fn place<'a>(&'a self, tree: &'a str, record: &'a [u8], bound: &'a [&'a [u8]]) -> Place<'a> {
        Place { store: &self.store_id, tree, record, bound }
    }

    fn primary_kek(&self) -> Result<&Kek, WrapFailed> {
        self.keks.get(&self.primary).map(|kek| &**kek).ok_or(WrapFailed::NoKek)
    }

    fn kek(&self, wrapped: &Wrapped) -> Result<&Kek, DoesNotOpen> {
        self.keks.get(&wrapped.kek).map(|kek| &**kek).ok_or(DoesNotOpen)
    }
}

fn track_bytes(track: Option<TrackType>) -> &'static [u8] {
    track.map_or(b"", |track| track.as_str().as_bytes())
}
