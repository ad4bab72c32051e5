//! The record of the first uses of a content.

use minicbor::{Decode, Encode};
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;
use serde::Deserialize;

use crate::crypto::digest::sha256;
use crate::domain::content::ContentId;
use crate::domain::past::Usage;
use crate::store::record::fact::account::{ACCOUNTS, AccountId, Fact, Kind};
use crate::store::record::fact::cbor::{self, of_key};
use crate::store::record::form::Cbor;
use crate::store::record::stored::Record;
use crate::store::record::text::{self, jkt};

/// The first uses of a content by an account with one entitlement.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[cbor(context_bound = "AsRef<[u8]>")]
pub struct UsageRecord {
    /// The account.
    #[serde(with = "text")]
    #[cbor(n(0), with = "of_key")]
    pub account: AccountId,
    /// The content.
    #[serde(with = "text")]
    #[n(1)]
    pub content_id: ContentId,
    /// The purchase or rental.
    #[n(2)]
    pub entitlement_id: String,
    /// When the first license was granted, in seconds since 1970.
    #[serde(default)]
    #[n(3)]
    pub rented_at: Option<u64>,
    /// When it was first played.
    #[serde(default)]
    #[n(4)]
    pub played_at: Option<u64>,
    /// The devices that keep a license.
    #[serde(with = "jkt::many", default)]
    #[cbor(n(5), with = "cbor::jkt::many")]
    pub keepers: Vec<Thumbprint>,
    /// Whether licenses are barred.
    #[serde(default)]
    #[n(6)]
    pub barred: bool,
}

impl UsageRecord {
    /// The key of the uses of this content.
    #[must_use]
    pub fn key_of(account: &AccountId, content: &ContentId, entitlement_id: &str) -> Vec<u8> {
        // No content ID has a NUL.
        let what = sha256(&[content.as_str().as_bytes(), &[0], entitlement_id.as_bytes()].concat());
        let what = what.first_chunk::<16>().map_or(&[][..], |half| half);
        account.key_of(Self::KIND, &[what])
    }

    /// The record of these uses.
    #[must_use]
    pub fn new(account: AccountId, usage: &Usage) -> Self {
        Self {
            account,
            content_id: usage.content.clone(),
            entitlement_id: usage.entitlement_id.clone(),
            rented_at: usage.rented_at.map(UnixTime::as_secs),
            played_at: usage.played_at.map(UnixTime::as_secs),
            keepers: usage.keepers.clone(),
            barred: usage.barred,
        }
    }

    /// The uses.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            content: self.content_id.clone(),
            entitlement_id: self.entitlement_id.clone(),
            rented_at: self.rented_at.map(UnixTime::from_secs),
            played_at: self.played_at.map(UnixTime::from_secs),
            keepers: self.keepers.clone(),
            barred: self.barred,
        }
    }
}

impl Record for UsageRecord {
    type Form = Cbor;

    const PREFIX: &'static str = ACCOUNTS;

    fn key(&self) -> Vec<u8> {
        Self::key_of(&self.account, &self.content_id, &self.entitlement_id)
    }
}

impl Fact for UsageRecord {
    const KIND: Kind = Kind::Usage;
}
