//! Changes that happen together.

/// The longest value, in bytes: sled keeps longer ones in a file each.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Changes that happen together, and what has to be so before.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) expected: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) puts: Vec<Entry>,
    pub(super) removes: Vec<Vec<u8>>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is on disk.
    Done,
    /// Something was not as expected; nothing was changed.
    Conflict,
}

impl Batch {
    /// Expects nothing under `key`.
    #[must_use]
    pub fn expect_absent(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.expected.push((key.into(), None));
        self
    }

    /// Expects exactly `value` under `key`.
    #[must_use]
    pub fn expect(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.expected.push((key.into(), Some(value.into())));
        self
    }

    /// Puts `value` under `key`.
    #[must_use]
    pub fn put(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.puts.push((key.into(), value.into()));
        self
    }

    /// Removes what is under `key`, if anything is.
    #[must_use]
    pub fn remove(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.removes.push(key.into());
        self
    }

    /// Whether the batch changes nothing, whatever it expects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removes.is_empty()
    }

    /// Whether a value is longer than [`VALUE_BYTES_MAX`].
    pub(super) fn is_too_long(&self) -> bool {
        self.puts.iter().any(|(_, value)| value.len() > VALUE_BYTES_MAX)
    }
}
