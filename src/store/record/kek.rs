//! The record of a KEK.

use serde::{Deserialize, Serialize};

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::record::form::Json;
use crate::store::record::stored::{self, Record, Stored};

/// A KEK, wrapped by the root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KekRecord {
    /// Its number, counted from 1.
    pub generation: u32,
    /// Whether new secrets are wrapped under it. Exactly one KEK is primary.
    pub primary: bool,
    /// The wrapped KEK.
    pub wrapped: Wrapped,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
}

impl KekRecord {
    /// The place of a KEK, to which its wrapping is bound.
    #[must_use]
    pub fn place(store_id: &[u8; 16], generation: u32) -> Place {
        Place::new(store_id, "kek", &generation.to_be_bytes(), &[])
    }
}

impl Record for KekRecord {
    type Form = Json;

    const PREFIX: &'static str = "kek/";

    fn key(&self) -> Vec<u8> {
        key(self.generation)
    }
}

fn key(generation: u32) -> Vec<u8> {
    [KekRecord::PREFIX.as_bytes(), &generation.to_be_bytes()].concat()
}

/// Reads the KEK of a generation.
///
/// # Errors
/// [`Error`].
pub async fn kek(store: &dyn Store, generation: u32) -> Result<Option<Stored<KekRecord>>, Error> {
    stored::read(store, &key(generation)).await
}
