//! The header: the identity and format of the store.

use serde::{Deserialize, Serialize};

use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::record::form::Json;
use crate::store::record::stored::{self, Record, Stored};
use crate::store::record::text;

/// The format version of the records in [`record`](crate::store::record).
///
/// In format 1, contents, keys and the list of a content's keys were in different places. In format 2 they are beside
/// each other. Format 3 has facts in a database of their own. Format 4 has the seed of crypto periods, and
/// packagers.
pub const FORMAT: u32 = 4;

/// The identity and format of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The [`FORMAT`] of the version that wrote the store.
    pub format: u32,
    /// The store's ID: 16 random bytes, bound to every wrapped secret.
    #[serde(with = "text::uuid")]
    pub store_id: [u8; 16],
    /// The number of rotations of the root key.
    pub epoch: u64,
    /// Distinguishes a wrong root key from a damaged record. It reveals nothing about the key.
    #[serde(with = "text::uuid")]
    pub root_key_check: [u8; 16],
    /// When the store was made, in seconds since 1970.
    pub created_at: u64,
}

impl Record for Header {
    type Form = Json;

    const PREFIX: &'static str = "header";

    fn key(&self) -> Vec<u8> {
        Self::PREFIX.into()
    }
}

/// The header, if there is one. A header of a later format is an error.
///
/// # Errors
/// [`Error::Newer`] if a newer version wrote the store.
pub async fn header(store: &dyn Store) -> Result<Option<Stored<Header>>, Error> {
    let header: Option<Stored<Header>> = stored::only(store).await?;
    match &header {
        Some(header) if header.format > FORMAT => {
            Err(Error::Newer { format: header.format, newest: FORMAT })
        }
        _ => Ok(header),
    }
}
