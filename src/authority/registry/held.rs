//! A license that was granted, with what belongs to it: found by its ID and its device, whatever became of its policy.

use reelkey_client::strict::jwk::Thumbprint;

use crate::authority::vault::fault::Fault;
use crate::domain::changes::Changes;
use crate::domain::past::{License, LicenseId, Slot, Usage};
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::record::fact::account::AccountId;
use crate::store::record::fact::license::{LicenseRecord, OwnerRecord};
use crate::store::record::fact::slot::SlotRecord;
use crate::store::record::fact::usage::UsageRecord;
use crate::store::record::stored::{self, Stored};

/// A license, the first uses of its content, and its slot.
#[derive(Debug)]
pub(in crate::authority) struct Held {
    license: Stored<LicenseRecord>,
    usage: Option<Stored<UsageRecord>>,
    slot: Option<Stored<SlotRecord>>,
}

impl Held {
    /// Finds the license with this ID.
    pub(in crate::authority) async fn find(
        facts: &dyn Store,
        id: LicenseId,
    ) -> Result<Option<Self>, Fault> {
        let key = OwnerRecord::key_of(&id);
        let Some(owner) = stored::read::<OwnerRecord>(facts, &key).await? else { return Ok(None) };
        Self::of(facts, owner.account, owner.jkt, id).await
    }

    /// Reads the license of this device of this account.
    pub(in crate::authority) async fn of(
        facts: &dyn Store,
        account: AccountId,
        device: Thumbprint,
        id: LicenseId,
    ) -> Result<Option<Self>, Fault> {
        let key = LicenseRecord::key_of(&account, &device, &id);
        let Some(license) = stored::read::<LicenseRecord>(facts, &key).await? else {
            return Ok(None);
        };
        let key = UsageRecord::key_of(&account, &license.content_id, &license.entitlement_id);
        let usage = stored::read(facts, &key).await?;
        let slots: Vec<Stored<SlotRecord>> =
            stored::with_prefix(facts, &account.prefix_of::<SlotRecord>()).await?;
        let slot = slots.into_iter().find(|slot| slot.license == id);
        Ok(Some(Self { license, usage, slot }))
    }

    /// Whose it is.
    pub(in crate::authority) fn account(&self) -> AccountId {
        self.license.account
    }

    /// The license.
    pub(in crate::authority) fn license(&self) -> License {
        self.license.license()
    }

    /// The first uses of its content, if any are remembered.
    pub(in crate::authority) fn usage(&self) -> Option<Usage> {
        self.usage.as_ref().map(|usage| usage.usage())
    }

    /// Its slot, if it has one.
    pub(in crate::authority) fn slot(&self) -> Option<Slot> {
        self.slot.as_ref().map(|slot| slot.slot())
    }

    /// The batch that makes these changes, which are about this license alone. It expects that everything is as it was read.
    pub(in crate::authority) fn batch(&self, changes: &Changes) -> Result<Batch, Fault> {
        let Changes { devices: _, usage, slot, licenses } = changes;
        let account = self.license.account;
        let mut batch = Batch::default();
        for license in licenses {
            let new = LicenseRecord::new(account, license);
            batch = batch.put_record(Some(&self.license), &new)?;
        }
        if let Some(usage) = usage {
            batch = batch.put_record(self.usage.as_ref(), &UsageRecord::new(account, usage))?;
        }
        if let (Some(new), Some(old)) = (slot, &self.slot) {
            batch = batch.put_record(Some(old), &SlotRecord::new(account, old.counted, new))?;
        }
        Ok(batch)
    }
}
