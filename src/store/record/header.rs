//! The header: what the store is.

use serde::{Deserialize, Serialize};

use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::record::stored::{self, Record, Stored};
use crate::store::record::text;

/// The version of the records that are described in [`record`](crate::store::record).
///
/// 1: contents, keys and the list of a content's keys were kept apart. 2: they lie side by side.
pub const FORMAT: u32 = 2;

/// What the store is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the version that wrote it.
    pub format: u32,
    /// 16 random bytes, bound to every wrapped secret.
    #[serde(with = "text::uuid")]
    pub store_id: [u8; 16],
    /// Counts the rotations of the root key.
    pub epoch: u64,
    /// Tells a wrong root key from a damaged record; reveals nothing of the key.
    #[serde(with = "text::uuid")]
    pub root_key_check: [u8; 16],
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

impl Record for Header {
    const PREFIX: &'static str = "header";

    fn key(&self) -> Vec<u8> {
        Self::PREFIX.into()
    }
}

/// The header, if there is one. Of a later format it is an error.
///
/// # Errors
/// [`Error::Newer`] for a store that a newer version made.
pub async fn header(store: &dyn Store) -> Result<Option<Stored<Header>>, Error> {
    let header: Option<Stored<Header>> = stored::only(store).await?;
    match &header {
        Some(header) if header.format > FORMAT => {
            Err(Error::Newer { format: header.format, newest: FORMAT })
        }
        _ => Ok(header),
    }
}
