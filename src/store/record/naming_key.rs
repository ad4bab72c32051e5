//! The record of the key that names requests.

use crate::store::record::only_secret::only_secret;

only_secret! {
    /// The key that names requests: it makes license IDs. There is exactly one.
    NamingKeyRecord, "naming-key", "the key that names requests"
}
