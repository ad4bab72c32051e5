//! The sweep: removes facts that ended long ago, a few at a time.
//!
//! First uses are kept: a rental that ended must not begin again. Licenses, slots and removed devices go after the retention
//! time. What changes while it is looked at stays until the next sweep. **A fact stays as long as a rule may ask for it**, however
//! short the retention time is. Each step is one commit, so that grants wait for at most one more sync.

use reelkey_client::exchange::license::IAT_DISTANCE_SECS_MAX;
use reelkey_client::time::UnixTime;

use crate::authority::vault::fault::Fault;
use crate::domain::duration::Duration;
use crate::domain::past::{Device, DeviceStatus};
use crate::domain::policy::Policy;
use crate::store::batch::{Batch, Committed};
use crate::store::engine::Store;
use crate::store::record::fact::account::{ACCOUNTS, Kind};
use crate::store::record::fact::device::DeviceRecord;
use crate::store::record::fact::license::{LicenseRecord, OwnerRecord};
use crate::store::record::fact::place::PlaceRecord;
use crate::store::record::fact::slot::SlotRecord;
use crate::store::record::stored::{self, Record, Stored};

/// How many records are looked at in one step: so few that no grant waits for them noticeably.
const STEP: usize = 128;

/// How long ended facts are kept, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    facts_secs: u64,
    devices_secs: u64,
}

impl Retention {
    /// As long as the operator says, and not shorter than a rule of these policies may need a fact: a license as long as it may be
    /// renewed after its end, and as long as its request may come again; a removed device as long as its place may be taken.
    #[must_use]
    pub fn under<'a>(facts: Duration, policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut retention = Self {
            // A request may come again until it is stale, and may have been signed ahead by as much.
            facts_secs: facts.as_secs().max(2 * IAT_DISTANCE_SECS_MAX),
            devices_secs: facts.as_secs(),
        };
        for policy in policies {
            let recovery = policy.renewal.recovery.unwrap_or_default().as_secs();
            let cooldown = policy.device.cooldown.unwrap_or_default().as_secs();
            retention.facts_secs = retention.facts_secs.max(recovery);
            retention.devices_secs = retention.devices_secs.max(cooldown);
        }
        retention
    }
}

/// A sweep over all facts, which goes on where it was.
#[derive(Debug, Default)]
pub struct Sweep {
    after: Option<Vec<u8>>,
    is_done: bool,
}

impl Sweep {
    /// Looks at the next records and removes those that ended. Returns how many; `None` at the end.
    ///
    /// # Errors
    /// [`Fault`]. The next call goes on behind a record that is unreadable, but not behind a row of the engine that is.
    pub async fn step(
        &mut self,
        facts: &dyn Store,
        retention: Retention,
        now: UnixTime,
    ) -> Result<Option<usize>, Fault> {
        if self.is_done {
            return Ok(None);
        }
        let page = facts.scan(ACCOUNTS.as_bytes(), self.after.as_deref(), STEP).await?;
        self.is_done = page.len() < STEP;
        self.after = page.last().map(|(key, _)| key.clone());
        let (mut all, mut each) = (Batch::default(), Vec::new());
        for (key, value) in page {
            if let Some(ended) = over(facts, &key, value, retention, now).await? {
                all = ended.add_to(all);
                each.push(ended);
            }
        }
        if each.is_empty() || facts.commit(all).await? == Committed::Done {
            return Ok(Some(each.len()));
        }
        // One of them has changed meanwhile.
        let mut removed = 0;
        for ended in each {
            let batch = ended.add_to(Batch::default());
            removed += usize::from(facts.commit(batch).await? == Committed::Done);
        }
        Ok(Some(removed))
    }
}

/// A fact that ended long enough ago, with what goes with it.
enum Ended {
    License(Stored<LicenseRecord>),
    Slot(Stored<SlotRecord>),
    Device(Stored<DeviceRecord>, Option<Stored<PlaceRecord>>),
}

impl Ended {
    /// The batch, which removes it too if it is as it was read.
    fn add_to(&self, batch: Batch) -> Batch {
        match self {
            Self::License(license) => {
                batch.remove_record(license).remove(OwnerRecord::key_of(&license.id))
            }
            Self::Slot(slot) => batch.remove_record(slot),
            Self::Device(device, None) => batch.remove_record(device),
            Self::Device(device, Some(place)) => batch.remove_record(device).remove_record(place),
        }
    }
}

/// The fact, if it ended long enough ago.
async fn over(
    facts: &dyn Store,
    key: &[u8],
    value: Vec<u8>,
    retention: Retention,
    now: UnixTime,
) -> Result<Option<Ended>, Fault> {
    let is_over = |ended: u64, secs: u64| ended.saturating_add(secs) <= now.as_secs();
    Ok(match Kind::of(key) {
        Some(Kind::License) => {
            let record: Stored<LicenseRecord> = Stored::parse(key, value)?;
            let ended = record.expires_at.max(record.updated_at);
            is_over(ended, retention.facts_secs).then_some(Ended::License(record))
        }
        Some(Kind::Slot) => {
            let record: Stored<SlotRecord> = Stored::parse(key, value)?;
            // It also knows which devices it has stopped, and until when they stop no other.
            let stopped = record.stopped.iter().map(|stopped| stopped.until);
            let ended = stopped.fold(record.until, u64::max);
            is_over(ended, retention.facts_secs).then_some(Ended::Slot(record))
        }
        Some(Kind::Device) => {
            let record: Stored<DeviceRecord> = Stored::parse(key, value)?;
            let is_removed = record.device().status == DeviceStatus::Removed;
            match is_removed && is_over(record.status_since, retention.devices_secs) {
                true => {
                    let place = place_of(facts, &record).await?;
                    Some(Ended::Device(record, place))
                }
                false => None,
            }
        }
        // A place goes with its device.
        Some(Kind::Place | Kind::Usage) | None => None,
    })
}

/// The place that the device still has, if it has one.
async fn place_of(
    facts: &dyn Store,
    record: &Stored<DeviceRecord>,
) -> Result<Option<Stored<PlaceRecord>>, Fault> {
    let Device { jkt, place, .. } = record.device();
    let Some(number) = place else { return Ok(None) };
    let key = PlaceRecord { account: record.account, number, jkt }.key();
    let place = stored::read::<PlaceRecord>(facts, &key).await?;
    Ok(place.filter(|place| place.jkt == jkt))
}
