//! The record of a license-signing key.

use serde::{Deserialize, Serialize};

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::record::form::Json;
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::stored::Record;

/// A key that signs licenses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerRecord {
    /// The thumbprint of its public key.
    pub kid: String,
    /// The wrapped key, in PKCS#8.
    pub wrapped: Wrapped,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// The time from which it signs, in seconds since 1970, until a later key does.
    #[serde(default)]
    pub signs_from: u64,
    /// The order of keys that sign from the same second.
    #[serde(default)]
    pub number: u32,
}

impl SignerRecord {
    /// Whether it was made to sign at once, because the one before leaked: none with a lower number signs again,
    /// whatever the clock says. The first key of a store replaces none.
    #[must_use]
    pub fn signs_at_once(&self) -> bool {
        self.number > 0 && self.signs_from <= self.created_at
    }

    /// The sort key of signing keys. The last one whose time has come signs.
    #[must_use]
    pub fn turn(&self) -> (u64, u32) {
        (self.signs_from, self.number)
    }

    /// The place of the signing key with this `kid`, to which its wrapping is bound.
    #[must_use]
    pub fn place_of(store_id: &[u8; 16], kid: &str) -> Place {
        Place::new(store_id, "signer", kid.as_bytes(), &[])
    }
}

impl Record for SignerRecord {
    type Form = Json;

    const PREFIX: &'static str = "signer/";

    fn key(&self) -> Vec<u8> {
        [Self::PREFIX, &self.kid].concat().into_bytes()
    }
}

impl SecretRecord for SignerRecord {
    fn wrapped(&self) -> &Wrapped {
        &self.wrapped
    }

    fn rewrapped(&self, wrapped: Wrapped) -> Self {
        Self { wrapped, ..self.clone() }
    }

    fn place(&self, store_id: &[u8; 16]) -> Place {
        Self::place_of(store_id, &self.kid)
    }

    fn name(&self) -> String {
        "a signing key".into()
    }
}
