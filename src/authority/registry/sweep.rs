//! The sweep: removes facts that ended long ago, a few at a time.
//!
//! First uses are kept: a rental that ended must not begin again. Licenses, slots and removed devices go after the retention
//! time. What changes while it is looked at stays until the next sweep.

use reelkey_client::time::UnixTime;

use crate::authority::vault::fault::Fault;
use crate::domain::past::{Device, DeviceStatus};
use crate::store::batch::{Batch, Committed};
use crate::store::engine::Store;
use crate::store::record::fact::device::DeviceRecord;
use crate::store::record::fact::license::{LicenseRecord, OwnerRecord};
use crate::store::record::fact::place::PlaceRecord;
use crate::store::record::fact::slot::SlotRecord;
use crate::store::record::stored::{self, Record, Stored};

/// How many records are looked at in one step.
const STEP: usize = 256;

/// How long ended facts are kept, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Licenses and slots.
    pub facts_secs: u64,
    /// Removed devices: at least as long as their places stay taken.
    pub devices_secs: u64,
}

/// A sweep over all facts, which goes on where it was.
#[derive(Debug, Default)]
pub struct Sweep {
    kind: usize,
    after: Option<Vec<u8>>,
}

/// The kinds of facts that end.
const KINDS: [&str; 3] = [LicenseRecord::PREFIX, SlotRecord::PREFIX, DeviceRecord::PREFIX];

impl Sweep {
    /// Looks at the next records and removes those that ended. Returns how many; `None` at the end.
    ///
    /// # Errors
    /// [`Fault`]. The next call goes on.
    pub async fn step(
        &mut self,
        facts: &dyn Store,
        retention: Retention,
        now: UnixTime,
    ) -> Result<Option<usize>, Fault> {
        let Some(kind) = KINDS.get(self.kind) else { return Ok(None) };
        let page = facts.scan(kind.as_bytes(), self.after.as_deref(), STEP).await?;
        match page.last() {
            Some((key, _)) => self.after = Some(key.clone()),
            None => {
                self.kind += 1;
                self.after = None;
            }
        }
        let is_over = |ended: u64, secs: u64| ended.saturating_add(secs) <= now.as_secs();
        let mut removed = 0;
        for (key, value) in page {
            let batch = match *kind {
                LicenseRecord::PREFIX => {
                    let record: Stored<LicenseRecord> = Stored::parse(&key, value)?;
                    let ended = record.expires_at.max(record.updated_at);
                    is_over(ended, retention.facts_secs).then(|| {
                        let owner = OwnerRecord::key_of(&record.id);
                        Batch::default().remove_record(&record).remove(owner)
                    })
                }
                SlotRecord::PREFIX => {
                    let record: Stored<SlotRecord> = Stored::parse(&key, value)?;
                    is_over(record.until, retention.facts_secs)
                        .then(|| Batch::default().remove_record(&record))
                }
                _ => {
                    let record: Stored<DeviceRecord> = Stored::parse(&key, value)?;
                    let is_removed = record.device().status == DeviceStatus::Removed;
                    match is_removed && is_over(record.status_since, retention.devices_secs) {
                        true => Some(without_place(facts, &record).await?),
                        false => None,
                    }
                }
            };
            if let Some(batch) = batch
                && facts.commit(batch).await? == Committed::Done
            {
                removed += 1;
            }
        }
        Ok(Some(removed))
    }
}

/// Removes a device, and its place if it still has one.
async fn without_place(facts: &dyn Store, record: &Stored<DeviceRecord>) -> Result<Batch, Fault> {
    let batch = Batch::default().remove_record(record);
    let Device { jkt, place, .. } = record.device();
    let Some(number) = place else { return Ok(batch) };
    let key = PlaceRecord { account: record.account, number, jkt }.key();
    Ok(match stored::read::<PlaceRecord>(facts, &key).await? {
        Some(place) if place.jkt == jkt => batch.remove_record(&place),
        _ => batch,
    })
}
