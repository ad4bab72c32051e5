//! The operator's operations on the devices of an account.

use std::convert::Infallible;

use reelkey_client::strict::jwk::Thumbprint;
use serde::{Deserialize, Serialize};

use crate::authority::operation::account::AccountName;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::registry::devices::{self, DEVICES_MAX};
use crate::authority::stop::{Remedy, Stop};
use crate::domain::past::{Device, DeviceStatus};
use crate::domain::registry::Introduction;

/// Why an operation on a device is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The thumbprint is none.
    #[error("{0:?} is no thumbprint: base64url of 32 bytes, 43 characters")]
    Thumbprint(String),
    /// The account has no such device.
    #[error("the account has no device {0}")]
    NoDevice(String),
    /// The account has as many devices as an account may have.
    #[error("the account has {DEVICES_MAX} devices, the most that it may have")]
    TooMany,
}

impl Remedy for Refusal {
    fn remedy(&self) -> Option<String> {
        let list = "see `reelkey device list --issuer ISS --account SUB`";
        match self {
            Self::Thumbprint(_) | Self::NoDevice(_) => Some(list.into()),
            Self::TooMany => Some("remove one with `reelkey device remove`".into()),
        }
    }
}

/// A device, as commands show it. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The device key's thumbprint.
    pub jkt: String,
    /// Its name, as the device itself says.
    pub name: Option<String>,
    /// Its model, as the device itself says.
    pub model: Option<String>,
    /// Its place among those that policies with a limit count.
    pub place: Option<u16>,
    /// When it was registered.
    pub registered_at: u64,
    /// When it was last granted a license.
    pub last_seen_at: u64,
    /// `active`, `revoked` or `removed`.
    pub status: String,
}

impl DeviceView {
    /// The view of a device.
    #[must_use]
    pub fn of(device: &Device) -> Self {
        Self {
            jkt: device.jkt.to_string(),
            name: device.name.clone(),
            model: device.model.clone(),
            place: device.place,
            registered_at: device.registered_at.as_secs(),
            last_seen_at: device.last_seen_at.as_secs(),
            status: device.status.as_str().into(),
        }
    }
}

/// Lists the devices of an account.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListDevices {
    /// The account.
    pub account: AccountName,
}

impl Operation for ListDevices {
    const NAME: &'static str = "device/list";
    /// The devices, in the order in which they were registered.
    type Outcome = Vec<DeviceView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<DeviceView>, Stop<Infallible>> {
        let account = self.account.id(desk).await?;
        let devices = devices::list(&*desk.vault.facts(), &account).await?;
        Ok(devices.iter().map(DeviceView::of).collect())
    }
}

/// Shows a device.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowDevice {
    /// The account.
    pub account: AccountName,
    /// The device key's thumbprint.
    pub jkt: String,
}

impl Operation for ShowDevice {
    const NAME: &'static str = "device/show";
    type Outcome = DeviceView;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<DeviceView, Stop<Refusal>> {
        let (jkt, account) = (thumbprint(&self.jkt)?, self.account.id(desk).await?);
        let device = devices::find(&*desk.vault.facts(), &account, jkt).await?;
        Ok(DeviceView::of(&device.ok_or_else(|| unknown(jkt))?))
    }
}

/// Makes a device one of the account's, before its first license.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrollDevice {
    /// The account.
    pub account: AccountName,
    /// The device key's thumbprint.
    pub jkt: String,
    /// A name for people.
    pub name: Option<String>,
}

impl Operation for EnrollDevice {
    const NAME: &'static str = "device/enroll";
    type Outcome = DeviceView;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<DeviceView, Stop<Refusal>> {
        let (jkt, account) = (thumbprint(&self.jkt)?, self.account.id(desk).await?);
        let new = Introduction { jkt, name: self.name, model: None };
        let device = devices::add(&*desk.vault.facts(), &account, &new, desk.now).await?;
        Ok(DeviceView::of(&device.ok_or(Stop::Refused(Refusal::TooMany))?))
    }
}

/// What an operator wants a device to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// It may have no licenses, and keeps its place.
    Revoked,
    /// It may have licenses again.
    Active,
    /// It is not one of the account's any more.
    Removed,
}

/// Revokes, restores or removes a device. Its next request is judged by that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetDeviceStatus {
    /// The account.
    pub account: AccountName,
    /// The device key's thumbprint.
    pub jkt: String,
    /// The new status.
    pub status: Wish,
}

/// The device has the status now.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeviceStatusSet {
    /// The device.
    pub device: DeviceView,
    /// Whether it had another status before.
    pub changed: bool,
}

impl Operation for SetDeviceStatus {
    const NAME: &'static str = "device/set-status";
    type Outcome = DeviceStatusSet;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<DeviceStatusSet, Stop<Refusal>> {
        let (jkt, account) = (thumbprint(&self.jkt)?, self.account.id(desk).await?);
        let status = match self.status {
            Wish::Revoked => DeviceStatus::Revoked,
            Wish::Active => DeviceStatus::Active,
            Wish::Removed => DeviceStatus::Removed,
        };
        let facts = desk.vault.facts();
        if status == DeviceStatus::Revoked {
            // Also one that was never seen: it is known by its key before it comes.
            let new = Introduction { jkt, name: None, model: None };
            let known = devices::find(&*facts, &account, jkt).await?;
            if known.is_none() {
                devices::add(&*facts, &account, &new, desk.now).await?;
            }
        }
        let set = devices::set_status(&*facts, &account, jkt, status, desk.now).await?;
        let (device, changed) = set.ok_or_else(|| unknown(jkt))?;
        Ok(DeviceStatusSet { device: DeviceView::of(&device), changed })
    }
}

fn thumbprint(text: &str) -> Result<Thumbprint, Stop<Refusal>> {
    Thumbprint::parse(text).map_err(|_| Stop::Refused(Refusal::Thumbprint(text.into())))
}

fn unknown(jkt: Thumbprint) -> Stop<Refusal> {
    Stop::Refused(Refusal::NoDevice(jkt.to_string()))
}
