//! Refusals: problem documents (RFC 9457 section 3).
//!
//! The server writes [`Problem`] as a literal, so it is not `#[non_exhaustive]`: the compiler then
//! reports every place that does not fill a new member.
//!
//! Deliberately absent: the list of reasons, which `docs/API.md` of the server has. A player shows
//! `detail` for a reason that it does not know.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::strict::json;

/// The only problem type after which a player fetches a new authorization token (DASH-IF "Content
/// Protection and Security", license request model).
pub const INSUFFICIENT_PROOF: &str =
    "https://dashif.org/drm-problems/insufficient-proof-of-authorization";

/// The problem type of a refusal that does not reveal whether the title or the key exists.
pub const NOT_AUTHORIZED: &str = "https://dashif.org/drm-problems/not-authorized";

/// A problem document: the body of every answer that is not a `200`.
///
/// ```
/// use reelkey_client::exchange::Problem;
///
/// let body = br#"{"type":"https://dashif.org/drm-problems/insufficient-proof-of-authorization",
///     "title":"Insufficient proof of authorization","status":403,
///     "detail":"The authorization token has expired.",
///     "instance":"urn:uuid:0190b5a0-7c1e-7000-8000-000000000001",
///     "reason":"token-expired","server_time":1700000000}"#;
/// let problem = Problem::parse(body)?;
/// if problem.wants_new_token() {
///     // Fetch a new authorization token and ask once more.
/// }
/// # assert!(problem.wants_new_token());
/// # Ok::<(), reelkey_client::strict::json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The problem type, a URI reference (RFC 9457 section 3.1.1).
    #[serde(rename = "type")]
    pub kind: String,
    /// A short title, the same for every problem of this type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// An explanation for the viewer.
    pub detail: String,
    /// The request ID, `urn:uuid:…`, which the service also logs.
    pub instance: String,
    /// The reason of the refusal for programs, such as `token-expired`.
    pub reason: String,
    /// The service's time, in seconds since 1970. Use it for the `iat` of the next request and for
    /// nothing else: nobody signed it.
    pub server_time: u64,
    /// With the reason `concurrency-limit`: the sessions that play now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

/// A session that stands in the way of another one of the same account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Its code, which a new request may send as `end_session` to end it.
    pub session: String,
    /// The device that plays.
    pub device: ConflictingDevice,
    /// The content ID of what it plays.
    pub content_id: String,
    /// When the session began, in seconds since 1970.
    pub since: u64,
}

/// A device of the account, as it once described itself: for people to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictingDevice {
    /// Its name, such as "Living room".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model of the hardware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Problem {
    /// Reads a problem document.
    ///
    /// # Errors
    /// [`json::Error`] if the bytes are not a problem document.
    pub fn parse(bytes: &[u8]) -> Result<Self, json::Error> {
        json::read(bytes)
    }

    /// Whether the service decided against the request. If not, it could not answer (500, 503) or not in
    /// time (408, 429), and the same request may be granted later: to a player that renews, that is no
    /// answer.
    ///
    /// Where [`wants_new_token`](Self::wants_new_token) is true too, a player asks with a new token before
    /// it takes this for a refusal.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        (400..500).contains(&self.status) && self.status != 408 && self.status != 429
    }

    /// Whether a new authorization token may help; if not, the same token fails again.
    #[must_use]
    pub fn wants_new_token(&self) -> bool {
        self.kind == INSUFFICIENT_PROOF
    }
}
