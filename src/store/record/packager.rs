//! The record of a packager.

use serde::{Deserialize, Serialize};

use crate::crypto::wrap::{Place, Wrapped};
use crate::domain::packager::PackagerName;
use crate::store::record::form::Json;
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::stored::Record;
use crate::store::record::text;

/// A packager: a program that may ask for content keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagerRecord {
    /// Its name.
    #[serde(with = "text")]
    pub name: PackagerName,
    /// What it may ask for and how it proves who it is, wrapped as a whole: so nobody who can write files gives a packager
    /// more rights than it has.
    pub wrapped: Wrapped,
    /// When it was added, in seconds since 1970.
    pub created_at: u64,
    /// When it was given its secret, in seconds since 1970.
    pub secret_changed_at: u64,
}

impl PackagerRecord {
    /// The place of a packager, to which its wrapping is bound.
    #[must_use]
    pub fn place_of(store_id: &[u8; 16], name: &PackagerName) -> Place {
        Place::new(store_id, "packager", name.as_str().as_bytes(), &[])
    }
}

impl Record for PackagerRecord {
    type Form = Json;

    const PREFIX: &'static str = "packager/";

    fn key(&self) -> Vec<u8> {
        [Self::PREFIX, self.name.as_str()].concat().into()
    }
}

impl SecretRecord for PackagerRecord {
    fn wrapped(&self) -> &Wrapped {
        &self.wrapped
    }

    fn rewrapped(&self, wrapped: Wrapped) -> Self {
        Self { wrapped, ..self.clone() }
    }

    fn place(&self, store_id: &[u8; 16]) -> Place {
        Self::place_of(store_id, &self.name)
    }

    fn name(&self) -> String {
        format!("the packager {}", self.name)
    }
}
