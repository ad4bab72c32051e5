//! Issuing: from a token and a request to a license or a refusal.
//!
//! Top to bottom: [`issue`] goes through the steps for a license and [`clear_keys`] for keys in the clear, [`decided`] is
//! what both go through, [`release`] gives licenses back, `license` writes what is granted,
//! `memory` is what earlier grants left behind and `account` reads it, [`facts`] is what store, token and request say, [`proof`] shows that the sender holds the device key, [`token`]
//! who the viewer is. [`circumstances`] is what surrounds a request, and [`refused`] why it is refused.

mod account;
pub mod circumstances;
pub mod clear_keys;
pub mod decided;
pub mod facts;
pub mod issue;
pub mod judge;
mod license;
mod memory;
pub mod proof;
pub mod refused;
pub mod release;
pub mod token;
