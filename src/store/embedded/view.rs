//! The store as it will be once the batches of a group are applied.

use std::collections::BTreeMap;

use crate::store::batch::{Batch, Committed};
use crate::store::embedded::guard::Engine;
use crate::store::embedded::row::{Row, Sharing};
use crate::store::error::Error;

/// What a group has read, and how it changes it.
pub(super) struct View<'a> {
    engine: &'a Engine,
    sharing: Sharing,
    /// The values of keys, unless they are in rows; `None`: there is none.
    entries: BTreeMap<Vec<u8>, Known<Option<Vec<u8>>>>,
    rows: BTreeMap<Vec<u8>, Known<Row>>,
}

struct Known<T> {
    now: T,
    is_changed: bool,
}

impl<T> Known<T> {
    const fn read(now: T) -> Self {
        Self { now, is_changed: false }
    }

    const fn changed(now: T) -> Self {
        Self { now, is_changed: true }
    }
}

impl<'a> View<'a> {
    /// The store as it is. Only the caller writes to it, so it stays so.
    pub(super) const fn new(engine: &'a Engine, sharing: Sharing) -> Self {
        Self { engine, sharing, entries: BTreeMap::new(), rows: BTreeMap::new() }
    }

    /// Adds the changes of a batch, if everything is as it expects once those before it are applied.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a row is unreadable, or a failure of sled. Nothing is added then.
    pub(super) fn add(&mut self, batch: Batch) -> Result<Committed, Error> {
        let Batch { expected, puts, removes } = batch;
        let expected_keys = expected.iter().map(|(key, _)| key);
        // Everything that can fail comes before the first change.
        for key in expected_keys.chain(puts.iter().map(|(key, _)| key)).chain(&removes) {
            self.read(key)?;
        }
        if expected.iter().any(|(key, value)| self.get(key) != value.as_deref()) {
            return Ok(Committed::Conflict);
        }
        for (key, value) in puts {
            self.put(key, value);
        }
        for key in removes {
            self.remove(key);
        }
        Ok(Committed::Done)
    }

    /// Its changes, for sled.
    pub(super) fn changes(self) -> sled::Batch {
        let entries = self.entries.into_iter().filter(|(_, known)| known.is_changed);
        let rows = self.rows.into_iter().filter(|(_, known)| known.is_changed);
        let rows = rows.map(|(key, known)| (key, known.now.bytes()));
        let mut changes = sled::Batch::default();
        for (key, value) in entries.map(|(key, known)| (key, known.now)).chain(rows) {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        changes
    }

    /// Reads the value of `key`, if it is not known.
    fn read(&mut self, key: &[u8]) -> Result<(), Error> {
        if let Some((row, rest)) = self.sharing.place(key) {
            if !self.rows.contains_key(row) {
                let bytes = self.engine.write(|db| db.get(row))?;
                let read = Row::parse(bytes.as_deref().unwrap_or_default())?;
                self.rows.insert(row.to_vec(), Known::read(read));
            }
            if self.rows.get(row).is_some_and(|known| known.now.get(rest).is_some()) {
                return Ok(());
            }
        }
        if !self.entries.contains_key(key) {
            let value = self.engine.write(|db| db.get(key))?;
            let value = value.map(|value| value.to_vec());
            self.entries.insert(key.to_vec(), Known::read(value));
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let in_row =
            self.sharing.place(key).and_then(|(row, rest)| self.rows.get(row)?.now.get(rest));
        in_row.or_else(|| self.entries.get(key)?.now.as_deref())
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let has_entry = self.entries.get(&key).is_some_and(|known| known.now.is_some());
        let mut left = Some(value);
        if !has_entry
            && let Some((row, rest)) = self.sharing.place(&key)
            && let Some(known) = self.rows.get_mut(row)
        {
            let was_there = known.now.get(rest).is_some();
            left = left.and_then(|value| known.now.put(rest, value, self.sharing.room(rest)).err());
            known.is_changed |= was_there || left.is_none();
        }
        if let Some(value) = left {
            self.entries.insert(key, Known::changed(Some(value)));
        }
    }

    fn remove(&mut self, key: Vec<u8>) {
        if let Some((row, rest)) = self.sharing.place(&key)
            && let Some(known) = self.rows.get_mut(row)
            && known.now.remove(rest)
        {
            known.is_changed = true;
        } else if self.entries.get(&key).is_some_and(|known| known.now.is_some()) {
            self.entries.insert(key, Known::changed(None));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::store::conformance;
    use crate::store::embedded::facts;
    use crate::store::embedded::row::ROW_BYTES_MAX;
    use crate::store::embedded::store::SledStore;
    use crate::store::embedded::successor::NewStore;
    use crate::store::engine::Store;

    const SHARING: Sharing = Sharing { word: b"a/", bytes: 3, kinds: &[1, 2], many: &[5] };

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        drop(NewStore::begin(&folder.path().join("store")).unwrap().finish().unwrap());
        folder
    }

    fn open(folder: &TempDir, sharing: Sharing) -> SledStore {
        let store = SledStore::open(&folder.path().join("store")).unwrap();
        facts::open(&store, sharing, false).unwrap()
    }

    /// The value of sled's own entry with this key, which may be a row.
    fn entry(store: &SledStore, key: &[u8]) -> Option<Vec<u8>> {
        store.engine.read(|db| db.get(key)).unwrap().map(|value| value.to_vec())
    }

    #[tokio::test]
    async fn a_store_with_rows_fulfils_the_contract() {
        let digits = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        for sharing in [
            Sharing { word: b"s", bytes: 5, kinds: digits, many: &[] },
            Sharing { word: b"c", bytes: 6, kinds: &[], many: b"d" },
        ] {
            conformance::run(Arc::new(open(&folder(), sharing))).await.unwrap();
        }
    }

    #[tokio::test]
    async fn keys_share_a_row_until_it_is_full_and_an_empty_row_is_removed() {
        let folder = folder();
        let store = open(&folder, SHARING);
        let half = vec![7; ROW_BYTES_MAX / 2];
        let batch = Batch::default().put("a/x\x01", &*half).put("a/x\x04", "1").put("a/x\x02", "2");
        store.commit(batch).await.unwrap();
        assert_eq!(entry(&store, b"a/x\x01"), None);
        assert_eq!(entry(&store, b"a/x\x04").as_deref(), Some(&b"1"[..]), "this kind has no rows");
        store.commit(Batch::default().put("a/x\x05", &*half)).await.unwrap();
        assert_eq!(entry(&store, b"a/x\x05"), Some(half.clone()), "there was no room");
        // What shares the row may grow out of it, and does not come back.
        store.commit(Batch::default().put("a/x\x02", &*half)).await.unwrap();
        assert_eq!(entry(&store, b"a/x\x02"), Some(half));
        store.commit(Batch::default().put("a/x\x02", "3").remove("a/x\x01")).await.unwrap();
        assert_eq!(entry(&store, b"a/x\x02").as_deref(), Some(&b"3"[..]));
        assert_eq!(entry(&store, b"a/x"), None, "the row is empty");
        let found = store.scan(b"a/", None, 9).await.unwrap();
        assert_eq!(found.iter().map(|(key, _)| key[3]).collect::<Vec<_>>(), [2, 4, 5]);
        // A scan that begins at the key of a row finds what is in the row.
        store.commit(Batch::default().put("a/x\x01", "1")).await.unwrap();
        assert_eq!(store.scan(b"a/", Some(b"a/x"), 1).await.unwrap()[0].0, b"a/x\x01");
    }

    #[tokio::test]
    async fn a_row_that_is_damaged_is_an_error_and_takes_nothing_else_with_it() {
        let folder = folder();
        let store = open(&folder, SHARING);
        store.commit(Batch::default().put("a/x\x01", "1")).await.unwrap();
        store.engine.write(|db| db.insert("a/x", b"\x09nonsense")).unwrap();
        let damaged = |error| matches!(error, Error::Damaged(_));
        let batch = Batch::default().put("a/a\x01", "1").put("a/a\x02", "1").put("a/x\x04", "1");
        store.commit(batch).await.unwrap();
        assert_eq!(store.scan(b"a/", None, 2).await.unwrap().len(), 2, "it lies behind these");
        assert_eq!(
            store.scan(b"a/x\x04", None, 9).await.unwrap().len(),
            1,
            "this kind has no rows"
        );
        assert!(damaged(store.get(b"a/x\x01").await.unwrap_err()));
        assert!(damaged(store.scan(b"a/", None, 9).await.unwrap_err()));
        let batch = Batch::default().put("a/y\x01", "1").put("a/x\x02", "1");
        assert!(damaged(store.commit(batch).await.unwrap_err()));
        assert_eq!(store.get(b"a/y\x01").await.unwrap(), None, "all of a batch or nothing");
        store.commit(Batch::default().put("a/y\x01", "1")).await.unwrap();
        assert!(store.is_healthy());
    }

    #[derive(Clone, Debug)]
    struct Change {
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        /// Whether it expects what is there, or else something that is not.
        is_right: bool,
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        (0_u8..3, 1_u8..7, vec(1_u8..3, 0..3))
            .prop_map(|(row, kind, rest)| [&b"a/"[..], &[row, kind], &rest].concat())
    }

    fn change() -> impl Strategy<Value = Change> {
        let value = proptest::option::weighted(0.7, vec(any::<u8>(), 0..ROW_BYTES_MAX / 3));
        (key(), value, proptest::bool::weighted(0.97)).prop_map(|(key, value, is_right)| Change {
            key,
            value,
            is_right,
        })
    }

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    /// Adds the changes to `view` as one batch, and does the same to the model.
    fn add(view: &mut View<'_>, model: &mut Model, changes: Vec<Change>) {
        // One change of each key.
        let changes: BTreeMap<_, _> =
            changes.into_iter().map(|change| (change.key.clone(), change)).collect();
        let mut batch = Batch::default();
        let is_right = changes.values().all(|change| change.is_right);
        for Change { key, value, is_right } in changes.into_values() {
            batch = match (model.get(&key), is_right) {
                (Some(old), true) => batch.expect(&*key, &**old),
                (None, true) | (Some(_), false) => batch.expect_absent(&*key),
                (None, false) => batch.expect(&*key, "other"),
            };
            batch = match value {
                Some(value) => batch.put(key, value),
                None => batch.remove(key),
            };
        }
        let changed = batch.clone();
        let committed = view.add(batch).unwrap();
        assert_eq!(committed == Committed::Done, is_right);
        if is_right {
            model.extend(changed.puts);
            changed.removes.iter().for_each(|key| drop(model.remove(key)));
        }
    }

    /// The same with a group of batches, which are then applied.
    fn apply(store: &SledStore, sharing: Sharing, model: &mut Model, group: Vec<Vec<Change>>) {
        let mut view = View::new(&store.engine, sharing);
        group.into_iter().for_each(|changes| add(&mut view, model, changes));
        let changes = view.changes();
        store.engine.write(|db| db.apply_batch(changes)).unwrap();
    }

    async fn is_like(store: &SledStore, model: &Model, begin: &[u8], limit: usize) {
        let mut keys: Vec<_> = model.keys().cloned().collect();
        keys.push(begin.to_vec());
        let values = store.get_many(&keys).await.unwrap();
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(value.as_ref(), model.get(key));
            assert_eq!(store.get(key).await.unwrap(), value);
        }
        for length in 2..=begin.len() {
            let (prefix, _) = begin.split_at(length);
            for after in [None, Some(begin)] {
                let found = store.scan(prefix, after, limit).await.unwrap();
                let right = model.iter().filter(|(key, _)| key.starts_with(prefix));
                let right =
                    right.filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
                let right = right.take(limit).map(|(key, value)| (key.clone(), value.clone()));
                assert_eq!(found, right.collect::<Vec<_>>());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Also a store that was written before there were rows.
        #[test]
        fn a_store_with_rows_is_like_any_map(
            before in vec(vec(change(), 1..6), 0..4),
            groups in vec((vec(vec(change(), 1..6), 1..4), key(), 0_usize..20), 1..12),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let (folder, mut model) = (folder(), Model::new());
                let store = open(&folder, Sharing::NONE);
                apply(&store, Sharing::NONE, &mut model, before);
                drop(store);
                let store = open(&folder, SHARING);
                for (group, begin, limit) in groups {
                    apply(&store, SHARING, &mut model, group);
                    is_like(&store, &model, &begin, limit).await;
                }
                drop(store);
                is_like(&open(&folder, SHARING), &model, b"a/\x00\x01", usize::MAX).await;
            });
        }
    }
}
