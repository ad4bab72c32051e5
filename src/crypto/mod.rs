//! Primitives: verify, sign, wrap and seal. Only this folder of the server names ring and jsonwebtoken.
//!
//! Secrets in the store are wrapped with RustCrypto crates, because these zero their keys. Signatures and key
//! agreement on the wire use ring.

pub mod android;
mod chain_defect;
pub mod clean_stack;
pub mod development_key;
pub mod device_ca;
pub mod digest;
pub mod issuer_key;
pub mod issuer_keys;
mod jwt;
mod public_jwk;
pub mod random;
pub mod request_name;
pub mod root_key;
pub mod seal;
pub mod sign;
mod status_list;
pub mod tls;
pub mod trust;
pub mod wrap;
mod x509;
