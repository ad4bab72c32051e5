//! Primitives: verify, sign, wrap and seal. Only this folder of the server names ring and jsonwebtoken.
//!
//! Secrets in the store are wrapped with RustCrypto crates, because these zero their keys. Signatures and key
//! agreement on the wire use ring. What packagers' protocols need and ring lacks is RustCrypto's too: RSA-OAEP and
//! RSASSA-PSS with SHA-1 ([`rsa`]), AES-CBC ([`cbc`]) and AES Key Wrap ([`key_wrap`]).

pub mod android;
pub mod cbc;
mod chain_defect;
pub mod clean_stack;
pub mod client_auth;
pub mod client_ca;
pub mod development_key;
pub mod device_ca;
pub mod digest;
pub mod issuer_key;
pub mod issuer_keys;
mod jwt;
pub mod key_wrap;
pub mod period;
pub mod plain_key;
mod public_jwk;
pub mod random;
pub mod request_name;
pub mod root_key;
pub mod rsa;
pub mod seal;
pub mod sign;
mod status_list;
pub mod tls;
pub mod trust;
pub mod wrap;
mod x509;
