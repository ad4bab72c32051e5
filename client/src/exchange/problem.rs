//! Refusals as they travel: problem details (RFC 9457 section 3).

use alloc::string::String;
use serde::{Deserialize, Serialize};

use crate::strict::json;

/// The type on which a player fetches a new authorization token, and on nothing else (DASH-IF
/// "Content Protection and Security", license request model).
pub const INSUFFICIENT_PROOF: &str =
    "https://dashif.org/drm-problems/insufficient-proof-of-authorization";

/// The type of a refusal that says nothing about what exists.
pub const NOT_AUTHORIZED: &str = "https://dashif.org/drm-problems/not-authorized";

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind, a URI reference.
    #[serde(rename = "type")]
    pub kind: String,
    /// Fixed per kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// For the viewer.
    pub detail: String,
    /// The request id, `urn:uuid:…`.
    pub instance: String,
    /// A slug for programs.
    pub reason: String,
    /// The service's time, seconds since 1970. It may date the next request's `iat`, nothing else.
    pub server_time: u64,
}

impl Problem {
    /// Reads a problem document.
    ///
    /// # Errors
    /// [`json::Error`] when the bytes are something else.
    pub fn parse(bytes: &[u8]) -> Result<Self, json::Error> {
        json::read(bytes)
    }

    /// Whether a new authorization token may help.
    #[must_use]
    pub fn wants_new_token(&self) -> bool {
        self.kind == INSUFFICIENT_PROOF
    }
}
