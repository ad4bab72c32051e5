//! Keys that belong together, and the entry of sled that they share: a row.
//!
//! A change costs sled about the same however short its value is: it finds a leaf, copies the list of what is in it, and splits it
//! when there are more than sixteen. A grant changes several short records of one account. So these are one entry of sled, up to
//! 4 KiB, and their changes are one change. Whoever uses the store does not see it.
//!
//! A key is in its row or has an entry of its own, never both. A new one goes into the row if there is room. One that has an entry
//! of its own keeps it until it is removed. So a key that is there all the time only ever moves from its row to an entry: whoever
//! looks into the row first, and then for the entry, does not miss it. Nothing has to be moved when a store without rows is opened.

use std::collections::BTreeMap;

use crate::store::batch::Entry;
use crate::store::error::Error;

/// The longest row, in bytes. A row is written as a whole, so a long one would make each change of it dear. This is room for the
/// devices, the places and the streams of a household.
pub(super) const ROW_BYTES_MAX: usize = 4 * 1024;

/// The longest row that takes keys of the kinds that may be many. So they leave room for the others.
const ROW_BYTES_OF_MANY: usize = 1024;

/// The bytes of a row that tell the lengths of a key and its value.
const LENGTHS: usize = 3;

/// Which keys share rows.
///
/// The key of a row is what its keys have in common, so nothing else may be kept under a key of this length that begins so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// With what they begin.
    pub word: &'static [u8],
    /// How many first bytes the keys of a row have in common. The word is part of them.
    pub bytes: usize,
    /// The byte that comes next is one of these,
    pub kinds: &'static [u8],
    /// or one of these, of which there may be many. They go into the row only while it is short.
    pub many: &'static [u8],
}

impl Sharing {
    /// No keys share rows.
    pub const NONE: Self = Self { word: b"", bytes: usize::MAX, kinds: &[], many: &[] };

    /// The key of the row that `key` may be in, and the rest of `key`.
    pub(super) fn place<'k>(&self, key: &'k [u8]) -> Option<(&'k [u8], &'k [u8])> {
        let (row, rest) = key.split_at_checked(self.bytes)?;
        let kind = rest.first()?;
        let shares = self.is_row(row) && (self.kinds.contains(kind) || self.many.contains(kind));
        (shares && u8::try_from(rest.len()).is_ok()).then_some((row, rest))
    }

    /// How long a row may be with this key in it. `rest` is what tells the key from others.
    pub(super) fn room(&self, rest: &[u8]) -> usize {
        match rest.first() {
            Some(kind) if self.many.contains(kind) => ROW_BYTES_OF_MANY,
            _ => ROW_BYTES_MAX,
        }
    }

    /// The key of the row that lies before `key`, whether or not `key` may be in it.
    pub(super) fn row_before<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        let (row, rest) = key.split_at_checked(self.bytes)?;
        (self.is_row(row) && !rest.is_empty()).then_some(row)
    }

    /// Whether this is the key of a row.
    pub(super) fn is_row(&self, key: &[u8]) -> bool {
        key.len() == self.bytes && key.starts_with(self.word)
    }
}

/// The values in a row, by the rest of their keys.
///
/// As bytes: for each, in the order of the keys, the length of the rest in one byte, the length of the value in two with the
/// highest first, the rest, the value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Row(BTreeMap<Vec<u8>, Vec<u8>>);

impl Row {
    /// Reads a row.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = || Error::Damaged("a row of records is unreadable".into());
        let mut values = BTreeMap::new();
        let mut left = bytes;
        while let Some((&[rest, high, low], behind)) = left.split_first_chunk::<LENGTHS>() {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (rest, behind) = behind.split_at_checked(rest.into()).ok_or_else(damaged)?;
            let (value, behind) = behind.split_at_checked(length).ok_or_else(damaged)?;
            if values.last_key_value().is_some_and(|(last, _): (&Vec<u8>, _)| &**last >= rest) {
                return Err(damaged());
            }
            values.insert(rest.to_vec(), value.to_vec());
            left = behind;
        }
        if left.is_empty() { Ok(Self(values)) } else { Err(damaged()) }
    }

    /// Its bytes; `None` if it is empty.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.len());
        for (rest, value) in &self.0 {
            // Both lengths are small enough: `Sharing::place` and `Row::put` see to it.
            debug_assert!(
                rest.len() <= 255 && value.len() <= ROW_BYTES_MAX,
                "a key or value is too long"
            );
            bytes.push(u8::try_from(rest.len()).unwrap_or_default());
            bytes.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
            bytes.extend_from_slice(rest);
            bytes.extend_from_slice(value);
        }
        (!bytes.is_empty()).then_some(bytes)
    }

    /// How many bytes it has.
    fn len(&self) -> usize {
        self.0.iter().map(|(rest, value)| LENGTHS + rest.len() + value.len()).sum()
    }

    pub(super) fn get(&self, rest: &[u8]) -> Option<&[u8]> {
        self.0.get(rest).map(Vec::as_slice)
    }

    /// Sets a value, if the row is no longer than `room` with it. Otherwise the value is given back, and the row has none under
    /// this key.
    pub(super) fn put(&mut self, rest: &[u8], value: Vec<u8>, room: usize) -> Result<(), Vec<u8>> {
        self.remove(rest);
        if self.len() + LENGTHS + rest.len() + value.len() > room {
            return Err(value);
        }
        self.0.insert(rest.to_vec(), value);
        Ok(())
    }

    /// Removes a value. Returns whether there was one.
    pub(super) fn remove(&mut self, rest: &[u8]) -> bool {
        self.0.remove(rest).is_some()
    }

    /// What is in it, in the order of the keys. `row` is its own key.
    pub(super) fn entries(self, row: &[u8]) -> impl Iterator<Item = Entry> {
        self.0.into_iter().map(move |(rest, value)| ([row, &rest].concat(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    const SHARING: Sharing = Sharing { word: b"a/", bytes: 4, kinds: &[1], many: &[2] };

    #[test]
    fn keys_of_these_kinds_share_the_row_of_what_they_have_in_common() {
        assert_eq!(SHARING.place(b"a/xy\x01z"), Some((&b"a/xy"[..], &b"\x01z"[..])));
        assert_eq!(SHARING.place(b"a/xy\x02"), Some((&b"a/xy"[..], &b"\x02"[..])));
        for other in [&b"a/xy\x03z"[..], b"b/xy\x01z", b"a/xy", b"a/x", b""] {
            assert_eq!(SHARING.place(other), None, "{other:?}");
            assert_eq!(Sharing::NONE.place(other), None);
        }
        let longest = [&b"a/xy"[..], &[1; 255]].concat();
        assert!(SHARING.place(&longest).is_some());
        assert!(SHARING.place(&[&longest[..], &[1]].concat()).is_none());
    }

    #[test]
    fn a_row_lies_before_the_keys_that_begin_like_it() {
        assert_eq!(SHARING.row_before(b"a/xy\x04"), Some(&b"a/xy"[..]));
        assert_eq!(SHARING.row_before(b"a/xy"), None);
        assert!(SHARING.is_row(b"a/xy") && !SHARING.is_row(b"a/x") && !SHARING.is_row(b"b/xy"));
        assert!(!Sharing::NONE.is_row(b""));
    }

    #[test]
    fn a_row_has_a_greatest_length() {
        let mut row = Row::default();
        let room = ROW_BYTES_MAX - LENGTHS - 1;
        assert_eq!(row.put(b"a", vec![7; room], ROW_BYTES_MAX), Ok(()));
        assert_eq!(row.bytes().unwrap().len(), ROW_BYTES_MAX);
        assert_eq!(row.put(b"b", Vec::new(), ROW_BYTES_MAX), Err(Vec::new()));
        assert_eq!(row.put(b"a", vec![8; room + 1], ROW_BYTES_MAX), Err(vec![8; room + 1]));
        assert_eq!(row.get(b"a"), None, "the value that it had is not the right one any more");
        assert_eq!(row.bytes(), None);
    }

    #[test]
    fn kinds_that_may_be_many_leave_room_for_the_others() {
        assert_eq!(SHARING.room(&[1, 9]), ROW_BYTES_MAX);
        assert_eq!(SHARING.room(&[2, 9]), ROW_BYTES_OF_MANY);
        let mut row = Row::default();
        for number in 0..100 {
            row.put(&[2, number], vec![7; 60], SHARING.room(&[2])).ok();
        }
        assert!(row.len() <= ROW_BYTES_OF_MANY && row.len() > ROW_BYTES_OF_MANY - 100);
        assert_eq!(row.put(&[1], vec![7; ROW_BYTES_MAX / 2], SHARING.room(&[1])), Ok(()));
    }

    #[test]
    fn what_no_row_can_be_is_damage() {
        for wrong in [
            &[1][..],
            &[1, 0, 1, b'a'],
            &[2, 0, 0, b'a'],
            &[1, 0, 0, b'a', 0, 0],
            &[1, 0, 0, b'b', 1, 0, 0, b'a'],
            &[1, 0, 0, b'a', 1, 0, 0, b'a'],
        ] {
            assert!(matches!(Row::parse(wrong), Err(Error::Damaged(_))), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written(
            values in btree_map(vec(any::<u8>(), 1..40), vec(any::<u8>(), 0..300), 0..6),
        ) {
            let mut row = Row::default();
            for (rest, value) in &values {
                row.put(rest, value.clone(), ROW_BYTES_MAX).unwrap();
            }
            let bytes = row.bytes().unwrap_or_default();
            prop_assert_eq!(bytes.len(), row.len());
            let read = Row::parse(&bytes).unwrap();
            prop_assert_eq!(&read, &row);
            let entries: Vec<_> = read.entries(b"x").collect();
            let right: Vec<_> =
                values.into_iter().map(|(rest, value)| ([&b"x"[..], &rest].concat(), value)).collect();
            prop_assert_eq!(entries, right);
        }

        #[test]
        fn any_bytes_are_a_row_or_damage(bytes in vec(any::<u8>(), 0..80)) {
            if let Ok(row) = Row::parse(&bytes) {
                prop_assert_eq!(row.bytes().unwrap_or_default(), bytes);
            }
        }
    }
}
