//! Changes that happen together.

/// The longest value, in bytes. sled keeps longer values in a file of their own.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Changes that are made together, and the state that they expect.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) expected: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) puts: Vec<Entry>,
    pub(super) removes: Vec<Vec<u8>>,
}

/// The result of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is on disk.
    Done,
    /// The state was not as expected. Nothing was changed.
    Conflict,
}

impl Batch {
    /// Expects that `key` has no value.
    #[must_use]
    pub fn expect_absent(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.expected.push((key.into(), None));
        self
    }

    /// Expects that `key` has exactly this value.
    #[must_use]
    pub fn expect(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.expected.push((key.into(), Some(value.into())));
        self
    }

    /// Sets the value of `key`.
    #[must_use]
    pub fn put(mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.puts.push((key.into(), value.into()));
        self
    }

    /// Removes the value of `key`, if it has one.
    #[must_use]
    pub fn remove(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.removes.push(key.into());
        self
    }

    /// Whether the batch changes nothing. Its expectations do not count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removes.is_empty()
    }

    /// Whether a value is longer than [`VALUE_BYTES_MAX`].
    pub(super) fn is_too_long(&self) -> bool {
        self.puts.iter().any(|(_, value)| value.len() > VALUE_BYTES_MAX)
    }
}
