//! Common Encryption (ISO/IEC 23001-7:2023) in MP4 (ISO/IEC 14496-12:2022), fragmented or not.
//!
//! A file is read once and decrypted in place:
//!
//! 1. [`Init::parse`] reads the tracks and their protection from the `moov`;
//! 2. [`Init::plan`] reads the fragments of a segment into a [`Plan`]: where each sample is and how it is protected. Every
//!    error is found here, before a byte is changed;
//! 3. [`Plan::decrypt`] changes the samples in place, and turns the boxes about protection into `free` boxes, so that no
//!    offset moves.
//!
//! [`decrypt_file`] does all three for a file that has both parts. [`Stream`] takes a film in pieces, and [`Reader`] is
//! one that reads it from an [`io::Read`](std::io::Read) and is one itself:
//!
//! ```
//! use std::io::Read;
//! use reelkey_client::cenc::{Keys, Reader};
//! use reelkey_client::key::ContentKey;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cbcs/video.mp4");
//! # let socket = std::fs::File::open(path)?;
//! let mut keys = Keys::default();
//! let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
//! keys.insert(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
//!
//! let mut reader = Reader::new(socket, keys);
//! let mut film = Vec::new();
//! reader.read_to_end(&mut film)?;
//! assert_eq!(reader.stream().samples(), 75);
//! # assert!(!film.windows(4).any(|window| window == b"encv"));
//! # Ok(())
//! # }
//! ```
//!
//! # What is read
//!
//! The schemes `cenc`, `cbc1`, `cens` and `cbcs` and both of PIFF 1.1; whole samples and subsamples; IVs of samples and
//! constant IVs; `senc` boxes, and `saiz` and `saio` alone; sample groups (`seig`), plain or compact; fragments and sample
//! tables; tracks of every kind. Whatever is encrypted in another way is refused with an error of its own: ciphertext is never
//! copied in silence.

pub mod aux_info;
mod block;
pub mod boxes;
mod buffer;
mod cipher;
mod clearing;
mod ending;
mod entry;
mod error;
mod file;
mod flow;
pub mod foreign;
pub mod fragment;
pub mod group;
pub mod init;
pub mod inspect;
mod judge;
pub mod keys;
mod machine;
mod moov;
pub mod notes;
mod overlap;
mod passing;
pub mod plan;
mod planned;
pub mod protection;
#[cfg(feature = "std")]
pub mod reader;
mod samples;
pub mod signals;
mod state;
pub mod stream;
mod suspicion;
pub mod table;
mod tail;
pub mod track;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod wide;

pub use crate::cenc::error::Error;
pub use crate::cenc::file::decrypt_file;
pub use crate::cenc::init::Init;
pub use crate::cenc::keys::Keys;
pub use crate::cenc::plan::Plan;
#[cfg(feature = "std")]
pub use crate::cenc::reader::Reader;
pub use crate::cenc::stream::Stream;
