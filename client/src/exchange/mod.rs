//! The license exchange: a signed request out, a signed license with sealed keys back.
//!
//! The device's side, in order:
//!
//! 1. an [`ask::Ask`] says what is wanted; [`ask::Ask::draft`] turns it into the text to sign;
//! 2. the device key signs it: a [`device::DeviceKey`] here, or a key that the platform holds;
//! 3. the body is POSTed to `/v1/license` with `Authorization: Bearer <token>` by whatever HTTP the
//!    player has;
//! 4. [`pending::Pending::open`] verifies the answer against the service's [`jwks::Jwks`], holds it to
//!    the request, and only then opens the keys.
//!
//! A device that stores its license keeps the request and its key as well; [`kept`] takes them up again.
//!
//! [`request`], [`license`] and [`problem`] define what travels; the server reads and writes the same
//! types. Only standards are used (JWS, JWE, JWK, RFC 7515 to 7518; `cnf`, RFC 7800), so a player in
//! another language needs a JOSE library and nothing of this crate.
//!
//! Deliberately absent: HTTP, clocks, and the decision whether to grant.

pub mod ask;
pub mod device;
pub mod jwe;
pub mod jwks;
pub mod kept;
pub mod license;
pub mod pending;
pub mod problem;
pub mod pssh;
pub mod request;
