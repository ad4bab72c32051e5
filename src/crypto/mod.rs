//! Primitives: verify, sign, wrap and seal. The only folder of the server that names ring and
//! jsonwebtoken.
//!
//! What rests in the store is wrapped by RustCrypto crates, because they zero their keys; what goes
//! over the wire is signed and agreed by ring.

pub mod clean_stack;
pub mod development_key;
pub mod digest;
pub mod issuer_keys;
mod jwt;
pub mod random;
pub mod request_name;
pub mod root_key;
pub mod seal;
pub mod sign;
pub mod tls;
pub mod wrap;
