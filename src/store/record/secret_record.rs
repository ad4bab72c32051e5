//! What every record with a secret says of it.

use crate::crypto::wrap::{Place, Wrapped};
use crate::store::record::stored::Record;

/// A record that holds one secret, wrapped under a KEK.
pub trait SecretRecord: Record {
    /// The secret.
    fn wrapped(&self) -> &Wrapped;

    /// The same record with its secret wrapped anew.
    #[must_use]
    fn rewrapped(&self, wrapped: Wrapped) -> Self;

    /// The place that is bound to the secret.
    fn place(&self, store_id: &[u8; 16]) -> Place;

    /// What people call it.
    fn name(&self) -> String;
}
