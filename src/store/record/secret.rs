//! The list of all records that hold a secret. Rotations, the census and the keyring use it. A new kind is added here,
//! and is then rewrapped, counted and opened like the others.

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::pages::Pages;
use crate::store::record::content::{ContentRecord, NumberRecord, TITLE_PREFIX, is_content_key};
use crate::store::record::header::Header;
use crate::store::record::kek::KekRecord;
use crate::store::record::key::{KeyRecord, KidRecord};
use crate::store::record::naming_key::NamingKeyRecord;
use crate::store::record::packager::PackagerRecord;
use crate::store::record::period_seed::PeriodSeedRecord;
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::signer::SignerRecord;
use crate::store::record::stored::{Record, Stored};

/// A record that holds a secret, of any kind.
#[derive(Debug)]
pub enum Secret {
    /// A content key.
    Key(Stored<KeyRecord>),
    /// A key that signs licenses.
    Signer(Stored<SignerRecord>),
    /// The key that names requests.
    NamingKey(Stored<NamingKeyRecord>),
    /// The seed of crypto periods.
    PeriodSeed(Stored<PeriodSeedRecord>),
    /// A packager, with its rights.
    Packager(Stored<PackagerRecord>),
}

/// Runs the same expression on the record of any kind.
macro_rules! with_record {
    ($secret:expr, $record:ident => $do:expr) => {
        match $secret {
            Secret::Key($record) => $do,
            Secret::Signer($record) => $do,
            Secret::NamingKey($record) => $do,
            Secret::PeriodSeed($record) => $do,
            Secret::Packager($record) => $do,
        }
    };
}

impl Secret {
    /// The wrapped secret.
    #[must_use]
    pub fn wrapped(&self) -> &Wrapped {
        with_record!(self, record => record.wrapped())
    }

    /// The place to which its wrapping is bound.
    #[must_use]
    pub fn place(&self, store_id: &[u8; 16]) -> Place {
        with_record!(self, record => record.place(store_id))
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> String {
        with_record!(self, record => record.name())
    }

    /// Adds to `batch` the record with its secret wrapped again. Expects that the record is as it was read.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn replace_in(&self, batch: Batch, wrapped: Wrapped) -> Result<Batch, Error> {
        with_record!(self, record => batch.replace_record(record, &record.rewrapped(wrapped)))
    }

    /// Adds to `batch` the record with its secret wrapped again, for a store that does not have the record.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn add_to(&self, batch: Batch, wrapped: Wrapped) -> Result<Batch, Error> {
        with_record!(self, record => batch.add_record(&record.rewrapped(wrapped)))
    }
}

/// What a walk through the whole store finds.
#[derive(Debug)]
pub enum Kind {
    /// The header or a KEK. It belongs to this store only.
    Own,
    /// A record with a secret.
    Secret(Secret),
    /// A content.
    Content(Stored<ContentRecord>),
    /// An entry of the index from KIDs to contents.
    Kid(Stored<KidRecord>),
    /// An entry of the index from numbers to contents.
    Number(Stored<NumberRecord>),
}

impl Kind {
    /// Reads the record under `key`.
    ///
    /// # Errors
    /// [`Error::Damaged`], also if the kind is unknown to this version.
    pub fn read(key: &[u8], value: &[u8]) -> Result<Self, Error> {
        let is = |prefix: &str| key.starts_with(prefix.as_bytes());
        if key == Header::PREFIX.as_bytes() || is(KekRecord::PREFIX) {
            Ok(Self::Own)
        } else if key == NamingKeyRecord::PREFIX.as_bytes() {
            Ok(Self::Secret(Secret::NamingKey(Stored::parse(key, value.into())?)))
        } else if key == PeriodSeedRecord::PREFIX.as_bytes() {
            Ok(Self::Secret(Secret::PeriodSeed(Stored::parse(key, value.into())?)))
        } else if is(PackagerRecord::PREFIX) {
            Ok(Self::Secret(Secret::Packager(Stored::parse(key, value.into())?)))
        } else if is(NumberRecord::PREFIX) {
            Stored::parse(key, value.into()).map(Self::Number)
        } else if is(SignerRecord::PREFIX) {
            Ok(Self::Secret(Secret::Signer(Stored::parse(key, value.into())?)))
        } else if is(TITLE_PREFIX) && is_content_key(key) {
            Stored::parse(key, value.into()).map(Self::Content)
        } else if is(TITLE_PREFIX) {
            Ok(Self::Secret(Secret::Key(Stored::parse(key, value.into())?)))
        } else if is(KidRecord::PREFIX) {
            Stored::parse(key, value.into()).map(Self::Kid)
        } else {
            Err(Error::Damaged("there is a record of an unknown kind".into()))
        }
    }
}

/// Every secret of the store.
///
/// # Errors
/// [`Error`].
pub async fn secrets(store: &dyn Store) -> Result<Vec<Secret>, Error> {
    let mut secrets = Vec::new();
    let mut pages = Pages::of(store, b"");
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(secrets);
        }
        for (key, value) in page {
            if let Kind::Secret(secret) = Kind::read(&key, &value)? {
                secrets.push(secret);
            }
        }
    }
}
