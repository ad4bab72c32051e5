//! The receipt of a release: a compact JWS by the service, `typ` `license-release+jwt`.
//!
//! It proves that the service took the license back, so that the device may drop the keys for good.
//! [`Claims`] is what travels. The server writes it as a literal, so it is not `#[non_exhaustive]`.
//!
//! Deliberately absent: verification.

use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::exchange::license::Confirmation;
use crate::strict::json;

/// The `typ` of a receipt (RFC 8725 section 3.11).
pub const TYP: &str = "license-release+jwt";

/// The longest receipt, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;

/// The claims as they travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The service's ID.
    pub iss: String,
    /// The account that the license was issued to.
    pub sub: String,
    /// The ID of the released license.
    pub jti: String,
    /// When the receipt was written, in seconds since 1970.
    pub iat: u64,
    /// The `jti` of the request that the receipt answers.
    pub nonce: String,
    /// The device that released the license.
    #[serde(deserialize_with = "json::object")]
    pub cnf: Confirmation,
    /// The counter of the last license that was issued under this ID.
    pub counter: u64,
}
