//! Accounts as facts name them, and the keys of what is remembered of them.
//!
//! A key is [`ACCOUNTS`], the account, one byte for the kind, and what the kind adds. So everything of an account lies together:
//! one read finds it, and most of what a grant writes is one entry of the engine.

use std::fmt;
use std::str::FromStr;

use reelkey_client::key::KeyId;

use crate::store::embedded::row::Sharing;
use crate::store::record::stored::Record;

/// The keys of all facts of accounts begin with this.
pub const ACCOUNTS: &str = "account/";

/// The facts of an account that grants change together are in one row of the embedded engine, as long as there is room. Licenses
/// and first uses become many, so only some are.
pub const ROWS: Sharing = Sharing {
    word: ACCOUNTS.as_bytes(),
    bytes: ACCOUNTS.len() + AccountId::BYTES,
    kinds: &[Kind::Device.number(), Kind::Place.number(), Kind::Slot.number()],
    many: &[Kind::License.number(), Kind::Usage.number()],
};

/// A kind of facts of an account. Its number is a byte of keys, and never changes. Kinds that become many come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`DeviceRecord`](super::device::DeviceRecord).
    Device,
    /// [`PlaceRecord`](super::place::PlaceRecord).
    Place,
    /// [`SlotRecord`](super::slot::SlotRecord).
    Slot,
    /// [`LicenseRecord`](super::license::LicenseRecord).
    License,
    /// [`UsageRecord`](super::usage::UsageRecord).
    Usage,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Device, Self::Place, Self::Slot, Self::License, Self::Usage];

    const fn number(self) -> u8 {
        match self {
            Self::Device => 1,
            Self::Place => 2,
            Self::Slot => 3,
            Self::License => 4,
            Self::Usage => 5,
        }
    }

    /// The kind of the fact under this key; `None` if it is no fact of an account.
    #[must_use]
    pub fn of(key: &[u8]) -> Option<Self> {
        let byte = key.strip_prefix(ACCOUNTS.as_bytes())?.get(AccountId::BYTES)?;
        Self::ALL.into_iter().find(|kind| kind.number() == *byte)
    }
}

/// A record of an account.
pub trait Fact: Record {
    /// Its kind.
    const KIND: Kind;
}

/// An account: the first 16 bytes of a keyed hash of issuer and name ([`NamingKey`](crate::crypto::request_name::NamingKey)).
/// Printed as a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 16]);

impl AccountId {
    /// How many bytes of a key it takes.
    pub const BYTES: usize = 16;

    /// The account with this hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The keys of everything that is remembered of it begin with this.
    #[must_use]
    pub fn prefix(&self) -> Vec<u8> {
        [ACCOUNTS.as_bytes(), &self.0].concat()
    }

    /// The keys of its facts of a kind begin with this.
    #[must_use]
    pub fn prefix_of<F: Fact>(&self) -> Vec<u8> {
        self.key_of(F::KIND, &[])
    }

    /// The key of a fact of a kind, with what the kind adds.
    #[must_use]
    pub(in crate::store) fn key_of(&self, kind: Kind, rest: &[&[u8]]) -> Vec<u8> {
        let mut key = self.prefix();
        key.push(kind.number());
        rest.iter().for_each(|part| key.extend_from_slice(part));
        key
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        KeyId::from_bytes(self.0).fmt(f)
    }
}

impl FromStr for AccountId {
    type Err = <KeyId as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<KeyId>().map(|id| Self(*id.as_bytes()))
    }
}
