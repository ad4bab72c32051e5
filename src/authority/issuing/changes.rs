//! What a grant leaves behind, as a batch of the store. It is empty under every policy of today; devices, sessions and
//! licenses of a database of facts enter here.

use crate::domain::changes::Changes;
use crate::store::batch::Batch;

/// The batch that makes the changes, if what the decision was made on is still so.
#[must_use]
pub fn batch(changes: Changes) -> Batch {
    // Named, so that a new kind of fact cannot be forgotten here.
    let Changes {} = changes;
    Batch::default()
}
