//! Counts the records of a store, and opens every secret in it.

use std::collections::BTreeMap;

use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::Keyring;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::pages::Pages;
use crate::store::record::secret::{Kind, Secret};
use crate::store::record::title::lost;

/// The numbers of records in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// All records except the header and the KEKs.
    pub records: usize,
    /// Records with a secret. Each of them was opened.
    pub secrets: usize,
    /// Contents.
    pub contents: usize,
    /// Content keys. Each of them is in the index of KIDs.
    pub keys: usize,
}

/// Opens every secret of `store`, and compares the content keys with the index of their KIDs.
///
/// # Errors
/// The first secret that does not open, or the first key that is missing, with its name.
pub async fn census(store: &dyn Store, keyring: &Keyring) -> Result<Census, Fault> {
    let (mut census, mut index, mut numbers) =
        (Census::default(), BTreeMap::new(), BTreeMap::new());
    let mut content_id = None;
    let mut pages = Pages::of(store, b"");
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            break;
        }
        for (key, value) in page {
            match Kind::read(&key, &value)? {
                Kind::Own => continue,
                Kind::Content(content) => {
                    census.contents += 1;
                    if let Some(periods) = &content.crypto_periods
                        && numbers.remove(&periods.number).as_ref() != Some(&content.content_id)
                    {
                        let what = format!("the number of content {} is lost", content.content_id);
                        return Err(Error::Damaged(what).into());
                    }
                    content_id = Some(content.content_id.clone());
                }
                // The index entries (`kid/`, `number/`) come before the titles (`title/`) in key order.
                Kind::Kid(entry) => drop(index.insert(entry.kid, entry.content_id.clone())),
                Kind::Number(entry) => {
                    numbers.insert(entry.number, entry.content_id.clone());
                }
                Kind::Secret(secret) => {
                    keyring.check(&secret)?;
                    census.secrets += 1;
                    if let Secret::Key(record) = secret {
                        census.keys += 1;
                        if content_id.as_ref() != Some(&record.content_id) {
                            let what = format!("the content of key {} is lost", record.kid);
                            return Err(Error::Damaged(what).into());
                        }
                        if index.remove(&record.kid).as_ref() != Some(&record.content_id) {
                            let what = format!("the index does not name {}", record.kid);
                            return Err(Error::Damaged(what).into());
                        }
                    }
                }
            }
            census.records += 1;
        }
    }
    if let Some(content) = numbers.into_values().next() {
        let what = format!("there is a number of content {content}, and not the content with it");
        return Err(Error::Damaged(what).into());
    }
    match index.into_keys().next() {
        Some(kid) => Err(lost(kid).into()),
        None => Ok(census),
    }
}
