//! The trait that every engine implements.
//!
//! Deliberately absent: how a fresh copy replaces a store. Only the embedded engine does that.

use async_trait::async_trait;

use crate::store::batch::{Batch, Committed, Entry};
use crate::store::error::Error;

/// An ordered map of small values. Batches change it, each completely or not at all.
///
/// Each call may be a round trip to another machine, so callers make as few as they can.
#[async_trait]
pub trait Store: Send + Sync {
    /// The value of `key`.
    ///
    /// # Errors
    /// [`Error`].
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// The values of `keys`, in the order of `keys`, in one read.
    ///
    /// # Errors
    /// [`Error`].
    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error>;

    /// At most `limit` entries whose keys begin with `prefix`, in the order of their keys. With `after`, only those
    /// whose keys come after it.
    ///
    /// # Errors
    /// [`Error`].
    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error>;

    /// Applies `batch` if everything is as it expects. When this returns [`Committed::Done`], the batch is on disk.
    ///
    /// # Errors
    /// [`Error`]. It is then unknown whether the batch was applied, until the store is opened again.
    async fn commit(&self, batch: Batch) -> Result<Committed, Error>;

    /// Whether the store still accepts writes.
    fn is_healthy(&self) -> bool;
}
