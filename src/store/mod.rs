//! What is kept: one ordered map of small records, changed by batches that happen wholly or not at all.
//!
//! [`Store`] is what an engine has to offer; [`embedded`] is the one beside the service, [`record`] says what the
//! records are and [`conformance`] what every engine has to pass. **Acknowledged is durable**, against
//! a kill and against power loss; damage is an error, never a panic and never an empty store.
//!
//! Deliberately absent: clear secrets. A record admits [`Wrapped`](crate::crypto::wrap::Wrapped) ones.

mod committer;
pub mod conformance;
pub mod embedded;
mod guard;
pub mod record;

pub use guard::catches_panics;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

/// The longest value, in bytes: sled keeps longer ones in a file each.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// An engine.
#[async_trait]
pub trait Store: Send + Sync {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`Error`].
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// At most `limit` entries whose keys begin with `prefix`, in the order of their keys, those after
    /// `after` if it is given.
    ///
    /// # Errors
    /// [`Error`].
    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error>;

    /// Applies `batch` if everything that it expects is so. Once this answers
    /// [`Committed::Done`], it is on disk.
    ///
    /// # Errors
    /// [`Error`]; whether the batch was applied is then unknown until the store was opened again.
    async fn commit(&self, batch: Batch) -> Result<Committed, Error>;

    /// Whether the store still takes writes.
    fn is_healthy(&self) -> bool;

    /// An empty store that takes this one's place once it is filled, free of everything that this one has
    /// ever held. What is written here meanwhile is not in it.
    ///
    /// # Errors
    /// [`Error`].
    fn successor(&self) -> Result<Box<dyn Successor>, Error>;

    /// Deletes the stores whose place this one took, and what was begun and never finished.
    ///
    /// # Errors
    /// [`Error`]; doing it again finishes it.
    fn forget_predecessors(&self) -> Result<(), Error>;
}

/// A store that has not taken its predecessor's place yet. Dropped, it never does.
pub trait Successor: Send + Sync {
    /// It, to be filled.
    fn store(&self) -> &dyn Store;

    /// Takes the predecessor's place, wholly or not at all. Who has the predecessor open goes on reading it;
    /// it takes no more writes, also if this fails.
    ///
    /// # Errors
    /// [`Error`].
    fn finish(self: Box<Self>) -> Result<Arc<dyn Store>, Error>;
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Changes that happen together, and what has to be so before.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    expected: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    puts: Vec<Entry>,
    removes: Vec<Vec<u8>>,
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

    fn is_too_long(&self) -> bool {
        self.puts.iter().any(|(_, value)| value.len() > VALUE_BYTES_MAX)
    }
}

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no store.
    #[error("there is no store at {0}; run `reelkey init`")]
    Missing(PathBuf),
    /// Another process has it open.
    #[error("the store at {0} is in use by another process; stop that one first")]
    InUse(PathBuf),
    /// Its files are damaged.
    #[error("the store is damaged ({0}); keep its files and run `reelkey restore`")]
    Damaged(String),
    /// A newer version made it.
    #[error(
        "the store has format {format}, this version reads {}; use a newer version",
        record::FORMAT
    )]
    Newer {
        /// Its format.
        format: u32,
    },
    /// A write failed, this one or one before, so nothing more is acknowledged.
    #[error("a write to the store failed; restart the service once the disk is well")]
    Poisoned,
    /// The operating system refused.
    #[error("the store cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// A value is longer than [`VALUE_BYTES_MAX`].
    #[error("a record is longer than {VALUE_BYTES_MAX} bytes")]
    TooLong,
}
