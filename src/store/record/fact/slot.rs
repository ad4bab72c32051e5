//! The record of a slot for a stream.

use minicbor::{Decode, Encode};
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;
use serde::Deserialize;

use crate::crypto::digest::sha256;
use crate::domain::content::ContentId;
use crate::domain::past::{LicenseId, Slot};
use crate::domain::policy::ConcurrencyScope;
use crate::store::record::fact::account::{ACCOUNTS, AccountId, Fact, Kind};
use crate::store::record::fact::cbor::{self, of_key};
use crate::store::record::form::Cbor;
use crate::store::record::stored::Record;
use crate::store::record::text::{self, jkt};

/// A slot, and the session that has or had it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[cbor(context_bound = "AsRef<[u8]>")]
pub struct SlotRecord {
    /// The account.
    #[serde(with = "text")]
    #[cbor(n(0), with = "of_key")]
    pub account: AccountId,
    /// What is counted together.
    #[serde(with = "text::uuid")]
    #[cbor(n(1), with = "of_key")]
    pub counted: [u8; 16],
    /// The number of the slot, from 0 on.
    #[n(2)]
    pub number: u16,
    /// The license that was granted last in it.
    #[serde(with = "text")]
    #[n(3)]
    pub license: LicenseId,
    /// The device that plays.
    #[serde(with = "jkt")]
    #[cbor(n(4), with = "cbor::jkt")]
    pub jkt: Thumbprint,
    /// What it plays.
    #[serde(with = "text")]
    #[n(5)]
    pub content_id: ContentId,
    /// When the session began, in seconds since 1970.
    #[n(6)]
    pub since: u64,
    /// From when on the slot is free.
    #[n(7)]
    pub until: u64,
    /// The devices that sessions in this slot have stopped.
    #[serde(default)]
    #[n(8)]
    pub stopped: Vec<Stopped>,
}

/// A device that a session has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
pub struct Stopped {
    /// The device.
    #[serde(with = "jkt")]
    #[cbor(n(0), with = "cbor::jkt")]
    pub jkt: Thumbprint,
    /// The end of what it had, in seconds since 1970.
    #[n(1)]
    pub until: u64,
}

/// What is counted together: the hash of its name.
#[must_use]
pub fn counted(scope: ConcurrencyScope, content: &ContentId, policy_id: &str) -> [u8; 16] {
    let name = match scope {
        ConcurrencyScope::Account => "account".into(),
        ConcurrencyScope::Content => format!("content {content}"),
        ConcurrencyScope::Policy => format!("policy {policy_id}"),
    };
    sha256(name.as_bytes()).first_chunk().copied().unwrap_or_default()
}

impl SlotRecord {
    /// The keys of the slots that are counted together begin with this.
    #[must_use]
    pub fn prefix(account: &AccountId, counted: &[u8; 16]) -> Vec<u8> {
        account.key_of(Self::KIND, &[counted])
    }

    /// The record of a slot.
    #[must_use]
    pub fn new(account: AccountId, counted: [u8; 16], slot: &Slot) -> Self {
        let stopped = slot.stopped.iter();
        let stopped = stopped.map(|(jkt, until)| Stopped { jkt: *jkt, until: until.as_secs() });
        Self {
            account,
            counted,
            number: slot.number,
            license: slot.license,
            jkt: slot.device,
            content_id: slot.content.clone(),
            since: slot.since.as_secs(),
            until: slot.until.as_secs(),
            stopped: stopped.collect(),
        }
    }

    /// The slot.
    #[must_use]
    pub fn slot(&self) -> Slot {
        let stopped = self.stopped.iter();
        let stopped = stopped.map(|one| (one.jkt, UnixTime::from_secs(one.until)));
        Slot {
            number: self.number,
            license: self.license,
            device: self.jkt,
            content: self.content_id.clone(),
            since: UnixTime::from_secs(self.since),
            until: UnixTime::from_secs(self.until),
            stopped: stopped.collect(),
        }
    }
}

impl Record for SlotRecord {
    type Form = Cbor;

    const PREFIX: &'static str = ACCOUNTS;

    fn key(&self) -> Vec<u8> {
        self.account.key_of(Self::KIND, &[&self.counted, &self.number.to_be_bytes()])
    }
}

impl Fact for SlotRecord {
    const KIND: Kind = Kind::Slot;
}
