//! Accounts as facts name them.

use std::fmt;
use std::str::FromStr;

use reelkey_client::key::KeyId;

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

    /// The keys of its records of a kind begin with this.
    #[must_use]
    pub fn prefix(&self, kind: &str) -> Vec<u8> {
        [kind.as_bytes(), &self.0].concat()
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
