//! The operator's operation on the store as a whole.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::authority::operation::order::{Desk, Operation};
use crate::authority::stop::Stop;
use crate::authority::vault::census::{Census, census};
use crate::store::record::kek::KekRecord;
use crate::store::record::stored;

/// Reads every record and opens every secret.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckStore {}

/// Every record was read, and every secret was opened.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoreChecked {
    /// The number of contents.
    pub contents: usize,
    /// The number of content keys.
    pub keys: usize,
    /// The number of KEK generations.
    pub keks: usize,
}

impl Operation for CheckStore {
    const NAME: &'static str = "store/check";
    type Outcome = StoreChecked;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<StoreChecked, Stop<Infallible>> {
        let store = desk.vault.store();
        let Census { contents, keys, .. } = census(&*store, &desk.vault.keyring()).await?;
        let keks = stored::all::<KekRecord>(&*store).await?.len();
        Ok(StoreChecked { contents, keys, keks })
    }
}
