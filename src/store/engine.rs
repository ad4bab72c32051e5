//! What an engine offers.
//!
//! Deliberately absent: how a fresh copy takes a store's place, which is a matter of the embedded engine alone.

use async_trait::async_trait;

use crate::store::batch::{Batch, Committed, Entry};
use crate::store::error::Error;

/// One ordered map of small values, changed by batches that happen wholly or not at all.
///
/// Each call may be a round trip to another machine: callers read with as few as they can.
#[async_trait]
pub trait Store: Send + Sync {
    /// The value under `key`.
    ///
    /// # Errors
    /// [`Error`].
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// The values under `keys`, in their order, in one read.
    ///
    /// # Errors
    /// [`Error`].
    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error>;

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

    /// Applies `batch` if everything that it expects is so. Once this returns
    /// [`Committed::Done`], it is on disk.
    ///
    /// # Errors
    /// [`Error`]; whether the batch was applied is then unknown until the store was opened again.
    async fn commit(&self, batch: Batch) -> Result<Committed, Error>;

    /// Whether the store still takes writes.
    fn is_healthy(&self) -> bool;
}
