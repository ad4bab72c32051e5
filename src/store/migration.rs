//! Brings a store of an earlier format up to date when it is opened.
//!
//! Format 1 kept a content under `content/` and its ID, and a content key under `key/` and its KID. An empty entry
//! under `title/`, the content ID, NUL and the KID said that the content has the key. Format 2 keeps both records
//! under `title/`.
//!
//! First the header gets the new format, so that no older version opens a store that is half done. Then the records
//! move, a page at a time. The batch that writes a record in its new place also removes it from the old one. If the
//! process is killed, the next open continues with the rest. Secrets are not wrapped again: their wrapping is bound to
//! names, not to keys of the store.

use serde::Deserialize;

use crate::domain::content::ContentId;
use crate::store::batch::{Batch, Committed, Entry};
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::pages::PAGE;
use crate::store::record::content::content_key;
use crate::store::record::header::{self, FORMAT, Header};
use crate::store::record::key::{KidRecord, key_key};

/// The key prefix of contents in format 1.
const CONTENTS: &[u8] = b"content/";

/// The key prefix of content keys in format 1.
const KEYS: &[u8] = b"key/";

/// Brings `store` up to [`FORMAT`]. Returns the number of moved records. For a store that is up to date this is none,
/// and costs three small reads.
///
/// # Errors
/// [`Error`]. The next attempt moves the rest.
pub async fn migrate(store: &dyn Store) -> Result<usize, Error> {
    let Some(header) = header::header(store).await? else { return Ok(0) };
    if header.format < FORMAT {
        tracing::warn!(from = header.format, to = FORMAT, "bringing the store up to date");
        let newer = Header { format: FORMAT, ..Header::clone(&header) };
        commit(store, Batch::default().replace_record(&header, &newer)?).await?;
    }
    let mut moved = 0;
    // Contents first: a key without its content would count as damage.
    for (prefix, step) in [(CONTENTS, Step::Content), (KEYS, Step::Key)] {
        loop {
            let page = store.scan(prefix, None, PAGE).await?;
            if page.is_empty() {
                break;
            }
            moved += page.len();
            let mut batch = Batch::default();
            for entry in page {
                batch = step.add_to(batch, entry)?;
            }
            commit(store, batch).await?;
        }
    }
    if moved > 0 {
        tracing::info!(records = moved, "the store is up to date");
    }
    Ok(moved)
}

/// The kind of record that is moved.
#[derive(Clone, Copy)]
enum Step {
    Content,
    Key,
}

/// The fields of a format 1 content that determine its key.
#[derive(Deserialize)]
struct OldContent {
    content_id: ContentId,
}

/// The fields of a format 1 content key that determine its key.
#[derive(Deserialize)]
struct OldKey {
    kid: String,
    content_id: ContentId,
}

impl Step {
    /// Adds the move of one record to `batch`.
    fn add_to(self, batch: Batch, (key, value): Entry) -> Result<Batch, Error> {
        let damaged =
            || Error::Damaged(format!("record {:?} is unreadable", String::from_utf8_lossy(&key)));
        let batch = batch.expect(key.clone(), value.clone()).remove(key.clone());
        match self {
            Self::Content => {
                let old: OldContent = serde_json::from_slice(&value).map_err(|_| damaged())?;
                if key != [CONTENTS, old.content_id.as_str().as_bytes()].concat() {
                    return Err(damaged());
                }
                Ok(batch.put(content_key(&old.content_id), value))
            }
            Self::Key => {
                let old: OldKey = serde_json::from_slice(&value).map_err(|_| damaged())?;
                let kid = old.kid.parse().map_err(|_| damaged())?;
                let record = KidRecord { kid, content_id: old.content_id };
                if key != [KEYS, kid.as_bytes()].concat() {
                    return Err(damaged());
                }
                // Replaces the empty entry, which said that the content has this key.
                let place = key_key(&record.content_id, kid);
                Ok(batch.expect(place.clone(), "").put(place, value).add_record(&record)?)
            }
        }
    }
}

async fn commit(store: &dyn Store, batch: Batch) -> Result<(), Error> {
    match store.commit(batch).await? {
        Committed::Done => Ok(()),
        // No other task uses the store yet, so a conflict means that its records contradict each other.
        Committed::Conflict => Err(Error::Damaged("a content and its keys disagree".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::store::SledStore;
    use crate::store::embedded::successor::NewStore;
    use crate::store::record::title;
    use reelkey_client::key::KeyId;
    use tempfile::TempDir;

    const HEADER: &str = r#"{"format":1,"store_id":"00010203-0405-0607-0809-0a0b0c0d0e0f","epoch":1,"root_key_check":"00010203-0405-0607-0809-0a0b0c0d0e0f","created_at":1}"#;

    fn kid(number: u32) -> KeyId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        KeyId::from_bytes(bytes)
    }

    fn key_json(kid: KeyId) -> String {
        format!(
            r#"{{"kid":"{kid}","content_id":"movies/bunny","track_type":"HD","state":"active","wrapped":{{"kek":1,"salt":"AA","sealed":"AA"}},"created_at":2}}"#
        )
    }

    /// A store in format 1.
    async fn store_of_format_1(keys: u32) -> (TempDir, SledStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = NewStore::begin(&folder.path().join("store")).unwrap().finish().unwrap();
        let content = r#"{"content_id":"movies/bunny","policies":["open"],"created_at":2}"#;
        let mut batch = Batch::default().put("header", HEADER).put("content/movies/bunny", content);
        for number in 0..keys {
            let kid = kid(number);
            batch = batch
                .put([b"key/".as_slice(), kid.as_bytes()].concat(), key_json(kid))
                .put([b"title/movies/bunny\0".as_slice(), kid.as_bytes()].concat(), "");
        }
        store.commit(batch).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn a_store_of_the_first_format_is_brought_up_to_date_once() {
        let keys = u32::try_from(PAGE).unwrap() + 3;
        let (_folder, store) = store_of_format_1(keys).await;
        assert_eq!(migrate(&store).await.unwrap(), PAGE + 4);
        assert_eq!(migrate(&store).await.unwrap(), 0);
        assert_eq!(header::header(&store).await.unwrap().unwrap().format, FORMAT);
        let title = title::title(&store, &"movies/bunny".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((title.content.created_at, title.keys.len()), (2, PAGE + 3));
        let last = title::key(&store, kid(keys - 1)).await.unwrap().unwrap();
        assert_eq!(last.content_id.as_str(), "movies/bunny");
        assert!(store.scan(b"key/", None, 1).await.unwrap().is_empty());
        assert!(store.scan(b"content/", None, 1).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_migration_that_was_cut_short_goes_on() {
        let (_folder, store) = store_of_format_1(3).await;
        let header = header::header(&store).await.unwrap().unwrap();
        let newer = Header { format: FORMAT, ..Header::clone(&header) };
        let batch = Batch::default().replace_record(&header, &newer).unwrap();
        store.commit(batch).await.unwrap();
        assert_eq!(migrate(&store).await.unwrap(), 4);
        assert!(title::key(&store, kid(2)).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_key_that_its_content_does_not_list_is_damage_and_nothing_is_moved() {
        let (_folder, store) = store_of_format_1(1).await;
        let stray = [b"key/".as_slice(), kid(9).as_bytes()].concat();
        store.commit(Batch::default().put(stray.clone(), key_json(kid(9)))).await.unwrap();
        assert!(matches!(migrate(&store).await, Err(Error::Damaged(_))));
        assert!(store.get(&stray).await.unwrap().is_some());
    }
}
