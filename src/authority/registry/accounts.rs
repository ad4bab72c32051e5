//! Forgetting an account.

use crate::authority::vault::fault::Fault;
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::record::fact::account::AccountId;
use crate::store::record::fact::device::DeviceRecord;
use crate::store::record::fact::license::{LicenseRecord, OwnerRecord};
use crate::store::record::fact::place::PlaceRecord;
use crate::store::record::fact::slot::SlotRecord;
use crate::store::record::fact::usage::UsageRecord;
use crate::store::record::stored::{Record, Stored};

/// How many records are removed at once.
const BATCH: usize = 256;

/// Removes everything that is remembered of an account: its devices, first uses, slots and licenses. A viewer who comes back
/// is a new one: rentals begin again. Returns how many records were removed.
///
/// # Errors
/// [`Fault`]. A second call removes the rest.
pub async fn erase(facts: &dyn Store, account: &AccountId) -> Result<usize, Fault> {
    let kinds = [
        SlotRecord::PREFIX,
        LicenseRecord::PREFIX,
        PlaceRecord::PREFIX,
        DeviceRecord::PREFIX,
        UsageRecord::PREFIX,
    ];
    let mut removed = 0;
    for kind in kinds {
        let prefix = account.prefix(kind);
        loop {
            let page = facts.scan(&prefix, None, BATCH).await?;
            if page.is_empty() {
                break;
            }
            removed += page.len();
            let mut batch = Batch::default();
            for (key, value) in page {
                if kind == LicenseRecord::PREFIX {
                    let record: Stored<LicenseRecord> = Stored::parse(&key, value)?;
                    batch = batch.remove(OwnerRecord::key_of(&record.id));
                }
                batch = batch.remove(key);
            }
            facts.commit(batch).await?;
        }
    }
    Ok(removed)
}
