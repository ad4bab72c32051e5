//! The records, and where each is kept.
//!
//! | key | record |
//! |---|---|
//! | `header` | [`Header`] |
//! | `kek/` generation | [`KekRecord`] |
//! | `signer/` kid | [`SignerRecord`] |
//! | `naming-key` | [`NamingKeyRecord`] |
//! | `content/` content ID | [`ContentRecord`] |
//! | `key/` KID | [`KeyRecord`] |
//! | `title/` content ID, NUL, KID | nothing: the title has this key |
//!
//! A record is JSON below 8 KiB. What a later version adds is optional; what would mislead an older
//! one raises [`FORMAT`], which an older version refuses.

use reelkey_client::key::KeyId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::crypto::wrap::Wrapped;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::{Batch, Error, Store};

/// The version of what is described here.
pub const FORMAT: u32 = 1;

/// How many entries one page of a scan holds.
pub const PAGE: usize = 512;

/// What the store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the version that made it.
    pub format: u32,
    /// 16 random bytes, bound to every wrapped secret.
    #[serde(with = "uuid_16")]
    pub store_id: [u8; 16],
    /// Counts what must not be undone by an older copy of the store.
    pub epoch: u64,
    /// Tells a wrong root key from a damaged record; reveals nothing of the key.
    #[serde(with = "uuid_16")]
    pub root_key_check: [u8; 16],
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

/// A KEK, wrapped by the root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KekRecord {
    /// From 1.
    pub generation: u32,
    /// Whether new secrets are wrapped under it. Exactly one is.
    pub primary: bool,
    /// The KEK.
    pub wrapped: Wrapped,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

/// A key that signs licenses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerRecord {
    /// The thumbprint of its public half.
    pub kid: String,
    /// PKCS#8.
    pub wrapped: Wrapped,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
    /// From when on it signs, seconds since 1970, until a later one does.
    #[serde(default)]
    pub signs_from: u64,
    /// Which of two that sign from the same second on is the later one.
    #[serde(default)]
    pub number: u32,
}

impl SignerRecord {
    /// By what signing keys are ordered: the last one whose time has come signs.
    #[must_use]
    pub fn turn(&self) -> (u64, u32) {
        (self.signs_from, self.number)
    }
}

/// The key that names requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamingKeyRecord {
    /// 32 bytes.
    pub wrapped: Wrapped,
}

/// A title.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRecord {
    /// Its name.
    #[serde(with = "text")]
    pub content_id: ContentId,
    /// Its policies by name, the first for tokens that name none.
    pub policies: Vec<String>,
    /// When it was added, seconds since 1970.
    pub created_at: u64,
}

/// A content key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its identifier.
    #[serde(with = "text")]
    pub kid: KeyId,
    /// The one title that has it.
    #[serde(with = "text")]
    pub content_id: ContentId,
    /// What it encrypts, if that was said.
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    pub track_type: Option<TrackType>,
    /// Whether it is given out.
    pub state: KeyState,
    /// The key.
    pub wrapped: Wrapped,
    /// When it was added, seconds since 1970.
    pub created_at: u64,
}

/// Where a content key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Given out.
    Active,
    /// Kept, and never given out again.
    Retired,
}

/// A record that has a place of its own.
pub trait Record: Serialize + DeserializeOwned {
    /// What the keys of its kind begin with.
    const PREFIX: &'static str;

    /// The key under which it is kept.
    fn key(&self) -> Vec<u8>;
}

impl Record for Header {
    const PREFIX: &'static str = "header";

    fn key(&self) -> Vec<u8> {
        Self::PREFIX.into()
    }
}

impl Record for KekRecord {
    const PREFIX: &'static str = "kek/";

    fn key(&self) -> Vec<u8> {
        [Self::PREFIX.as_bytes(), &self.generation.to_be_bytes()].concat()
    }
}

impl Record for SignerRecord {
    const PREFIX: &'static str = "signer/";

    fn key(&self) -> Vec<u8> {
        [Self::PREFIX, &self.kid].concat().into_bytes()
    }
}

impl Record for NamingKeyRecord {
    const PREFIX: &'static str = "naming-key";

    fn key(&self) -> Vec<u8> {
        Self::PREFIX.into()
    }
}

impl Record for ContentRecord {
    const PREFIX: &'static str = "content/";

    fn key(&self) -> Vec<u8> {
        content_key(&self.content_id)
    }
}

impl Record for KeyRecord {
    const PREFIX: &'static str = "key/";

    fn key(&self) -> Vec<u8> {
        key_key(self.kid)
    }
}

fn content_key(content: &ContentId) -> Vec<u8> {
    [ContentRecord::PREFIX, content.as_str()].concat().into_bytes()
}

fn key_key(kid: KeyId) -> Vec<u8> {
    [KeyRecord::PREFIX.as_bytes(), kid.as_bytes()].concat()
}

/// What says which keys a title has.
const TITLE_PREFIX: &str = "title/";

/// A content ID holds no NUL, so no title's keys begin with another's.
fn title_prefix(content: &ContentId) -> Vec<u8> {
    [TITLE_PREFIX.as_bytes(), content.as_str().as_bytes(), &[0]].concat()
}

impl Batch {
    /// Puts a record that must not be there yet.
    ///
    /// # Errors
    /// [`Error::TooLong`] if it has no JSON form, which no record here lacks.
    pub fn add_record<R: Record>(self, record: &R) -> Result<Self, Error> {
        let value = serde_json::to_vec(record).map_err(|_| Error::TooLong)?;
        Ok(self.expect_absent(record.key()).put(record.key(), value))
    }

    /// Puts `new` where exactly `old` is, both under one key.
    ///
    /// # Errors
    /// As [`add_record`](Self::add_record).
    pub fn replace_record<R: Record>(self, old: &R, new: &R) -> Result<Self, Error> {
        let encode = |record| serde_json::to_vec(record).map_err(|_| Error::TooLong);
        Ok(self.expect(old.key(), encode(old)?).put(new.key(), encode(new)?))
    }

    /// Expects a record to be exactly as it was read.
    ///
    /// # Errors
    /// As [`add_record`](Self::add_record).
    pub fn expect_record<R: Record>(self, record: &R) -> Result<Self, Error> {
        let value = serde_json::to_vec(record).map_err(|_| Error::TooLong)?;
        Ok(self.expect(record.key(), value))
    }

    /// Removes a record that is exactly as it was read.
    ///
    /// # Errors
    /// As [`add_record`](Self::add_record).
    pub fn remove_record<R: Record>(self, record: &R) -> Result<Self, Error> {
        Ok(self.expect_record(record)?.remove(record.key()))
    }

    /// Puts a content key that must not be there yet, and lists it under its title.
    ///
    /// # Errors
    /// As [`add_record`](Self::add_record).
    pub fn add_key(self, record: &KeyRecord) -> Result<Self, Error> {
        let listed = [&title_prefix(&record.content_id)[..], record.kid.as_bytes()].concat();
        Ok(self.add_record(record)?.put(listed, ""))
    }

    /// Removes a content key that is exactly as it was read, and its title's mention of it.
    ///
    /// # Errors
    /// As [`add_record`](Self::add_record).
    pub fn remove_key(self, record: &KeyRecord) -> Result<Self, Error> {
        let listed = [&title_prefix(&record.content_id)[..], record.kid.as_bytes()].concat();
        Ok(self.remove_record(record)?.remove(listed))
    }
}

/// The record of kind `R` under `key`.
async fn read<R: Record>(store: &dyn Store, key: &[u8]) -> Result<Option<R>, Error> {
    store.get(key).await?.map(|value| parse(key, &value)).transpose()
}

fn parse<R: Record>(key: &[u8], value: &[u8]) -> Result<R, Error> {
    let damaged =
        || Error::Damaged(format!("record {:?} is unreadable", String::from_utf8_lossy(key)));
    let record: R = serde_json::from_slice(value).map_err(|_| damaged())?;
    if record.key() == key { Ok(record) } else { Err(damaged()) }
}

/// A record of any kind, for who moves them all.
#[derive(Debug)]
pub enum AnyRecord {
    /// [`Header`].
    Header,
    /// [`KekRecord`].
    Kek,
    /// [`KeyRecord`].
    Key(KeyRecord),
    /// [`SignerRecord`].
    Signer(SignerRecord),
    /// [`NamingKeyRecord`].
    NamingKey(NamingKeyRecord),
    /// One without a secret.
    Plain,
}

impl AnyRecord {
    /// What is kept under `key`.
    ///
    /// # Errors
    /// [`Error::Damaged`], also for a kind that this version does not know.
    pub fn read(key: &[u8], value: &[u8]) -> Result<Self, Error> {
        let is = |prefix: &str| key.starts_with(prefix.as_bytes());
        if key == Header::PREFIX.as_bytes() {
            Ok(Self::Header)
        } else if key == NamingKeyRecord::PREFIX.as_bytes() {
            parse(key, value).map(Self::NamingKey)
        } else if is(KekRecord::PREFIX) {
            Ok(Self::Kek)
        } else if is(KeyRecord::PREFIX) {
            parse(key, value).map(Self::Key)
        } else if is(SignerRecord::PREFIX) {
            parse(key, value).map(Self::Signer)
        } else if is(ContentRecord::PREFIX) || is(TITLE_PREFIX) {
            Ok(Self::Plain)
        } else {
            Err(Error::Damaged("there is a record of an unknown kind".into()))
        }
    }
}

/// The header, if there is one. Of a later format it is an error.
///
/// # Errors
/// [`Error::Newer`] for a store that a newer version made.
pub async fn header(store: &dyn Store) -> Result<Option<Header>, Error> {
    let header: Option<Header> = read(store, Header::PREFIX.as_bytes()).await?;
    match &header {
        Some(Header { format, .. }) if *format > FORMAT => Err(Error::Newer { format: *format }),
        _ => Ok(header),
    }
}

/// The key that names requests.
///
/// # Errors
/// [`Error`].
pub async fn naming_key(store: &dyn Store) -> Result<Option<NamingKeyRecord>, Error> {
    read(store, NamingKeyRecord::PREFIX.as_bytes()).await
}

/// A title.
///
/// # Errors
/// [`Error`].
pub async fn content(
    store: &dyn Store,
    content: &ContentId,
) -> Result<Option<ContentRecord>, Error> {
    read(store, &content_key(content)).await
}

/// A KEK.
///
/// # Errors
/// [`Error`].
pub async fn kek(store: &dyn Store, generation: u32) -> Result<Option<KekRecord>, Error> {
    read(store, &[KekRecord::PREFIX.as_bytes(), &generation.to_be_bytes()].concat()).await
}

/// A content key.
///
/// # Errors
/// [`Error`].
pub async fn key(store: &dyn Store, kid: KeyId) -> Result<Option<KeyRecord>, Error> {
    read(store, &key_key(kid)).await
}

/// Every record of a kind, in the order of their keys.
///
/// # Errors
/// [`Error`].
pub async fn all<R: Record>(store: &dyn Store) -> Result<Vec<R>, Error> {
    let entries = entries(store, R::PREFIX.as_bytes()).await?;
    entries.iter().map(|(key, value)| parse(key, value)).collect()
}

/// At most `limit` content keys that follow `after`, in the order of their KIDs.
///
/// # Errors
/// [`Error`].
pub async fn keys_after(
    store: &dyn Store,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Vec<KeyRecord>, Error> {
    let after = after.map(key_key);
    let page = store.scan(KeyRecord::PREFIX.as_bytes(), after.as_deref(), limit).await?;
    page.iter().map(|(key, value)| parse(key, value)).collect()
}

/// The keys of a title, in the order of their KIDs.
///
/// # Errors
/// [`Error`], also where the title lists a key that is not there.
pub async fn keys_of(store: &dyn Store, content: &ContentId) -> Result<Vec<KeyRecord>, Error> {
    let prefix = title_prefix(content);
    let mut keys = Vec::new();
    for (listed, _) in entries(store, &prefix).await? {
        let kid: Option<[u8; 16]> =
            listed.strip_prefix(&*prefix).and_then(|kid| kid.try_into().ok());
        let kid = kid.map(KeyId::from_bytes);
        let missing = || Error::Damaged(format!("a key of {content} is listed and not there"));
        let kid = kid.ok_or_else(missing)?;
        keys.push(key(store, kid).await?.ok_or_else(missing)?);
    }
    Ok(keys)
}

async fn entries(store: &dyn Store, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, Error> {
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|(key, _): &(Vec<u8>, Vec<u8>)| key.clone());
        let page = store.scan(prefix, after.as_deref(), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Types that are kept as the text that they print.
mod text {
    use super::{Deserialize, Deserializer, Serializer, read_text};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        read_text(&String::deserialize(from)?)
    }
}

mod optional_text {
    use super::{Deserialize, Deserializer, Serializer, read_text};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<S: Serializer>(
        value: &Option<impl Display>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Option::<String>::deserialize(from)?.as_deref().map(read_text).transpose()
    }
}

mod uuid_16 {
    use super::{Deserialize, Deserializer, KeyId, Serializer, read_text};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&KeyId::from_bytes(*bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        let id: KeyId = read_text(&String::deserialize(from)?)?;
        Ok(*id.as_bytes())
    }
}

fn read_text<T: std::str::FromStr, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(|_| E::custom("malformed text"))
}
