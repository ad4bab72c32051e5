//! The trait of all records that hold a secret.

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::record::stored::Record;

/// A record that holds one secret, wrapped under a KEK.
pub trait SecretRecord: Record {
    /// The wrapped secret.
    fn wrapped(&self) -> &Wrapped;

    /// The same record with its secret wrapped again.
    #[must_use]
    fn rewrapped(&self, wrapped: Wrapped) -> Self;

    /// The place to which its wrapping is bound.
    fn place(&self, store_id: &[u8; 16]) -> Place;

    /// Its name in messages.
    fn name(&self) -> String;
}
