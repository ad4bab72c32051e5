//! PlayReady: the object in the data of a `pssh` box, whose first record is a rights management header (WRMHEADER) in UTF-16
//! (PlayReady Header Specification, versions 4.0 to 4.3).
//!
//! [`header`] reads headers and [`written`] writes them; [`checksum`] has the two calculations with content keys.
//! Deliberately absent: licenses.
//!
//! ```
//! use reelkey_client::key::ContentKey;
//! use reelkey_client::pssh::playready::{Checksum, Header, PlayReady};
//!
//! let kid = "8ba94ade-6eb9-449d-b44f-a5beefaf43b0".parse()?;
//! let key = ContentKey::parse_hex("dbfd6922c321c4bb486f4a1c44097ed6")?;
//! let object = Header {
//!     keys: &[(kid, Some(Checksum::of(kid, &key)))],
//!     la_url: Some("https://drm.example/playready"),
//!     ..Header::default()
//! }
//! .object()?;
//! let read = PlayReady::parse(&object).unwrap();
//! assert_eq!(read.version.as_deref(), Some("4.0.0.0"));
//! assert_eq!(read.keys[0].checksum.unwrap().to_string(), "Me48z71nuqY=");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod checksum;
pub mod header;
mod object;
pub mod written;
mod xml;

pub use crate::pssh::playready::checksum::{Checksum, KeySeed};
pub use crate::pssh::playready::header::{HeaderKey, PlayReady};
pub use crate::pssh::playready::written::{Header, Unwritable, Version};
