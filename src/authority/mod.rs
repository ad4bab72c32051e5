//! The use cases: what the service does, called by HTTP and the command line alike.
//!
//! A use case takes plain values and the time, loads what the rules ask about, and does what they
//! answer. Content keys are in the clear in [`issue`] only, between unwrapping and sealing.
//!
//! Deliberately absent: HTTP, clocks, files other than the root key's.

pub mod admin;
pub mod census;
pub mod install;
pub mod issue;
pub mod issuer;
pub mod keyring;
pub mod license;
pub mod operation;
pub mod provision;
pub mod root_key_file;
pub mod root_rotation;
pub mod rotate;
pub mod secret_file;
pub mod token;
pub mod vault;

mod service;
mod signers;

pub use service::{Authority, Setup};
