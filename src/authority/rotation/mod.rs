//! Rotations of the root key, the KEK and the signing key. Licenses are granted meanwhile.
//!
//! *Rotate* makes a new generation, which wraps everything written from then on. *Rewrap* moves existing secrets to
//! it. *Retire* removes a generation that no secret uses any more.

pub mod kek;
pub mod root;
pub mod signer;
