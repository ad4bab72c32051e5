//! Reading keys and scanning them, whether they are in rows or have entries of their own.

use std::ops::Bound;

use crate::store::batch::Entry;
use crate::store::embedded::guard::Engine;
use crate::store::embedded::row::{Row, Sharing};
use crate::store::error::Error;

/// The values of `keys`, in the order of `keys`. Each row is read once for keys beside each other.
///
/// # Errors
/// [`Error`].
pub(super) fn get<'k>(
    engine: &Engine,
    sharing: Sharing,
    keys: impl IntoIterator<Item = &'k [u8]>,
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let mut last: Option<(&[u8], Row)> = None;
    let mut values = Vec::new();
    for key in keys {
        let mut value = None;
        if let Some((row, rest)) = sharing.place(key) {
            let read = match last.take() {
                Some((last, read)) if last == row => read,
                _ => self::row(engine, row)?,
            };
            value = read.get(rest).map(<[u8]>::to_vec);
            last = Some((row, read));
        }
        if value.is_none() {
            value = engine.read(|db| db.get(key))?.map(|value| value.to_vec());
        }
        values.push(value);
    }
    Ok(values)
}

/// The row under this key, empty if there is none.
fn row(engine: &Engine, key: &[u8]) -> Result<Row, Error> {
    let bytes = engine.read(|db| db.get(key))?;
    Row::parse(bytes.as_deref().unwrap_or_default())
}

/// At most `limit` entries as [`Store::scan`](crate::store::engine::Store::scan) gives them.
///
/// # Errors
/// [`Error`].
pub(super) fn scan(
    engine: &Engine,
    sharing: Sharing,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Entry>, Error> {
    let begin = after.unwrap_or(prefix);
    let is_wanted = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
    let mut found = Found { entries: Vec::new(), row: Vec::new().into_iter(), limit };
    // The row in which the scan begins lies before its first entry. It is of no use if what it holds does not begin so.
    let may_be_in_row = sharing.row_before(prefix).is_none() || sharing.place(prefix).is_some();
    if let Some(key) = sharing.row_before(begin).filter(|_| may_be_in_row) {
        found.begin(row(engine, key)?.entries(key).filter(|(key, _)| is_wanted(key)));
    }
    let from = match after {
        Some(after) if !sharing.is_row(after) => Bound::Excluded(after),
        _ => Bound::Included(begin),
    };
    engine.read(|db| {
        for entry in db.range::<&[u8], _>((from, Bound::Unbounded)) {
            let (key, value) = entry?;
            if !key.starts_with(prefix) {
                break;
            }
            found.take_row_before(&key);
            if found.is_full() {
                break;
            }
            if !sharing.is_row(&key) {
                found.entries.push((key.to_vec(), value.to_vec()));
                continue;
            }
            match Row::parse(&value) {
                Ok(row) => found.begin(row.entries(&key).filter(|(key, _)| is_wanted(key))),
                Err(damaged) => return Ok(Err(damaged)),
            }
        }
        Ok(Ok(()))
    })??;
    Ok(found.finish())
}

/// What a scan has found.
struct Found {
    entries: Vec<Entry>,
    /// What is left of the row whose keys the scan has reached.
    row: std::vec::IntoIter<Entry>,
    limit: usize,
}

impl Found {
    const fn is_full(&self) -> bool {
        self.entries.len() >= self.limit
    }

    fn begin(&mut self, row: impl Iterator<Item = Entry>) {
        self.row = row.collect::<Vec<_>>().into_iter();
    }

    /// Takes what lies in the row before `key`. If `key` itself is in it too, it has left the row since the row was read.
    fn take_row_before(&mut self, key: &[u8]) {
        let begins = self.row.as_slice();
        let count = begins.partition_point(|(one, _)| one.as_slice() < key);
        let has_left = begins.get(count).is_some_and(|(one, _)| one == key);
        self.entries.extend(self.row.by_ref().take(count));
        if has_left {
            self.row.next();
        }
    }

    fn finish(mut self) -> Vec<Entry> {
        self.entries.extend(self.row);
        self.entries.truncate(self.limit);
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A scan reads a row and later the entries behind it. Between the two, a key may have moved from one to the other.
    #[test]
    fn a_key_that_leaves_its_row_during_a_scan_is_found_once() {
        let entry = |key: &str| (key.as_bytes().to_vec(), b"1".to_vec());
        let mut found = Found { entries: Vec::new(), row: Vec::new().into_iter(), limit: 9 };
        found.begin(["a1", "a2", "a3"].map(entry).into_iter());
        found.take_row_before(b"a2");
        found.entries.push(entry("a2"));
        assert_eq!(found.finish(), ["a1", "a2", "a3"].map(entry));
    }
}
