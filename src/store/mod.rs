//! The store: one ordered map of small records. Batches change it, each completely or not at all.
//!
//! Top to bottom: [`open`] picks the engine by the store's name, [`migration`] and [`facts_migration`] bring a store of an
//! earlier format up to date, [`embedded`] is the engine inside the service, [`record`] defines the records, [`engine`] is the trait of
//! all engines, and [`conformance`] tests them.
//! [`meter`] counts commits.
//!
//! **What is acknowledged is durable**: it survives a kill and a power loss. Damage is an error. It is never a panic,
//! and never an empty store.
//!
//! Deliberately absent: secrets in the clear. A record holds only [`Wrapped`](crate::crypto::wrap::Wrapped) ones.

pub mod batch;
pub mod conformance;
pub mod embedded;
pub mod engine;
pub mod error;
pub mod facts_migration;
pub mod meter;
pub mod migration;
pub mod open;
pub mod owner;
pub mod pages;
pub mod record;
