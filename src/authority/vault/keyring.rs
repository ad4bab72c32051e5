//! The keys that open the store: the KEKs, one for each generation, unwrapped with the root key.

use std::collections::BTreeMap;
use std::sync::Arc;

use reelkey_client::key::{ContentKey, KeyId};
use zeroize::Zeroizing;

use crate::authority::vault::fault::Fault;
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::period::PeriodSeed;
use crate::crypto::request_name::NamingKey;
use crate::crypto::root_key::RootKey;
use crate::crypto::sign::SigningKey;
use crate::crypto::wrap::{self, DoesNotOpen, Kek, RewrapFailed, WrapFailed, Wrapped};
use crate::domain::content::ContentId;
use crate::domain::packager::PackagerName;
use crate::domain::track::TrackType;
use crate::store::engine::Store;
use crate::store::record::header::{self, Header};
use crate::store::record::kek::KekRecord;
use crate::store::record::key::KeyRecord;
use crate::store::record::naming_key::NamingKeyRecord;
use crate::store::record::packager::PackagerRecord;
use crate::store::record::period_seed::PeriodSeedRecord;
use crate::store::record::secret::Secret;
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::signer::SignerRecord;
use crate::store::record::stored;

/// Wraps and unwraps the secrets of one store.
#[derive(Debug)]
pub struct Keyring {
    store_id: [u8; 16],
    keks: BTreeMap<u32, Arc<Kek>>,
    primary: u32,
}

/// The name of the primary KEK in [`Fault::Incomplete`].
pub(in crate::authority) const PRIMARY: &str = "primary key-encryption key";

impl Keyring {
    /// Unwraps every KEK of the store.
    ///
    /// # Errors
    /// [`Fault::WrongRootKey`] is checked first. Otherwise any [`Fault`].
    pub async fn open(root: &RootKey, store: &dyn Store) -> Result<Self, Fault> {
        let header = header::header(store).await?.ok_or(Fault::Incomplete("header"))?;
        if root.check_value(&header.store_id) != header.root_key_check {
            return Err(Fault::WrongRootKey);
        }
        let root = root.to_kek();
        let mut keks = BTreeMap::new();
        let mut primary = None;
        for kek in stored::all::<KekRecord>(store).await? {
            let generation = kek.generation;
            let place = KekRecord::place(&header.store_id, generation);
            let opened = root.unwrap_kek(&place, generation, &kek.wrapped).map_err(|source| {
                Fault::Record { record: format!("key-encryption key {generation}"), source }
            })?;
            if kek.primary && primary.replace(generation).is_some() {
                return Err(Fault::TwoPrimary);
            }
            keks.insert(generation, Arc::new(opened));
        }
        let primary = primary.ok_or(Fault::Incomplete(PRIMARY))?;
        Ok(Self { store_id: header.store_id, keks, primary })
    }

    /// Makes a new primary KEK of this generation. Returns its record, wrapped under the root key, and the KEK.
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub(in crate::authority) fn make_kek(
        root: &RootKey,
        store_id: &[u8; 16],
        generation: u32,
        created_at: u64,
    ) -> Result<(KekRecord, Kek), WrapFailed> {
        let kek = Kek::generate(generation)?;
        let place = KekRecord::place(store_id, generation);
        let wrapped = root.to_kek().wrap_kek(&place, &kek)?;
        Ok((KekRecord { generation, primary: true, wrapped, created_at }, kek))
    }

    /// Makes a keyring for a store that is being filled.
    pub(in crate::authority) fn new(header: &Header, kek: Kek) -> Self {
        let primary = kek.generation();
        Self {
            store_id: header.store_id,
            keks: BTreeMap::from([(primary, Arc::new(kek))]),
            primary,
        }
    }

    /// Takes over the KEKs of an earlier keyring of the same store. A reader may have read a record just before its
    /// KEK was removed, and take the keyring only afterwards.
    pub(in crate::authority) fn remember(&mut self, earlier: &Self) {
        for (generation, kek) in &earlier.keks {
            self.keks.entry(*generation).or_insert_with(|| Arc::clone(kek));
        }
    }

    /// Wraps a content key of that content and track type.
    ///
    /// # Errors
    /// The operating system gave no randomness, or there is no primary KEK.
    pub fn wrap_content_key(
        &self,
        kid: KeyId,
        content: &ContentId,
        track: Option<TrackType>,
        key: &ContentKey,
    ) -> Result<Wrapped, WrapFailed> {
        let place = KeyRecord::place_of(&self.store_id, kid, content, track);
        self.primary_kek()?.wrap_content_key(&place, key)
    }

    /// Unwraps a content key.
    ///
    /// # Errors
    /// [`Fault::Record`], with the KID.
    pub fn content_key(&self, record: &KeyRecord) -> Result<ContentKey, Fault> {
        self.kek(&record.wrapped)
            .and_then(|kek| kek.unwrap_content_key(&record.place(&self.store_id), &record.wrapped))
            .map_err(|source| Fault::Record { record: record.name(), source })
    }

    /// Whether the record holds this key, compared in constant time.
    ///
    /// # Errors
    /// [`Fault::Record`].
    pub fn is_key(&self, record: &KeyRecord, key: &ContentKey) -> Result<bool, Fault> {
        Ok(wrap::is_same(&self.content_key(record)?, key))
    }

    /// Wraps a signing key, given as PKCS#8.
    ///
    /// # Errors
    /// The operating system gave no randomness, or there is no primary KEK.
    pub fn wrap_signer(&self, kid: &str, pkcs8: &[u8]) -> Result<Wrapped, WrapFailed> {
        self.primary_kek()?.wrap(&SignerRecord::place_of(&self.store_id, kid), pkcs8)
    }

    /// Unwraps a signing key.
    ///
    /// # Errors
    /// [`Fault::Record`] or [`Fault::Signer`].
    pub fn signer(&self, record: &SignerRecord) -> Result<SigningKey, Fault> {
        Ok(SigningKey::from_pkcs8(&self.unwrap(record)?)?)
    }

    /// Wraps the key that names requests.
    ///
    /// # Errors
    /// The operating system gave no randomness, or there is no primary KEK.
    pub fn wrap_naming_key(&self, key: &[u8; 32]) -> Result<Wrapped, WrapFailed> {
        self.primary_kek()?.wrap(&NamingKeyRecord::place_in(&self.store_id), key)
    }

    /// Unwraps the key that names requests.
    ///
    /// # Errors
    /// [`Fault::Record`].
    pub fn naming_key(&self, record: &NamingKeyRecord) -> Result<NamingKey, Fault> {
        on_clean_stack(|| {
            let key = self.unwrap(record)?;
            match key.first_chunk::<32>() {
                Some(bytes) if key.len() == 32 => Ok(NamingKey::new(bytes)),
                _ => Err(Fault::Record { record: record.name(), source: DoesNotOpen }),
            }
        })
    }

    /// Wraps the seed of crypto periods.
    ///
    /// # Errors
    /// The operating system gave no randomness, or there is no primary KEK.
    pub fn wrap_period_seed(&self, seed: &[u8; 32]) -> Result<Wrapped, WrapFailed> {
        self.primary_kek()?.wrap(&PeriodSeedRecord::place_in(&self.store_id), seed)
    }

    /// Unwraps the seed of crypto periods.
    ///
    /// # Errors
    /// [`Fault::Record`].
    pub fn period_seed(&self, record: &PeriodSeedRecord) -> Result<PeriodSeed, Fault> {
        on_clean_stack(|| {
            let damaged = || Fault::Record { record: record.name(), source: DoesNotOpen };
            let seed = self.unwrap(record)?;
            let bytes = seed.first_chunk::<32>().filter(|_| seed.len() == 32);
            PeriodSeed::new(bytes.ok_or_else(damaged)?).map_err(|_| damaged())
        })
    }

    /// Wraps what a packager may do and how it proves who it is.
    ///
    /// # Errors
    /// The operating system gave no randomness, or there is no primary KEK.
    pub fn wrap_packager(&self, name: &PackagerName, rights: &[u8]) -> Result<Wrapped, WrapFailed> {
        self.primary_kek()?.wrap(&PackagerRecord::place_of(&self.store_id, name), rights)
    }

    /// Unwraps what a packager may do and how it proves who it is.
    ///
    /// # Errors
    /// [`Fault::Record`].
    pub fn packager(&self, record: &PackagerRecord) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.unwrap(record)
    }

    /// The primary generation: every new secret is wrapped under it.
    #[must_use]
    pub fn primary(&self) -> u32 {
        self.primary
    }

    /// Wraps a secret of any kind again, under the primary KEK.
    ///
    /// # Errors
    /// [`Fault::Record`], with the secret's name.
    pub fn rewrap(&self, secret: &Secret) -> Result<Wrapped, Fault> {
        let wrapped = secret.wrapped();
        let rewrap =
            |kek: &Kek| kek.rewrap(self.primary_kek()?, &secret.place(&self.store_id), wrapped);
        match self.kek(wrapped).map_err(RewrapFailed::Open).and_then(rewrap) {
            Err(RewrapFailed::Open(source)) => Err(Fault::Record { record: secret.name(), source }),
            rewrapped => Ok(rewrapped?),
        }
    }

    /// Checks that a secret of any kind opens and is valid for its kind.
    ///
    /// # Errors
    /// [`Fault::Record`], with the secret's name.
    pub fn check(&self, secret: &Secret) -> Result<(), Fault> {
        match secret {
            Secret::Key(record) => self.content_key(record).map(|_| ()),
            Secret::Signer(record) => self.signer(record).map(|_| ()),
            Secret::NamingKey(record) => self.naming_key(record).map(|_| ()),
            Secret::PeriodSeed(record) => self.period_seed(record).map(|_| ()),
            Secret::Packager(record) => self.packager(record).map(|_| ()),
        }
    }

    fn unwrap(&self, record: &impl SecretRecord) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.kek(record.wrapped())
            .and_then(|kek| kek.unwrap(&record.place(&self.store_id), record.wrapped()))
            .map_err(|source| Fault::Record { record: record.name(), source })
    }

    fn primary_kek(&self) -> Result<&Kek, WrapFailed> {
        self.keks.get(&self.primary).map(|kek| &**kek).ok_or(WrapFailed::NoKek)
    }

    fn kek(&self, wrapped: &Wrapped) -> Result<&Kek, DoesNotOpen> {
        self.keks.get(&wrapped.kek).map(|kek| &**kek).ok_or(DoesNotOpen)
    }
}
