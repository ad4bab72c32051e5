//! `pssh` boxes (ISO/IEC 23001-7:2023, 8.1): what a film says to each DRM system.
//!
//! [`Pssh`] is a box that was read; [`Contents`] its data, where that is Widevine's or PlayReady's. [`boxed`], [`common`],
//! [`clear_key`] and [`fairplay`] write boxes, [`widevine::Header`] and [`playready::Header`] their data.
//!
//! ```
//! use reelkey_client::pssh::{Contents, Pssh};
//!
//! let body = [
//!     &[0, 0, 0, 0][..], // version 0
//!     &[0xed, 0xef, 0x8b, 0xa9, 0x79, 0xd6, 0x4a, 0xce, 0xa3, 0xc8, 0x27, 0xdc, 0xd5, 0x1d, 0x21, 0xed],
//!     &[0, 0, 0, 18, 0x12, 16], // data: one key ID
//!     b"sixteen byte kid",
//! ]
//! .concat();
//! let pssh = Pssh::parse_body(&body).unwrap();
//! assert_eq!(pssh.system_id.name(), Some("Widevine"));
//! let Some(Contents::Widevine(header)) = pssh.contents() else { panic!() };
//! assert_eq!(header.key_ids[0].as_bytes(), b"sixteen byte kid");
//! ```
//!
//! Deliberately absent: the data of other systems than Widevine and PlayReady.
//!
//! [`boxed`]: boxed::boxed
//! [`common`]: boxed::common
//! [`clear_key`]: boxed::clear_key
//! [`fairplay`]: boxed::fairplay

pub mod boxed;
pub mod decoded;
pub(crate) mod layout;
pub mod playready;
pub mod scheme;
pub mod system;
pub mod widevine;

pub use crate::pssh::boxed::{boxed, clear_key, common, common_fields, fairplay};
pub use crate::pssh::decoded::{Contents, Pssh};
pub use crate::pssh::playready::{HeaderKey, PlayReady};
pub use crate::pssh::scheme::ProtectionScheme;
pub use crate::pssh::system::SystemId;
pub use crate::pssh::widevine::Widevine;
