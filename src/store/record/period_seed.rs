//! The record of the seed of crypto periods.

use serde::{Deserialize, Serialize};

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::stored::Record;

/// The seed from which the keys of crypto periods are derived. There is exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodSeedRecord {
    /// The wrapped seed, 32 bytes.
    pub wrapped: Wrapped,
}

impl PeriodSeedRecord {
    /// The place of the seed, to which its wrapping is bound.
    #[must_use]
    pub fn place_in(store_id: &[u8; 16]) -> Place {
        Place::new(store_id, "period-seed", &[], &[])
    }
}

impl Record for PeriodSeedRecord {
    const PREFIX: &'static str = "period-seed";

    fn key(&self) -> Vec<u8> {
        Self::PREFIX.into()
    }
}

impl SecretRecord for PeriodSeedRecord {
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
        "the seed of crypto periods".into()
    }
}
