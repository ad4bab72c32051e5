//! The records, and the key under which each is stored.
//!
//! | key | record |
//! |---|---|
//! | `header` | [`Header`](header::Header) |
//! | `kek/` generation | [`KekRecord`](kek::KekRecord) |
//! | `signer/` kid | [`SignerRecord`](signer::SignerRecord) |
//! | `naming-key` | [`NamingKeyRecord`](naming_key::NamingKeyRecord) |
//! | `period-seed` | [`PeriodSeedRecord`](period_seed::PeriodSeedRecord) |
//! | `packager/` name | [`PackagerRecord`](packager::PackagerRecord) |
//! | `title/` content ID, NUL | [`ContentRecord`](content::ContentRecord) |
//! | `title/` content ID, NUL, KID | [`KeyRecord`](key::KeyRecord) |
//! | `kid/` KID | [`KidRecord`](key::KidRecord): the content that has the key |
//! | `number/` number | [`NumberRecord`](content::NumberRecord): the content that has the number |
//!
//! A content and its keys are beside each other, so one read returns all of them. Before it, another read may find the
//! content of a KID. A record is JSON of at most 8 KiB. A field that a later version adds is optional. A change that
//! an older version would misread raises [`FORMAT`](header::FORMAT), and older versions refuse the store.
//!
//! Each kind has a file. [`secret`] lists all kinds that hold a secret. [`stored`] reads and writes every kind, in its [`form`].
//! What grants leave behind is in [`fact`], and in a database of its own, which no rotation has to copy.

pub mod content;
pub mod fact;
pub mod form;
pub mod header;
pub mod kek;
pub mod key;
pub mod naming_key;
mod only_secret;
pub mod packager;
pub mod period_seed;
pub mod secret;
pub mod secret_record;
pub mod signer;
pub mod stored;
mod text;
pub mod title;
