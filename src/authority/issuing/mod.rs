//! Issuing: from a token and a request to a license or a refusal.
//!
//! Top to bottom: [`issue`] goes through the steps, `license` writes what is granted, [`changes`] is what a grant leaves
//! behind, [`facts`] is what store, token and request say, [`proof`] shows that the sender holds the device key, [`token`]
//! who the viewer is. [`circumstances`] is what surrounds a request, and [`refused`] why it is refused.
//!
//! ClearKey, HLS keys and packagers will use the same decision on the same facts, without a device proof.

pub mod changes;
pub mod circumstances;
pub mod facts;
pub mod issue;
pub mod judge;
mod license;
pub mod proof;
pub mod refused;
pub mod token;
