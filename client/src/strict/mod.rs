//! Strict reading of JSON and compact JOSE objects.
//!
//! General JOSE libraries tolerate a repeated member, an unknown `crit`, spare bits at the end of a
//! base64 text. Each tolerance lets two readers see two different messages in the same bytes. Both
//! sides of the exchange therefore read with this module first, which accepts one form only.
//!
//! Deliberately absent: signatures (the device verifies in [`crate::exchange`], the server with its
//! own primitives) and the meaning of claims.

pub mod base64url;
pub mod certificate;
pub mod json;
pub mod jwk;
pub mod jws;
