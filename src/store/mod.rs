//! What is kept: one ordered map of small records, changed by batches that happen wholly or not at all.
//!
//! Top to bottom: [`open`] picks the engine by the store's name, [`migration`] brings files of an earlier format up to
//! date, [`embedded`] is the engine beside the service, [`record`] says what the records are, [`engine`] what every
//! engine offers and [`conformance`] what it has to pass.
//!
//! **Acknowledged is durable**, against a kill and against power loss; damage is an error, never a panic and never an
//! empty store.
//!
//! Deliberately absent: clear secrets. A record admits [`Wrapped`](crate::crypto::wrap::Wrapped) ones.

pub mod batch;
pub mod conformance;
pub mod embedded;
pub mod engine;
pub mod error;
pub mod migration;
pub mod open;
pub mod pages;
pub mod record;
