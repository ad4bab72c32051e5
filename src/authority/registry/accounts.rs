//! Forgetting an account.

use crate::authority::vault::fault::Fault;
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::record::fact::account::{AccountId, Kind};
use crate::store::record::fact::license::{LicenseRecord, OwnerRecord};
use crate::store::record::stored::Stored;

/// How many records are removed at once.
const BATCH: usize = 256;

/// Removes everything that is remembered of an account: its devices, first uses, slots and licenses. A viewer who comes back
/// is a new one: rentals begin again. Returns how many records were removed.
///
/// # Errors
/// [`Fault`]. A second call removes the rest.
pub async fn erase(facts: &dyn Store, account: &AccountId) -> Result<usize, Fault> {
    let (prefix, mut removed) = (account.prefix(), 0);
    loop {
        let page = facts.scan(&prefix, None, BATCH).await?;
        if page.is_empty() {
            return Ok(removed);
        }
        removed += page.len();
        let mut batch = Batch::default();
        for (key, value) in page {
            if Kind::of(&key) == Some(Kind::License) {
                let record: Stored<LicenseRecord> = Stored::parse(&key, value)?;
                batch = batch.remove(OwnerRecord::key_of(&record.id));
            }
            batch = batch.remove(key);
        }
        facts.commit(batch).await?;
    }
}
