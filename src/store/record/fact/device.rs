//! The record of a device of an account.

use minicbor::{Decode, Encode};
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;
use serde::Deserialize;

use crate::domain::past::{Device, DeviceStatus};
use crate::store::record::fact::account::{ACCOUNTS, AccountId, Fact, Kind};
use crate::store::record::fact::cbor::of_key;
use crate::store::record::form::Cbor;
use crate::store::record::stored::Record;
use crate::store::record::text::{self, jkt};

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[cbor(context_bound = "AsRef<[u8]>")]
pub struct DeviceRecord {
    /// The account.
    #[serde(with = "text")]
    #[cbor(n(0), with = "of_key")]
    pub account: AccountId,
    /// The device key's thumbprint.
    #[serde(with = "jkt")]
    #[cbor(n(1), with = "of_key")]
    pub jkt: Thumbprint,
    /// Its name, as the device itself says.
    #[serde(default)]
    #[n(2)]
    pub name: Option<String>,
    /// Its model, as the device itself says.
    #[serde(default)]
    #[n(3)]
    pub model: Option<String>,
    /// Its place, if it has one.
    #[serde(default)]
    #[n(4)]
    pub place: Option<u16>,
    /// When it took that place, in seconds since 1970.
    #[serde(default)]
    #[n(5)]
    pub placed_at: Option<u64>,
    /// When it was registered, in seconds since 1970.
    #[n(6)]
    pub registered_at: u64,
    /// When it was last granted a license.
    #[n(7)]
    pub last_seen_at: u64,
    /// Whether it may have licenses.
    #[n(8)]
    pub status: Status,
    /// Since when.
    #[n(9)]
    pub status_since: u64,
}

/// Whether a device may have licenses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum Status {
    /// It may.
    #[n(0)]
    Active,
    /// It may not.
    #[n(1)]
    Revoked,
    /// It is not the account's any more.
    #[n(2)]
    Removed,
}

impl DeviceRecord {
    /// The key of a device.
    #[must_use]
    pub fn key_of(account: &AccountId, jkt: &Thumbprint) -> Vec<u8> {
        account.key_of(Self::KIND, &[jkt.as_bytes()])
    }

    /// The record of a device.
    #[must_use]
    pub fn new(account: AccountId, device: &Device) -> Self {
        Self {
            account,
            jkt: device.jkt,
            name: device.name.clone(),
            model: device.model.clone(),
            place: device.place,
            placed_at: device.placed_at.map(UnixTime::as_secs),
            registered_at: device.registered_at.as_secs(),
            last_seen_at: device.last_seen_at.as_secs(),
            status: match device.status {
                DeviceStatus::Active => Status::Active,
                DeviceStatus::Revoked => Status::Revoked,
                DeviceStatus::Removed => Status::Removed,
            },
            status_since: device.status_since.as_secs(),
        }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> Device {
        Device {
            jkt: self.jkt,
            name: self.name.clone(),
            model: self.model.clone(),
            place: self.place,
            placed_at: self.placed_at.map(UnixTime::from_secs),
            registered_at: UnixTime::from_secs(self.registered_at),
            last_seen_at: UnixTime::from_secs(self.last_seen_at),
            status: match self.status {
                Status::Active => DeviceStatus::Active,
                Status::Revoked => DeviceStatus::Revoked,
                Status::Removed => DeviceStatus::Removed,
            },
            status_since: UnixTime::from_secs(self.status_since),
        }
    }
}

impl Record for DeviceRecord {
    type Form = Cbor;

    const PREFIX: &'static str = ACCOUNTS;

    fn key(&self) -> Vec<u8> {
        Self::key_of(&self.account, &self.jkt)
    }
}

impl Fact for DeviceRecord {
    const KIND: Kind = Kind::Device;
}
