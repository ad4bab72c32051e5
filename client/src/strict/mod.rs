//! Strict reading of JSON and compact JOSE objects.
//!
//! General JOSE libraries forgive: a repeated member, a stray `crit`, spare bits at the end of a
//! base64 text. Each forgiveness lets two readers see two different messages in the same bytes, so
//! both sides of the exchange read here first, and what is not in exactly one form is refused.
//!
//! Deliberately absent: signatures (the device verifies in [`crate::exchange`], the server with its
//! own primitives) and what claims mean.

pub mod base64url;
pub mod json;
pub mod jwk;
pub mod jws;
