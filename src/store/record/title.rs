//! A content and its keys, read together.

use std::collections::{BTreeMap, BTreeSet};

use reelkey_client::key::KeyId;

use crate::domain::content::ContentId;
use crate::store::batch::Entry;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::pages::Pages;
use crate::store::record::content::{
    ContentRecord, NumberRecord, TITLE_PREFIX, content_key, is_content_key, number_key,
};
use crate::store::record::key::{KeyRecord, KeyState, KidRecord, key_key, kid_key};
use crate::store::record::stored::{self, Stored};

/// A content and its keys.
#[derive(Clone, Debug)]
pub struct Title {
    /// The content.
    pub content: Stored<ContentRecord>,
    /// Its keys, in the order of their KIDs.
    pub keys: Vec<Stored<KeyRecord>>,
}

impl Title {
    /// The keys in the order of lists: see [`KeyRecord::list_order`].
    #[must_use]
    pub fn listed_keys(&self) -> Vec<&KeyRecord> {
        let mut keys: Vec<&KeyRecord> = self.keys.iter().map(|key| &**key).collect();
        keys.sort_by_cached_key(|key| key.list_order());
        keys
    }

    /// Parses contents and keys from entries that are beside each other.
    fn parse_all(entries: Vec<Entry>) -> Result<Vec<Self>, Error> {
        let mut titles: Vec<Self> = Vec::new();
        for (key, value) in entries {
            if is_content_key(&key) {
                titles.push(Self { content: Stored::parse(&key, value)?, keys: Vec::new() });
                continue;
            }
            let record: Stored<KeyRecord> = Stored::parse(&key, value)?;
            match titles.last_mut() {
                Some(title) if title.content.content_id == record.content_id => {
                    title.keys.push(record);
                }
                _ => {
                    let what = format!("content {} is lost, its keys are there", record.content_id);
                    return Err(Error::Damaged(what));
                }
            }
        }
        Ok(titles)
    }
}

/// Reads a content and its keys: **one read**, unless the content has a thousand keys or more.
///
/// # Errors
/// [`Error`], also if there are keys without a content.
pub async fn title(store: &dyn Store, content: &ContentId) -> Result<Option<Title>, Error> {
    let entries = Pages::of(store, &content_key(content)).all().await?;
    Ok(Title::parse_all(entries)?.pop())
}

/// Reads all contents with their keys, ordered by content ID.
///
/// # Errors
/// As [`title`].
pub async fn titles(store: &dyn Store) -> Result<Vec<Title>, Error> {
    Title::parse_all(Pages::of(store, TITLE_PREFIX.as_bytes()).all().await?)
}

/// Reads a content without its keys.
///
/// # Errors
/// [`Error`].
pub async fn content(
    store: &dyn Store,
    content: &ContentId,
) -> Result<Option<Stored<ContentRecord>>, Error> {
    stored::read(store, &content_key(content)).await
}

/// Finds the contents that have the keys with these KIDs: **one read**. Unknown KIDs are left out.
///
/// # Errors
/// [`Error`].
pub async fn contents_of(
    store: &dyn Store,
    kids: impl IntoIterator<Item = &KeyId>,
) -> Result<BTreeMap<KeyId, ContentId>, Error> {
    let kids = kids.into_iter().copied().collect();
    Ok(find(store, &kids, &BTreeSet::new()).await?.0)
}

/// The contents that have keys with certain KIDs, and those that have certain numbers.
pub type Found = (BTreeMap<KeyId, ContentId>, BTreeMap<u32, ContentId>);

/// Finds the contents that have the keys with these KIDs, and those that have these numbers: **one read**. What is unknown
/// is left out.
///
/// # Errors
/// [`Error`].
pub async fn find(
    store: &dyn Store,
    kids: &BTreeSet<KeyId>,
    numbers: &BTreeSet<u32>,
) -> Result<Found, Error> {
    let (mut by_kid, mut by_number) = Found::default();
    let keys = kids.iter().map(|kid| kid_key(*kid));
    let keys: Vec<_> = keys.chain(numbers.iter().map(|number| number_key(*number))).collect();
    if keys.is_empty() {
        return Ok((by_kid, by_number));
    }
    let values = store.get_many(&keys).await?;
    for (at, (key, value)) in keys.iter().zip(values).enumerate() {
        let Some(value) = value else { continue };
        if at < kids.len() {
            let record: Stored<KidRecord> = Stored::parse(key, value)?;
            by_kid.insert(record.kid, record.content_id.clone());
        } else {
            let record: Stored<NumberRecord> = Stored::parse(key, value)?;
            by_number.insert(record.number, record.content_id.clone());
        }
    }
    Ok((by_kid, by_number))
}

/// Reads a content key by its KID: two reads.
///
/// # Errors
/// [`Error`], also if the index names a key that does not exist.
pub async fn key(store: &dyn Store, kid: KeyId) -> Result<Option<Stored<KeyRecord>>, Error> {
    let Some(content) = contents_of(store, &[kid]).await?.remove(&kid) else { return Ok(None) };
    match stored::read(store, &key_key(&content, kid)).await? {
        Some(record) => Ok(Some(record)),
        // If the index entry is gone too, the key was removed with its content between the two reads.
        None if contents_of(store, &[kid]).await?.is_empty() => Ok(None),
        None => Err(lost(kid)),
    }
}

/// Content keys of all contents, a page at a time.
///
/// # Errors
/// [`Error`].
pub async fn keys_after(
    store: &dyn Store,
    after: Option<(&ContentId, KeyId)>,
) -> Result<Vec<Stored<KeyRecord>>, Error> {
    let after = after.map(|(content, kid)| key_key(content, kid));
    let mut pages = Pages::after(store, TITLE_PREFIX.as_bytes(), after);
    loop {
        let page = pages.next().await?;
        let (is_last, mut keys) = (page.is_empty(), Vec::new());
        for (key, value) in page {
            if !is_content_key(&key) {
                keys.push(Stored::parse(&key, value)?);
            }
        }
        if is_last || !keys.is_empty() {
            return Ok(keys);
        }
    }
}

/// How many titles and keys there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Contents.
    pub contents: usize,
    /// Keys that are given out.
    pub active_keys: usize,
    /// Keys that are kept and not given out.
    pub retired_keys: usize,
}

/// Counts titles and keys. It reads all of them, and lets others work after every page.
///
/// # Errors
/// [`Error`].
pub async fn stock(store: &dyn Store) -> Result<Stock, Error> {
    let mut stock = Stock::default();
    let mut pages = Pages::of(store, TITLE_PREFIX.as_bytes());
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(stock);
        }
        for (key, value) in page {
            if is_content_key(&key) {
                stock.contents += 1;
                continue;
            }
            let record: Stored<KeyRecord> = Stored::parse(&key, value)?;
            match record.state {
                KeyState::Active => stock.active_keys += 1,
                KeyState::Retired => stock.retired_keys += 1,
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The index names a key that its content does not have.
#[must_use]
pub fn lost(kid: KeyId) -> Error {
    Error::Damaged(format!("content key {kid} is lost"))
}
