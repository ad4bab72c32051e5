//! An open store and the keys to it.
//!
//! Top to bottom: [`open`] holds the store and the keyring while rotations replace them, [`census`] opens every
//! secret, [`signers`] and [`keyring`] open some of them, [`install`] makes the first records, `additions` numbers new
//! keys, and [`fault`] lists what can fail. The root key's file and other secret files are at the bottom.

mod additions;
pub mod census;
pub mod fault;
pub mod install;
pub mod keyring;
pub mod open;
mod period_seed;
pub mod root_key_file;
pub mod secret_file;
pub mod signers;
