//! The records, and where each is kept.
//!
//! | key | record |
//! |---|---|
//! | `header` | [`Header`](header::Header) |
//! | `kek/` generation | [`KekRecord`](kek::KekRecord) |
//! | `signer/` kid | [`SignerRecord`](signer::SignerRecord) |
//! | `naming-key` | [`NamingKeyRecord`](naming_key::NamingKeyRecord) |
//! | `title/` content ID, NUL | [`ContentRecord`](content::ContentRecord) |
//! | `title/` content ID, NUL, KID | [`KeyRecord`](key::KeyRecord) |
//! | `kid/` KID | [`KidRecord`](key::KidRecord): the content that has the key |
//!
//! A content and its keys lie side by side, so one read brings all of a title; another one before it finds the content
//! of a KID. A record is JSON below 8 KiB. What a later version adds is optional; what would mislead an older
//! one raises [`FORMAT`](header::FORMAT), which an older version refuses.
//!
//! A kind has one file. [`secret`] is the one list of those that hold a secret; [`stored`] reads and writes them all.
//! Devices, sessions and licenses will be kinds of a database of their own, which no rotation has to copy.

pub mod content;
pub mod header;
pub mod kek;
pub mod key;
pub mod naming_key;
pub mod secret;
pub mod secret_record;
pub mod signer;
pub mod stored;
mod text;
pub mod title;
