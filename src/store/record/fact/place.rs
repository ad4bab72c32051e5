//! The record of a place for a device.

use reelkey_client::strict::jwk::Thumbprint;
use serde::{Deserialize, Serialize};

use crate::store::record::fact::account::{ACCOUNTS, AccountId, Fact, Kind};
use crate::store::record::stored::Record;
use crate::store::record::text::{self, jkt};

/// A place of an account, and the device that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceRecord {
    /// The account.
    #[serde(with = "text")]
    pub account: AccountId,
    /// The number of the place, from 0 on.
    pub number: u16,
    /// The device.
    #[serde(with = "jkt")]
    pub jkt: Thumbprint,
}

impl Record for PlaceRecord {
    const PREFIX: &'static str = ACCOUNTS;

    fn key(&self) -> Vec<u8> {
        self.account.key_of(Self::KIND, &[&self.number.to_be_bytes()])
    }
}

impl Fact for PlaceRecord {
    const KIND: Kind = Kind::Place;
}
