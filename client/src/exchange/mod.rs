//! The license exchange: a signed request out, a signed license with sealed keys back.
//!
//! The device's side, in order:
//!
//! 1. an [`Ask`] says what is wanted; [`Ask::draft`] turns it into the text to sign;
//! 2. the device key signs it: a [`DeviceKey`] here, or a key that the platform holds;
//! 3. the player POSTs the body to `/v1/license` with `Authorization: Bearer <token>`;
//! 4. [`Pending::open`] verifies the answer against the service's [`Jwks`], checks that it answers
//!    this request, and only then opens the keys into a [`License`]. If the service refuses, the
//!    answer is a [`Problem`].
//!
//! Then, as [`License::schedule`] says, a [`Renew`] asks for new times, and a [`Release`] gives the license
//! back. Both are drafted, signed and opened as an `Ask` is; a release is answered with a [`receipt`]. Where
//! an account's devices are listed, a device may [`Register`] before it asks.
//!
//! A device that plays without a connection keeps its persistent license as a [`KeptLicense`], which
//! obeys the license's times and the playback period by the wall clock. [`Pending::resume`] restores a
//! single request and its key after a restart.
//!
//! The types that a player needs are re-exported here. [`request`], [`license`] and [`problem`]
//! define what travels; the server reads and writes the same types. Only standards are used (JWS,
//! JWE, JWK, RFC 7515 to 7518; `cnf`, RFC 7800), so a player in another language needs a JOSE library
//! and nothing of this crate.
//!
//! Deliberately absent: HTTP, clocks, and the decision whether to grant a license.

pub mod ask;
mod certified;
pub mod device;
pub mod draft;
mod held;
pub mod jwe;
pub mod jwks;
pub mod kept;
mod kept_json;
pub mod license;
pub mod pending;
pub mod problem;
pub mod pssh;
pub mod receipt;
pub mod register;
pub mod registration;
pub mod release;
pub mod renew;
pub mod request;
pub mod schedule;
pub mod signature;
pub mod signed;
pub mod stored;
pub mod verified;
pub mod wall_clock;

pub use self::ask::Ask;
pub use self::device::{DeviceKey, TryCryptoRng, TryRng};
pub use self::draft::Draft;
pub use self::jwks::Jwks;
pub use self::kept::KeptLicense;
pub use self::license::License;
pub use self::pending::Pending;
pub use self::problem::Problem;
pub use self::register::Register;
pub use self::release::{PendingRelease, Release};
pub use self::renew::Renew;
pub use self::request::{DeviceDescription, SessionType};
pub use self::schedule::Schedule;
pub use self::signature::Signature;
pub use self::stored::StoredRequest;
