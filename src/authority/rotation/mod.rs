//! Rotations, while licenses are granted: of the root key, of the KEK, of the signing key.
//!
//! *Rotate* makes a new generation for what is written from now on, *rewrap* moves what is there to it,
//! *retire* drops a generation that a scan has shown unused.

pub mod kek;
pub mod root;
pub mod signer;
