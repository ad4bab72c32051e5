//! Reading and writing records of any kind.
//!
//! A record that was read keeps its bytes ([`Stored`]), and a batch expects exactly these bytes. So a record from
//! another version can be replaced and removed, even if this version would write it differently.

use std::ops::Deref;

use crate::store::batch::{Batch, Entry};
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::pages::Pages;
use crate::store::record::form::Form;

/// A record with a key of its own.
pub trait Record: Sized {
    /// The form in which it is written.
    type Form: Form<Self>;

    /// The key prefix of its kind.
    const PREFIX: &'static str;

    /// The key under which it is kept.
    fn key(&self) -> Vec<u8>;
}

/// A record as it was read, together with its bytes.
#[derive(Clone, Debug)]
pub struct Stored<R> {
    record: R,
    value: Vec<u8>,
}

impl<R> Deref for Stored<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.record
    }
}

impl<R: Record> Stored<R> {
    /// Reads the record under `key`.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the record is unreadable, or says that it belongs under another key. A fact does not repeat all of its
    /// key, so it says less.
    pub fn parse(key: &[u8], value: Vec<u8>) -> Result<Self, Error> {
        match R::Form::read(key, &value) {
            Some(record) if record.key() == key => Ok(Self { record, value }),
            _ => Err(Error::Damaged(format!("record {} is unreadable", name_of(key)))),
        }
    }
}

impl Batch {
    /// Adds a record. Expects that it does not exist.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn add_record<R: Record>(self, record: &R) -> Result<Self, Error> {
        Ok(self.expect_absent(record.key()).put(record.key(), R::Form::write(record)?))
    }

    /// Replaces `old` by `new`. Expects that `old` is as it was read.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn replace_record<R: Record>(self, old: &Stored<R>, new: &R) -> Result<Self, Error> {
        Ok(self.expect_record(old).put(new.key(), R::Form::write(new)?))
    }

    /// Replaces `old` by `new`, or adds `new` where there was none.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn put_record<R: Record>(self, old: Option<&Stored<R>>, new: &R) -> Result<Self, Error> {
        match old {
            Some(old) => self.replace_record(old, new),
            None => self.add_record(new),
        }
    }

    /// Expects that a record is as it was read.
    #[must_use]
    pub fn expect_record<R: Record>(self, record: &Stored<R>) -> Self {
        self.expect(record.key(), record.value.clone())
    }

    /// Removes a record. Expects that it is as it was read.
    #[must_use]
    pub fn remove_record<R: Record>(self, record: &Stored<R>) -> Self {
        self.expect_record(record).remove(record.key())
    }
}

/// A key as a person reads it. Those of facts are bytes behind a word.
fn name_of(key: &[u8]) -> String {
    key.iter().map(|byte| byte.escape_ascii().to_string()).collect()
}

/// Reads the record under `key`, if it exists.
///
/// # Errors
/// [`Error`].
pub async fn read<R: Record>(store: &dyn Store, key: &[u8]) -> Result<Option<Stored<R>>, Error> {
    store.get(key).await?.map(|value| Stored::parse(key, value)).transpose()
}

/// Reads the record of a kind that has at most one.
///
/// # Errors
/// [`Error`].
pub async fn only<R: Record>(store: &dyn Store) -> Result<Option<Stored<R>>, Error> {
    read(store, R::PREFIX.as_bytes()).await
}

/// Reads every record of a kind that has a prefix of its own, in key order.
///
/// # Errors
/// [`Error`].
pub async fn all<R: Record>(store: &dyn Store) -> Result<Vec<Stored<R>>, Error> {
    with_prefix(store, R::PREFIX.as_bytes()).await
}

/// Reads every record whose key begins with `prefix`, in key order.
///
/// # Errors
/// [`Error`].
pub async fn with_prefix<R: Record>(
    store: &dyn Store,
    prefix: &[u8],
) -> Result<Vec<Stored<R>>, Error> {
    let entries = Pages::of(store, prefix).all().await?;
    entries.into_iter().map(|(key, value): Entry| Stored::parse(&key, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::batch::Committed;
    use crate::store::embedded::successor::NewStore;
    use crate::store::record::key::KidRecord;
    use reelkey_client::key::KeyId;

    #[tokio::test]
    async fn a_record_that_another_version_wrote_differently_can_be_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = NewStore::begin(&folder.path().join("store")).unwrap().finish().unwrap();
        let kid = KeyId::from_bytes([7; 16]);
        let record = KidRecord { kid, content_id: "movies/bunny".parse().unwrap() };
        let other = format!(r#"{{ "later": 1, "content_id": "movies/bunny", "kid": "{kid}" }}"#);
        store.commit(Batch::default().put(record.key(), other)).await.unwrap();
        let stored: Stored<KidRecord> = read(&store, &record.key()).await.unwrap().unwrap();
        let batch = Batch::default().replace_record(&stored, &record).unwrap();
        assert_eq!(store.commit(batch).await.unwrap(), Committed::Done);
        let batch = Batch::default().remove_record(&stored);
        assert_eq!(store.commit(batch).await.unwrap(), Committed::Conflict);
        let stored = read::<KidRecord>(&store, &record.key()).await.unwrap().unwrap();
        let batch = Batch::default().remove_record(&stored);
        assert_eq!(store.commit(batch).await.unwrap(), Committed::Done);
    }

    #[test]
    fn a_record_under_the_key_of_another_one_is_damage() {
        let record = KidRecord {
            kid: KeyId::from_bytes([7; 16]),
            content_id: "movies/bunny".parse().unwrap(),
        };
        let value = serde_json::to_vec(&record).unwrap();
        let elsewhere = Stored::<KidRecord>::parse(b"kid/elsewhere", value);
        assert!(matches!(elsewhere, Err(Error::Damaged(_))));
    }
}
