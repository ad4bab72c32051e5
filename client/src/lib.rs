//! The device's half of Reelkey: obtain a license, then decrypt the media it covers.
//!
//! Three rooms, none of which opens a socket, reads a clock or draws randomness by itself:
//!
//! - [`exchange`] builds and signs a license request, and verifies and opens the license that
//!   answers it;
//! - [`cenc`] decrypts Common Encryption (ISO/IEC 23001-7) segments in place;
//! - [`strict`] reads JSON and compact JOSE objects without the leniency that attacks feed on. The
//!   server reads its input with the same code.
//!
//! [`key`] and [`time`] hold the few types that all of them speak.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod cenc;
pub mod exchange;
pub mod key;
pub mod strict;
pub mod time;
