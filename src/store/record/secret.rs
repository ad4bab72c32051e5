//! The one list of the records that hold a secret. Rotations, the census and the keyring go by it: a new kind is added
//! here, and is then wrapped anew, counted and opened like the others.

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::pages::Pages;
use crate::store::record::content::{ContentRecord, TITLE_PREFIX, is_content_key};
use crate::store::record::header::Header;
use crate::store::record::kek::KekRecord;
use crate::store::record::key::{KeyRecord, KidRecord};
use crate::store::record::naming_key::NamingKeyRecord;
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
}

/// Does the same with the record, whatever its kind.
macro_rules! with_record {
    ($secret:expr, $record:ident => $do:expr) => {
        match $secret {
            Secret::Key($record) => $do,
            Secret::Signer($record) => $do,
            Secret::NamingKey($record) => $do,
        }
    };
}

impl Secret {
    /// The secret.
    #[must_use]
    pub fn wrapped(&self) -> &Wrapped {
        with_record!(self, record => record.wrapped())
    }

    /// The place that is bound to it.
    #[must_use]
    pub fn place(&self, store_id: &[u8; 16]) -> Place {
        with_record!(self, record => record.place(store_id))
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> String {
        with_record!(self, record => record.name())
    }

    /// Adds to `batch` that the secret is wrapped anew, if its record is still as it was read.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn replace_in(&self, batch: Batch, wrapped: Wrapped) -> Result<Batch, Error> {
        with_record!(self, record => batch.replace_record(record, &record.rewrapped(wrapped)))
    }

    /// Adds to `batch` the record with its secret wrapped anew, for a store that does not have it.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn add_to(&self, batch: Batch, wrapped: Wrapped) -> Result<Batch, Error> {
        with_record!(self, record => batch.add_record(&record.rewrapped(wrapped)))
    }
}

/// What a walk through the whole store meets.
#[derive(Debug)]
pub enum Kind {
    /// The header or a KEK: of this store and no other.
    Own,
    /// A record with a secret.
    Secret(Secret),
    /// A content.
    Content(Stored<ContentRecord>),
    /// An entry of the index from KIDs to contents.
    Kid(Stored<KidRecord>),
}

impl Kind {
    /// What is kept under `key`.
    ///
    /// # Errors
    /// [`Error::Damaged`], also for a kind that this version does not know.
    pub fn read(key: &[u8], value: &[u8]) -> Result<Self, Error> {
        let is = |prefix: &str| key.starts_with(prefix.as_bytes());
        if key == Header::PREFIX.as_bytes() || is(KekRecord::PREFIX) {
            Ok(Self::Own)
        } else if key == NamingKeyRecord::PREFIX.as_bytes() {
            Ok(Self::Secret(Secret::NamingKey(Stored::parse(key, value.into())?)))
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
