//! The devices of an account.

use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::vault::fault::Fault;
use crate::domain::past::{Device, DeviceStatus};
use crate::domain::registry::{Introduction, enroll, with_status};
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::record::fact::account::AccountId;
use crate::store::record::fact::device::DeviceRecord;
use crate::store::record::stored::{self, Stored};

/// An account has at most so many devices, with or without a place. Whoever wants more removes some.
pub const DEVICES_MAX: usize = 256;

/// The devices of the account, in the order in which they were registered. Removed ones are left out.
///
/// # Errors
/// [`Fault`].
pub async fn list(facts: &dyn Store, account: &AccountId) -> Result<Vec<Device>, Fault> {
    let mut devices = all(facts, account).await?;
    devices.retain(|device| device.status != DeviceStatus::Removed);
    devices.sort_by_key(|device| (device.registered_at, device.jkt));
    Ok(devices)
}

/// The device, also a removed one.
///
/// # Errors
/// [`Fault`].
pub async fn find(
    facts: &dyn Store,
    account: &AccountId,
    jkt: Thumbprint,
) -> Result<Option<Device>, Fault> {
    Ok(read(facts, account, jkt).await?.map(|record| record.device()))
}

/// Makes the device one of the account's. Returns it as it is then: it may be revoked. `None` if the account has
/// [`DEVICES_MAX`] others.
///
/// # Errors
/// [`Fault`].
pub async fn add(
    facts: &dyn Store,
    account: &AccountId,
    new: &Introduction,
    now: UnixTime,
) -> Result<Option<Device>, Fault> {
    let others = list(facts, account).await?;
    if others.iter().filter(|other| other.jkt != new.jkt).count() >= DEVICES_MAX {
        return Ok(None);
    }
    let add = |known: Option<&Device>| Some(enroll(known, new, now));
    let changed = change(facts, account, new.jkt, add).await?;
    Ok(changed.map(|(device, _)| device))
}

/// Gives a device another status. Returns the device and whether that changed anything; `None` if there is no such device.
///
/// # Errors
/// [`Fault`].
pub async fn set_status(
    facts: &dyn Store,
    account: &AccountId,
    jkt: Thumbprint,
    status: DeviceStatus,
    now: UnixTime,
) -> Result<Option<(Device, bool)>, Fault> {
    let set = |known: Option<&Device>| {
        let known = known?;
        Some(with_status(known, status, now).unwrap_or_else(|| known.clone()))
    };
    change(facts, account, jkt, set).await
}

/// Changes a device until nobody was faster.
async fn change(
    facts: &dyn Store,
    account: &AccountId,
    jkt: Thumbprint,
    change: impl Fn(Option<&Device>) -> Option<Device>,
) -> Result<Option<(Device, bool)>, Fault> {
    let mut attempts = Attempts::default();
    loop {
        let old = read(facts, account, jkt).await?;
        let before = old.as_ref().map(|record| record.device());
        let Some(after) = change(before.as_ref()) else { return Ok(None) };
        if before.as_ref() == Some(&after) {
            return Ok(Some((after, false)));
        }
        let new = DeviceRecord::new(*account, &after);
        let batch = match &old {
            Some(old) => Batch::default().replace_record(old, &new)?,
            None => Batch::default().add_record(&new)?,
        };
        if attempts.commit(facts, batch).await? {
            return Ok(Some((after, true)));
        }
    }
}

async fn read(
    facts: &dyn Store,
    account: &AccountId,
    jkt: Thumbprint,
) -> Result<Option<Stored<DeviceRecord>>, Fault> {
    Ok(stored::read(facts, &DeviceRecord::key_of(account, &jkt)).await?)
}

async fn all(facts: &dyn Store, account: &AccountId) -> Result<Vec<Device>, Fault> {
    let prefix = account.prefix_of::<DeviceRecord>();
    let records: Vec<Stored<DeviceRecord>> = stored::with_prefix(facts, &prefix).await?;
    Ok(records.iter().map(|record| record.device()).collect())
}
