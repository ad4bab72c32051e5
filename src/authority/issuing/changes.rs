//! The changes that a grant makes, as a batch for the store. The batch is empty under all current policies. Records of
//! devices, sessions and licenses will be added here.

use crate::domain::changes::Changes;
use crate::store::batch::Batch;

/// The batch that makes these changes. It expects that the facts of the decision have not changed.
#[must_use]
pub fn batch(changes: Changes) -> Batch {
    // The struct is taken apart, so the compiler reports a new kind of change that is not handled here.
    let Changes {} = changes;
    Batch::default()
}
