//! What a film is and which keys it needs, found without a key and without its media.
//!
//! An [`Inspector`] takes the bytes of a film in order and may leave its media out; a [`Film`] is what it has seen. Unlike
//! decryption it does not refuse what breaks a rule of protection: it shows what the boxes say.
//!
//! ```
//! use reelkey_client::cenc::inspect::{FilmKind, Inspector};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/cli/demo/clip/cenc/video.mp4");
//! # let bytes = std::fs::read(path)?;
//! let mut inspector = Inspector::new();
//! inspector.push(&bytes)?;
//! inspector.finish()?;
//!
//! let film = inspector.film();
//! assert_eq!(film.kind, FilmKind::Fragmented);
//! assert_eq!(film.tracks[0].entries[0].codec, "avc1.640015");
//! assert_eq!(film.keys[0].kid.to_string(), "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5");
//! # Ok(())
//! # }
//! ```
//!
//! Deliberately absent: reading files, which the caller does, and the samples themselves.

mod codec;
pub mod described;
mod entry;
pub mod error;
pub mod film;
pub mod inspector;
mod moof;
mod moov;
mod tally;

pub use crate::cenc::inspect::described::{Described, DescribedKey, IvLength};
pub use crate::cenc::inspect::error::Error;
pub use crate::cenc::inspect::film::{
    Film, FilmKind, FilmTrack, FoundPssh, LeftOut, NeededKey, SampleEntry, SampleGroup,
    SampleProtection,
};
pub use crate::cenc::inspect::inspector::Inspector;
