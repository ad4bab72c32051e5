//! The header of the facts: to which store they belong.

use serde::{Deserialize, Serialize};

use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::record::form::Json;
use crate::store::record::stored::{self, Record};
use crate::store::record::text;

/// The format version of the facts that this version reads and writes. [`migrate`](crate::store::facts_migration::migrate) brings
/// earlier ones up to it.
pub const FORMAT: u32 = 4;

/// The identity and format of the facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactsHeader {
    /// The newest format of what is there. Some may be older.
    pub format: u32,
    /// The ID of the store that they belong to.
    #[serde(with = "text::uuid")]
    pub store_id: [u8; 16],
}

impl Record for FactsHeader {
    type Form = Json;

    const PREFIX: &'static str = "facts";

    fn key(&self) -> Vec<u8> {
        Self::PREFIX.into()
    }
}

/// Checks that the facts belong to the store with this ID. Facts that are new are given to it.
///
/// # Errors
/// [`Error::Newer`], or [`Error::Damaged`] if they belong to another store or have lost their header.
pub async fn settle(facts: &dyn Store, store_id: &[u8; 16]) -> Result<(), Error> {
    match stored::only::<FactsHeader>(facts).await? {
        Some(header) if header.format > FORMAT => {
            Err(Error::Newer { format: header.format, newest: FORMAT })
        }
        Some(header) if header.store_id != *store_id => {
            Err(Error::Damaged("its folder `facts` belongs to another store".into()))
        }
        Some(_) => Ok(()),
        None if !facts.scan(b"", None, 1).await?.is_empty() => {
            Err(Error::Damaged("its folder `facts` has lost its header".into()))
        }
        None => {
            let header = FactsHeader { format: FORMAT, store_id: *store_id };
            facts.commit(Batch::default().add_record(&header)?).await?;
            Ok(())
        }
    }
}
