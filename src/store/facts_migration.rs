//! Brings facts of an earlier format up to date when the store is opened.
//!
//! Format 1 kept each kind of facts apart: a key began with the word of the kind, then came the account. Format 2 begins with
//! the account, so that everything of an account lies together. What follows, and the records, are the same. Format 3 keeps most
//! of an account in one row of the embedded engine ([`ROWS`](crate::store::record::fact::account::ROWS)). Format 4 writes CBOR
//! where there was JSON, and licenses may be in rows too. What formats 2 and 3 wrote is read as it is and where it is, so only the
//! header changes.
//!
//! First the header gets the new format, so that no older version opens facts that are half moved. Then they move, a page at a
//! time. The batch that writes a fact in its new place also removes it from the old one. If the process is killed, the next open
//! moves the rest.

use crate::store::batch::{Batch, Committed, Entry};
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::pages::PAGE;
use crate::store::record::fact::account::{AccountId, Kind};
use crate::store::record::fact::header::{FORMAT, FactsHeader};
use crate::store::record::stored;

/// The words with which keys began in format 1, and their kinds.
const WORDS: [(&str, Kind); 5] = [
    ("device/", Kind::Device),
    ("place/", Kind::Place),
    ("slot/", Kind::Slot),
    // Before licenses, which need more of a row and do not stay.
    ("use/", Kind::Usage),
    ("license/", Kind::License),
];

/// Brings `facts` up to [`FORMAT`]. Returns how many were moved. For facts that are up to date this is none, and costs six small
/// reads.
///
/// # Errors
/// [`Error`]. The next attempt moves the rest.
pub async fn migrate(facts: &dyn Store) -> Result<usize, Error> {
    let Some(header) = stored::only::<FactsHeader>(facts).await? else { return Ok(0) };
    if header.format < FORMAT {
        tracing::warn!(from = header.format, to = FORMAT, "bringing the facts up to date");
        let newer = FactsHeader { format: FORMAT, ..FactsHeader::clone(&header) };
        commit(facts, Batch::default().replace_record(&header, &newer)?).await?;
    }
    let mut moved = 0;
    for (word, kind) in WORDS {
        loop {
            let page = facts.scan(word.as_bytes(), None, PAGE).await?;
            if page.is_empty() {
                break;
            }
            moved += page.len();
            let mut batch = Batch::default();
            for entry in page {
                batch = add_to(batch, word, kind, entry)?;
            }
            commit(facts, batch).await?;
        }
    }
    if moved > 0 {
        tracing::info!(facts = moved, "the facts are up to date");
    }
    Ok(moved)
}

/// Adds the move of one fact to `batch`.
fn add_to(batch: Batch, word: &str, kind: Kind, (key, value): Entry) -> Result<Batch, Error> {
    let behind = key.strip_prefix(word.as_bytes()).and_then(<[u8]>::split_first_chunk);
    let Some((account, rest)) = behind else {
        return Err(Error::Damaged(format!("record {} is unreadable", key.escape_ascii())));
    };
    let place = AccountId::from_bytes(*account).key_of(kind, &[rest]);
    Ok(batch
        .expect(key.clone(), value.clone())
        .remove(key)
        .expect_absent(&*place)
        .put(&*place, value))
}

async fn commit(facts: &dyn Store, batch: Batch) -> Result<(), Error> {
    match facts.commit(batch).await? {
        Committed::Done => Ok(()),
        // No other task uses the store yet.
        Committed::Conflict => Err(Error::Damaged("a fact is in two places".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::facts;
    use crate::store::embedded::row::Sharing;
    use crate::store::embedded::store::SledStore;
    use crate::store::embedded::successor::NewStore;
    use crate::store::record::fact::account::ROWS;
    use crate::store::record::fact::device::DeviceRecord;
    use crate::store::record::fact::license::{LicenseRecord, OwnerRecord};
    use crate::store::record::fact::place::PlaceRecord;
    use crate::store::record::fact::slot::SlotRecord;
    use crate::store::record::fact::usage::UsageRecord;
    use crate::store::record::stored::{Record, Stored, with_prefix};
    use reelkey_client::strict::jwk::Thumbprint;
    use tempfile::TempDir;

    const HEADER: &str = r#"{"format":1,"store_id":"00010203-0405-0607-0809-0a0b0c0d0e0f"}"#;
    const ACCOUNT: [u8; 16] = [7; 16];
    const JKT_BYTES: Thumbprint = Thumbprint::from_bytes([9; 32]);
    const JKT: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk";
    const UUID: &str = "07070707-0707-0707-0707-070707070707";
    const ID: &str = "BwcHBwcHBwcHBwcHBwcHBw";

    /// Keys and values as the first format wrote them: one of each kind, and so many devices of other accounts.
    fn of_format_1(others: u32) -> Vec<Entry> {
        let key = |parts: &[&[u8]]| parts.concat();
        let device = |account: &str| {
            format!(
                r#"{{"account":"{account}","jkt":"{JKT}","place":0,"placed_at":5,"registered_at":5,"last_seen_at":6,"status":"active","status_since":5}}"#
            )
        };
        let usage = UsageRecord::key_of(
            &AccountId::from_bytes(ACCOUNT),
            &"movies/bunny".parse().unwrap(),
            "rental-1",
        );
        let mut all = vec![
            (key(&[b"device/", &ACCOUNT, &[9; 32]]), device(UUID)),
            (
                key(&[b"place/", &ACCOUNT, &[0, 0]]),
                format!(r#"{{"account":"{UUID}","number":0,"jkt":"{JKT}"}}"#),
            ),
            (
                key(&[b"use/", &ACCOUNT, &usage[usage.len() - 16..]]),
                format!(
                    r#"{{"account":"{UUID}","content_id":"movies/bunny","entitlement_id":"rental-1","rented_at":5}}"#
                ),
            ),
            (
                key(&[b"slot/", &ACCOUNT, &ACCOUNT, &[0, 1]]),
                format!(
                    r#"{{"account":"{UUID}","counted":"{UUID}","number":1,"license":"{ID}","jkt":"{JKT}","content_id":"movies/bunny","since":5,"until":9}}"#
                ),
            ),
            (
                key(&[b"license/", &ACCOUNT, &[9; 32], &ACCOUNT]),
                format!(
                    r#"{{"account":"{UUID}","id":"{ID}","sub":"a","jkt":"{JKT}","content_id":"movies/bunny","entitlement_id":"rental-1","policy_id":"p","session_type":"temporary","issued_at":5,"updated_at":5,"expires_at":9,"counter":0,"state":"active","events":[["issued",5]]}}"#
                ),
            ),
            (
                key(&[b"owner/", &ACCOUNT]),
                format!(r#"{{"id":"{ID}","account":"{UUID}","jkt":"{JKT}"}}"#),
            ),
        ];
        for number in 0..others {
            let mut account = [8; 16];
            account[..4].copy_from_slice(&number.to_be_bytes());
            let name = AccountId::from_bytes(account).to_string();
            all.push((key(&[b"device/", &account, &[9; 32]]), device(&name)));
        }
        all.into_iter().map(|(key, value)| (key, value.into_bytes())).collect()
    }

    /// Facts that were written without rows, and are opened with them.
    async fn facts_of(header: &str, entries: &[Entry]) -> (TempDir, SledStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = NewStore::begin(&folder.path().join("store")).unwrap().finish().unwrap();
        let mut batch = Batch::default().put("facts", header);
        for (key, value) in entries {
            batch = batch.put(key.clone(), value.clone());
        }
        let facts = facts::open(&store, Sharing::NONE, false).unwrap();
        facts.commit(batch).await.unwrap();
        drop(facts);
        let facts = facts::open(&store, ROWS, false).unwrap();
        (folder, facts)
    }

    async fn holds<F: crate::store::record::fact::account::Fact>(facts: &dyn Store) {
        let prefix = AccountId::from_bytes(ACCOUNT).prefix_of::<F>();
        // Each is read, and belongs under its key.
        let found: Vec<Stored<F>> = with_prefix(facts, &prefix).await.unwrap();
        assert_eq!(found.len(), 1);
    }

    async fn holds_everything(facts: &dyn Store, others: u32) {
        holds::<DeviceRecord>(facts).await;
        holds::<PlaceRecord>(facts).await;
        holds::<UsageRecord>(facts).await;
        holds::<SlotRecord>(facts).await;
        holds::<LicenseRecord>(facts).await;
        assert_eq!(stored::all::<OwnerRecord>(facts).await.unwrap().len(), 1);
        let header = stored::only::<FactsHeader>(facts).await.unwrap().unwrap();
        assert_eq!(header.format, FORMAT);
        let all = facts.scan(b"", None, usize::MAX).await.unwrap();
        assert_eq!(all.len(), 7 + usize::try_from(others).unwrap(), "and nothing is left");
    }

    #[tokio::test]
    async fn facts_of_the_first_format_are_brought_up_to_date_once() {
        let others = u32::try_from(PAGE).unwrap() + 3;
        let (_folder, facts) = facts_of(HEADER, &of_format_1(others)).await;
        assert_eq!(migrate(&facts).await.unwrap(), 5 + PAGE + 3);
        holds_everything(&facts, others).await;
        assert_eq!(migrate(&facts).await.unwrap(), 0);
    }

    /// JSON of an earlier format, in a row or with an entry of its own, is replaced by CBOR if it is as it was read.
    #[tokio::test]
    async fn facts_of_earlier_formats_are_replaced_where_they_are() {
        let entries = of_format_1(0);
        let key = DeviceRecord::key_of(&AccountId::from_bytes(ACCOUNT), &JKT_BYTES);
        for format in [1, 3] {
            let header = HEADER.replace(":1,", &format!(":{format},"));
            let (_folder, facts) = match format {
                1 => facts_of(&header, &entries).await,
                _ => facts_of(&header, &[(key.clone(), entries[0].1.clone())]).await,
            };
            migrate(&facts).await.unwrap();
            let old: Stored<DeviceRecord> = stored::read(&facts, &key).await.unwrap().unwrap();
            let new = DeviceRecord { last_seen_at: 7, ..DeviceRecord::clone(&old) };
            let change = || Batch::default().replace_record(&old, &new).unwrap();
            assert_eq!(facts.commit(change()).await.unwrap(), Committed::Done);
            assert_eq!(facts.commit(change()).await.unwrap(), Committed::Conflict);
            let read: Stored<DeviceRecord> = stored::read(&facts, &key).await.unwrap().unwrap();
            assert_eq!(*read, new);
            let value = facts.get(&key).await.unwrap().unwrap();
            assert_ne!(value.first(), Some(&b'{'), "format {format}");
        }
    }

    #[tokio::test]
    async fn a_migration_that_was_cut_short_goes_on() {
        let entries = of_format_1(2);
        let (_folder, facts) = facts_of(&HEADER.replace(":1,", ":2,"), &entries).await;
        let (key, value) = entries[0].clone();
        let moved = add_to(Batch::default(), "device/", Kind::Device, (key, value)).unwrap();
        commit(&facts, moved).await.unwrap();
        assert_eq!(migrate(&facts).await.unwrap(), 6);
        holds_everything(&facts, 2).await;
    }

    #[tokio::test]
    async fn a_fact_in_two_places_or_without_an_account_is_damage() {
        let entries = of_format_1(0);
        let (_folder, facts) = facts_of(HEADER, &entries).await;
        let record: Stored<PlaceRecord> = Stored::parse(
            &AccountId::from_bytes(ACCOUNT).key_of(Kind::Place, &[&[0, 0]]),
            entries[1].1.clone(),
        )
        .unwrap();
        facts.commit(Batch::default().put(record.key(), entries[1].1.clone())).await.unwrap();
        assert!(matches!(migrate(&facts).await, Err(Error::Damaged(_))));
        let (_folder, facts) = facts_of(HEADER, &[(b"use/short".to_vec(), b"{}".to_vec())]).await;
        assert!(matches!(migrate(&facts).await, Err(Error::Damaged(_))));
        assert!(facts.get(b"use/short").await.unwrap().is_some());
    }
}
