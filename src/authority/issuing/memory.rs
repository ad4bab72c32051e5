//! What is remembered of an account: read for a decision, and written when the decision changes it.
//!
//! Every record that a decision has read is expected to be as it was when the changes are committed. If another request was
//! faster, nothing is changed and the decision is made again. So the store lets one of many requests have the last place or
//! slot, whoever else serves the same account.

use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::authority::issuing::account::Account;
use crate::authority::issuing::refused::Conflict;
use crate::authority::vault::fault::Fault;
use crate::domain::changes::Changes;
use crate::domain::content::ContentId;
use crate::domain::denial::Denial;
use crate::domain::past::{Device, Past, Slot};
use crate::domain::policy::{ConcurrencyScope, Policy};
use crate::domain::refusal::Refusal;
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::record::fact::account::AccountId;
use crate::store::record::fact::device::DeviceRecord;
use crate::store::record::fact::license::{LicenseRecord, OwnerRecord};
use crate::store::record::fact::place::PlaceRecord;
use crate::store::record::fact::slot::{SlotRecord, counted};
use crate::store::record::fact::usage::UsageRecord;
use crate::store::record::stored::Stored;

/// Whose memory, and of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    pub(super) account: AccountId,
    /// The asking device. Keys in the clear prove none.
    pub(super) device: Option<Thumbprint>,
    pub(super) content: &'a ContentId,
    pub(super) entitlement_id: &'a str,
}

/// What is remembered, as the store has it.
#[derive(Debug)]
pub(super) struct Memory {
    account: AccountId,
    /// What the account's slots count.
    counted: [u8; 16],
    /// How many of them there are.
    slots_max: u16,
    /// Where the first uses of the content are kept.
    usage_key: Vec<u8>,
    devices: Vec<Stored<DeviceRecord>>,
    places: Vec<Stored<PlaceRecord>>,
    usage: Option<Stored<UsageRecord>>,
    slots: Vec<Stored<SlotRecord>>,
    licenses: Vec<Stored<LicenseRecord>>,
}

impl Memory {
    /// Reads what a decision under `policy` may need: of a policy that needs no memory, only whether device and content are
    /// barred, which is one read.
    pub(super) async fn load(
        facts: &dyn Store,
        of: Of<'_>,
        policy: &Policy,
    ) -> Result<Self, Fault> {
        let Of { account, device, content, entitlement_id } = of;
        let scope = policy.concurrency.map_or(ConcurrencyScope::Account, |rule| rule.scope);
        let usage_key = UsageRecord::key_of(&account, content, entitlement_id);
        let mut memory = Self {
            account,
            counted: counted(scope, content, &policy.name),
            slots_max: policy.concurrency.map_or(0, |rule| rule.limit),
            usage_key,
            devices: Vec::new(),
            places: Vec::new(),
            usage: None,
            slots: Vec::new(),
            licenses: Vec::new(),
        };
        let asking = device.filter(|_| policy.needs_memory());
        let stored = match asking {
            Some(_) => Account::read(facts, &account).await?,
            None => Account::unread(facts),
        };
        let mut keys = vec![memory.usage_key.clone()];
        keys.extend(device.map(|device| DeviceRecord::key_of(&account, &device)));
        let mut values = stored.values(&keys).await?.into_iter().zip(&keys);
        if let Some((Some(value), key)) = values.next() {
            memory.usage = Some(Stored::parse(key, value)?);
        }
        if let Some((Some(value), key)) = values.next() {
            memory.devices.push(Stored::parse(key, value)?);
        }
        let Some(device) = asking else { return Ok(memory) };
        if policy.device.limit.is_some() {
            memory.places = stored.with_prefix(&account.prefix_of::<PlaceRecord>()).await?;
            let others = memory.places.iter().map(|place| place.jkt).filter(|jkt| *jkt != device);
            let keys: Vec<_> = others.map(|jkt| DeviceRecord::key_of(&account, &jkt)).collect();
            memory.devices.extend(stored.get(&keys).await?);
        }
        if policy.concurrency.is_some() {
            let prefix = SlotRecord::prefix(&account, &memory.counted);
            memory.slots = stored.with_prefix(&prefix).await?;
        }
        let prefix = LicenseRecord::prefix(&account, &device);
        memory.licenses = stored.with_prefix(&prefix).await?;
        Ok(memory)
    }

    /// What is remembered, for the rules. `device` is the asking one.
    pub(super) fn past(&self, device: Option<Thumbprint>) -> Past {
        let is_asking = |record: &&Stored<DeviceRecord>| Some(record.jkt) == device;
        let others = self.devices.iter().filter(|record| !is_asking(record));
        Past {
            device: self.devices.iter().find(is_asking).map(|record| record.device()),
            others: others.map(|record| record.device()).collect(),
            usage: self.usage.as_ref().map(|record| record.usage()),
            slots: self.slots.iter().map(|record| record.slot()).collect(),
            licenses: self.licenses.iter().map(|record| record.license()).collect(),
        }
    }

    /// The batch that makes these changes. It expects that everything is as it was read.
    pub(super) fn batch(&self, changes: &Changes) -> Result<Batch, Fault> {
        // The struct is taken apart, so the compiler reports a new kind of change that is not handled here.
        let Changes { devices, usage, slot, licenses } = changes;
        let mut batch = self.with_places(Batch::default(), devices)?;
        for device in devices {
            let old = self.devices.iter().find(|old| old.jkt == device.jkt);
            batch = batch.put_record(old, &DeviceRecord::new(self.account, device))?;
        }
        batch = match (usage, &self.usage) {
            (Some(usage), old) => {
                batch.put_record(old.as_ref(), &UsageRecord::new(self.account, usage))?
            }
            (None, Some(old)) => batch.expect_record(old),
            (None, None) => batch.expect_absent(self.usage_key.clone()),
        };
        if let Some(slot) = slot {
            let old = self.slots.iter().find(|old| old.number == slot.number);
            batch = batch.put_record(old, &SlotRecord::new(self.account, self.counted, slot))?;
        }
        for license in licenses {
            let old = self.licenses.iter().find(|old| old.id == license.id);
            let new = LicenseRecord::new(self.account, license);
            if old.is_none() {
                let owner = OwnerRecord { id: new.id, account: self.account, jkt: new.jkt };
                batch = batch.add_record(&owner)?;
            }
            batch = batch.put_record(old, &new)?;
        }
        Ok(batch)
    }

    /// The sessions that stand in the way, if that is why the request was refused.
    pub(super) async fn conflicts(
        &self,
        facts: &dyn Store,
        device: Option<Thumbprint>,
        denial: &Denial,
        now: UnixTime,
    ) -> Result<Vec<Conflict>, Fault> {
        if denial.refusal != Refusal::ConcurrencyLimit {
            return Ok(Vec::new());
        }
        let slots: Vec<_> = self.slots.iter().map(|record| record.slot()).collect();
        let taken = slots.into_iter().filter(|slot| slot.number < self.slots_max);
        let taken = taken.filter(|slot| slot.is_taken(now));
        let taken: Vec<_> = taken.filter(|slot| Some(slot.device) != device).collect();
        let key = |slot: &Slot| DeviceRecord::key_of(&self.account, &slot.device);
        let keys: Vec<_> = taken.iter().map(key).collect();
        let values = facts.get_many(&keys).await?;
        let mut conflicts = Vec::new();
        for ((slot, key), value) in taken.into_iter().zip(&keys).zip(values) {
            let device =
                value.map(|value| Stored::<DeviceRecord>::parse(key, value)).transpose()?;
            conflicts.push(Conflict {
                session: slot.license,
                name: device.as_ref().and_then(|device| device.name.clone()),
                model: device.as_ref().and_then(|device| device.model.clone()),
                content: slot.content,
                since: slot.since,
            });
        }
        Ok(conflicts)
    }

    /// Adds the places that devices take and give up.
    fn with_places(&self, mut batch: Batch, devices: &[Device]) -> Result<Batch, Fault> {
        for device in devices {
            let before = self.devices.iter().find(|old| old.jkt == device.jkt);
            let before = before.and_then(|old| old.place);
            if before == device.place {
                continue;
            }
            let record = |number: u16| self.places.iter().find(|place| place.number == number);
            let is_taken = |number| devices.iter().any(|other| other.place == Some(number));
            if let Some(old) = before.filter(|number| !is_taken(*number)).and_then(record)
                && old.jkt == device.jkt
            {
                batch = batch.remove_record(old);
            }
            if let Some(number) = device.place {
                let new = PlaceRecord { account: self.account, number, jkt: device.jkt };
                batch = batch.put_record(record(number), &new)?;
            }
        }
        Ok(batch)
    }
}
