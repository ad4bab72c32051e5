//! The record of the key that names requests.

use serde::{Deserialize, Serialize};

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::stored::Record;

/// The key that names requests: it makes license IDs. There is exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamingKeyRecord {
    /// The wrapped key, 32 bytes.
    pub wrapped: Wrapped,
}

impl NamingKeyRecord {
    /// The place of the key, to which its wrapping is bound.
    #[must_use]
    pub fn place_in(store_id: &[u8; 16]) -> Place {
        Place::new(store_id, "naming-key", &[], &[])
    }
}

impl Record for NamingKeyRecord {
    const PREFIX: &'static str = "naming-key";

    fn key(&self) -> Vec<u8> {
        Self::PREFIX.into()
    }
}

impl SecretRecord for NamingKeyRecord {
    fn wrapped(&self) -> &Wrapped {
        &self.wrapped
    }

    fn rewrapped(&self, wrapped: Wrapped) -> Self {
        Self { wrapped }
    }

    fn place(&self, store_id: &[u8; 16]) -> Place {
        Self::place_in(store_id)
    }

    fn name(&self) -> String {
        "the key that names requests".into()
    }
}
