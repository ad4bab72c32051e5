//! Counting what a store holds, and opening every secret of it on the way.

use std::collections::BTreeMap;

use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::Keyring;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::pages::Pages;
use crate::store::record::secret::{Kind, Secret};
use crate::store::record::title::lost;

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Records besides the header and the KEKs.
    pub records: usize,
    /// Those that hold a secret, each of which opens.
    pub secrets: usize,
    /// Contents.
    pub contents: usize,
    /// Content keys, each of which is in the index of KIDs.
    pub keys: usize,
}

/// Opens every secret of `store`, and holds the content keys against the index of their KIDs.
///
/// # Errors
/// The first secret that does not open, or the first key that is lost, by name.
pub async fn census(store: &dyn Store, keyring: &Keyring) -> Result<Census, Fault> {
    let (mut census, mut index) = (Census::default(), BTreeMap::new());
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
                    content_id = Some(content.content_id.clone());
                }
                // The index comes before the titles, in the order of the keys.
                Kind::Kid(entry) => drop(index.insert(entry.kid, entry.content_id.clone())),
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
    match index.into_keys().next() {
        Some(kid) => Err(lost(kid).into()),
        None => Ok(census),
    }
}
