//! The use cases: what the service does, called by HTTP and the command line alike.
//!
//! Top to bottom: [`issuing`] answers players, [`operation`] answers operators; both stand on [`provision`] and
//! [`rotation`], these on [`service`], the state of the running service, on [`in_force`], what the operator decided, and
//! on [`vault`], the open store and the keys to it. [`stop`] says why something was not done.
//!
//! A use case takes plain values and the time, loads what the rules ask about, and does what they
//! decide. Content keys are in the clear in [`issuing::issue`] and in [`operation::key`] only.
//!
//! Deliberately absent: HTTP, clocks, files other than the root key's.

pub mod commit;
pub mod in_force;
pub mod issuer;
pub mod issuing;
pub mod operation;
pub mod provision;
pub mod rotation;
pub mod service;
pub mod stop;
pub mod vault;
