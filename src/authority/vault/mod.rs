//! An open store and the keys to it.
//!
//! Top to bottom: [`open`] holds the pair while rotations replace it, [`census`] opens everything there is, [`signers`]
//! and [`keyring`] open some of it, [`install`] makes the first records, [`fault`] says what can fail; the root key's
//! file and other secret files are at the bottom.

pub mod census;
pub mod fault;
pub mod install;
pub mod keyring;
pub mod open;
pub mod root_key_file;
pub mod secret_file;
pub mod signers;
