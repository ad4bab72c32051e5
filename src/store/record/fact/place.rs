//! The record of a place for a device.

use minicbor::{Decode, Encode};
use reelkey_client::strict::jwk::Thumbprint;
use serde::Deserialize;

use crate::store::record::fact::account::{ACCOUNTS, AccountId, Fact, Kind};
use crate::store::record::fact::cbor::{self, of_key};
use crate::store::record::form::Cbor;
use crate::store::record::stored::Record;
use crate::store::record::text::{self, jkt};

/// A place of an account, and the device that has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[cbor(context_bound = "AsRef<[u8]>")]
pub struct PlaceRecord {
    /// The account.
    #[serde(with = "text")]
    #[cbor(n(0), with = "of_key")]
    pub account: AccountId,
    /// The number of the place, from 0 on.
    #[n(1)]
    pub number: u16,
    /// The device.
    #[serde(with = "jkt")]
    #[cbor(n(2), with = "cbor::jkt")]
    pub jkt: Thumbprint,
}

impl Record for PlaceRecord {
    type Form = Cbor;

    const PREFIX: &'static str = ACCOUNTS;

    fn key(&self) -> Vec<u8> {
        self.account.key_of(Self::KIND, &[&self.number.to_be_bytes()])
    }
}

impl Fact for PlaceRecord {
    const KIND: Kind = Kind::Place;
}
