//! The record of a KEK.

use serde::{Deserialize, Serialize};

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::record::stored::{self, Record, Stored};

/// A KEK, wrapped by the root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KekRecord {
    /// From 1.
    pub generation: u32,
    /// Whether new secrets are wrapped under it. Exactly one is.
    pub primary: bool,
    /// The KEK.
    pub wrapped: Wrapped,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

impl KekRecord {
    /// Where the KEK of that generation is wrapped, by the root key.
    #[must_use]
    pub fn place(store_id: &[u8; 16], generation: u32) -> Place {
        Place::new(store_id, "kek", &generation.to_be_bytes(), &[])
    }
}

impl Record for KekRecord {
    const PREFIX: &'static str = "kek/";

    fn key(&self) -> Vec<u8> {
        key(self.generation)
    }
}

fn key(generation: u32) -> Vec<u8> {
    [KekRecord::PREFIX.as_bytes(), &generation.to_be_bytes()].concat()
}

/// The KEK of a generation.
///
/// # Errors
/// [`Error`].
pub async fn kek(store: &dyn Store, generation: u32) -> Result<Option<Stored<KekRecord>>, Error> {
    stored::read(store, &key(generation)).await
}
