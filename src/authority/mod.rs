//! The use cases: everything that the service does. HTTP and the command line both call them.
//!
//! Top to bottom: [`issuing`] and [`self_service`] serve players, [`operation`] serves operators. Both use [`provision`],
//! [`rotation`] and [`registry`] (what is remembered of accounts). These use [`service`] (the state of the running service), [`in_force`] (configuration and signing
//! keys) and [`vault`] (the open store and the keys to it). [`stop`] says why something was not done.
//! [`counters`] holds what the service counts, and [`metrics`] tells it.
//!
//! A use case takes plain values and the current time. It loads the facts that the rules need and carries out the
//! decision. Only [`issuing::issue`] and [`operation::key`] handle content keys in the clear.
//!
//! Deliberately absent: HTTP, clocks, and files other than the root key's.

pub mod atlas;
pub mod commit;
pub mod counters;
pub mod fetched_keys;
pub mod in_force;
pub mod issuer;
mod issuer_counters;
pub mod issuing;
pub mod key_directory;
pub mod makers;
pub mod metrics;
pub mod operation;
pub mod packager;
pub mod packaging;
pub mod provision;
pub mod registry;
pub mod rotation;
pub mod self_service;
pub mod service;
pub mod stop;
pub mod vault;
