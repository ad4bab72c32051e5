//! Problem documents (RFC 9457): the only place that gives a refusal its status, type and text.
//!
//! `detail` is written for the viewer. Internal causes are never sent: a fault is logged with its causes, and the
//! answer has only the request ID.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reelkey_client::exchange::problem::{self as wire, INSUFFICIENT_PROOF, NOT_AUTHORIZED};
use reelkey_client::time::UnixTime;

use crate::authority::issuing::refused::{Conflict, Refused};
use crate::domain::refusal::Refusal;
use crate::http::frame::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};

/// A refusal, as the response to a request.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    refusal: Refusal,
    status: StatusCode,
    detail: Cow<'static, str>,
    /// Where too many play at once: the sessions that do.
    conflicts: Vec<wire::Conflict>,
    /// Whether the log already has a line about it.
    is_logged: bool,
}

impl Problem {
    /// A refusal with a more precise text than the usual one. **The text must not contain anything from the request.**
    pub(crate) fn new(refusal: Refusal, detail: impl Into<Cow<'static, str>>) -> Self {
        let (status, detail) = (status(refusal), detail.into());
        Self { refusal, status, detail, conflicts: Vec::new(), is_logged: false }
    }

    /// The head of the request is too long (RFC 6585 section 5).
    pub(crate) fn head_too_large() -> Self {
        let detail = format!(
            "The head of a request has at most {HEAD_BYTES_MAX} bytes and {HEAD_FIELDS_MAX} fields."
        );
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self { status, ..Self::new(Refusal::TooLarge, detail) }
    }

    /// Logs `fault` with its causes, and makes the answer for an internal error.
    pub(crate) fn fault(request_id: &impl fmt::Display, fault: &dyn Error) -> Self {
        let mut causes = fault.to_string();
        let mut source = fault.source();
        while let Some(cause) = source {
            causes.push_str(": ");
            causes.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(request.id = %request_id, causes, "fault");
        Self { is_logged: true, ..Refusal::Internal.into() }
    }

    /// The same, of which the log already has a line.
    pub(crate) fn logged(self) -> Self {
        Self { is_logged: true, ..self }
    }

    /// The sentence for the viewer.
    pub(crate) fn sentence(&self) -> &str {
        &self.detail
    }

    /// The same, of which the log has no line yet.
    pub(crate) fn not_logged(self) -> Self {
        Self { is_logged: false, ..self }
    }

    /// Whether the log already has a line about it.
    pub(crate) fn is_logged(&self) -> bool {
        self.is_logged
    }

    /// Why.
    pub(crate) fn refusal(&self) -> Refusal {
        self.refusal
    }

    /// The slug.
    pub(crate) fn reason(&self) -> &'static str {
        self.refusal.reason()
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The document of RFC 9457 section 3.
    pub(crate) fn document(&self, instance: &str, now: UnixTime) -> wire::Problem {
        let kind = match self.refusal {
            Refusal::TokenMissing
            | Refusal::TokenInvalid
            | Refusal::TokenExpired
            | Refusal::TokenNotBound => INSUFFICIENT_PROOF.into(),
            Refusal::NotAuthorized => NOT_AUTHORIZED.into(),
            refusal => format!("/problems/{}", refusal.reason()),
        };
        wire::Problem {
            kind,
            title: title(self.refusal).into(),
            status: self.status().as_u16(),
            detail: self.detail.clone().into(),
            instance: instance.into(),
            reason: self.reason().into(),
            server_time: now.as_secs(),
            conflicts: self.conflicts.clone(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal, detail(refusal))
    }
}

/// The use case has already logged why it refuses.
impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let problem = match refused.rule {
            None => refused.refusal.into(),
            Some(rule) => Self::new(refused.refusal, rule),
        };
        let conflicts = refused.conflicts.into_iter().map(conflict).collect();
        Self { is_logged: true, conflicts, ..problem }
    }
}

fn conflict(conflict: Conflict) -> wire::Conflict {
    wire::Conflict {
        session: conflict.session.to_string(),
        device: wire::ConflictingDevice { name: conflict.name, model: conflict.model },
        content_id: conflict.content.to_string(),
        since: conflict.since.as_secs(),
    }
}

/// Leaves the problem for [`crate::http::frame::exchange`], which has the request ID and the time.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

fn status(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::BadRequest | Refusal::ProofInvalid | Refusal::RequestStale => {
            StatusCode::BAD_REQUEST
        }
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Refusal::Timeout => StatusCode::REQUEST_TIMEOUT,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Refusal::ConcurrencyLimit => StatusCode::CONFLICT,
        Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::FORBIDDEN,
    }
}

/// RFC 9457 section 3.1.3: the same for every occurrence of a type.
pub(crate) fn title(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::TokenMissing
        | Refusal::TokenInvalid
        | Refusal::TokenExpired
        | Refusal::TokenNotBound => "Insufficient proof of authorization",
        Refusal::NotAuthorized => "Not authorized",
        Refusal::TooLarge => "Request too large",
        Refusal::BadRequest => "Bad request",
        Refusal::ProofInvalid => "Proof of possession invalid",
        Refusal::RequestStale => "Request too old",
        Refusal::KeyNotFound => "No such key",
        Refusal::AmrRequired => "Stronger sign-in required",
        Refusal::PlaybackNotAllowed => "Playback not allowed",
        Refusal::PersistenceNotAllowed => "Offline playback not allowed",
        Refusal::ClearKeysNotAllowed => "Keys in the clear not allowed",
        Refusal::RenewalNotAllowed => "Renewal not allowed",
        Refusal::RegionDenied => "Not available in this region",
        Refusal::Blackout => "Blacked out in this region",
        Refusal::SecurityLevel => "Device not secure enough",
        Refusal::NotYetAvailable => "Not available yet",
        Refusal::NoLongerAvailable => "No longer available",
        Refusal::DeviceNotEnrolled => "Device not enrolled",
        Refusal::DeviceLimit => "Too many devices",
        Refusal::DeviceRevoked => "Device revoked",
        Refusal::RentalExpired => "Rental ended",
        Refusal::PlaybackExpired => "Viewing time over",
        Refusal::LicenseExpired => "License ended",
        Refusal::LicenseRevoked => "License revoked",
        Refusal::ConcurrencyLimit => "Too many streams",
        Refusal::NotFound => "Not found",
        Refusal::MethodNotAllowed => "Method not allowed",
        Refusal::Timeout => "Request timed out",
        Refusal::RateLimited => "Too many requests",
        Refusal::Internal => "Internal error",
        Refusal::Unavailable => "Temporarily unavailable",
    }
}

/// The text for the viewer, and for developers of players.
pub(crate) fn detail(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::TooLarge => "A license request has at most 16384 bytes.",
        Refusal::TokenMissing => "Send the authorization token as `Authorization: Bearer <token>`.",
        Refusal::TokenInvalid => "The authorization token is not valid here. Sign in again.",
        Refusal::TokenExpired => "The authorization token has expired. Sign in again.",
        Refusal::BadRequest => "The request is malformed.",
        Refusal::ProofInvalid => "The request is not signed by the key that it names.",
        Refusal::RequestStale => {
            "The request was not made within 120 seconds of now. Ask again, with `iat` from \
             `server_time` if this device has no clock."
        }
        Refusal::TokenNotBound => "The authorization token is not bound to this device.",
        Refusal::NotAuthorized => "This title is not available to this account.",
        Refusal::KeyNotFound => "This title has no such key any more.",
        Refusal::AmrRequired => "This title requires a stronger sign-in.",
        Refusal::PlaybackNotAllowed => "This cannot be played.",
        Refusal::PersistenceNotAllowed => "This cannot be stored for offline playback.",
        Refusal::ClearKeysNotAllowed => "This title cannot be played in this player.",
        Refusal::RenewalNotAllowed => "This license cannot be renewed. Ask for a new one.",
        Refusal::RegionDenied => "This title is not available where you are.",
        Refusal::Blackout => "This title is blacked out in your region for some time.",
        Refusal::SecurityLevel => "This device does not protect keys well enough for this title.",
        Refusal::NotYetAvailable => "This title is not available yet.",
        Refusal::NoLongerAvailable => "This title is no longer available.",
        Refusal::DeviceNotEnrolled => {
            "This device is not one of the account's. Add it in the account's settings first."
        }
        Refusal::DeviceLimit => {
            "The account has as many devices as it may have. Remove one of them first."
        }
        Refusal::DeviceRevoked => "This device may not play any more.",
        Refusal::RentalExpired => "The rental has ended. Rent the title again.",
        Refusal::PlaybackExpired => "The time to watch this title is over.",
        Refusal::LicenseExpired => "This license has ended. Ask for a new one.",
        Refusal::LicenseRevoked => "The right to play this title was withdrawn.",
        Refusal::ConcurrencyLimit => {
            "The account is playing on as many devices as it may. Stop one of them first."
        }
        Refusal::NotFound => "There is nothing at this address.",
        Refusal::MethodNotAllowed => "This address does not take this method; see `Allow`.",
        Refusal::Timeout => "The request did not arrive in time.",
        Refusal::RateLimited => {
            "There are too many requests from your address at once. Try again shortly."
        }
        Refusal::Internal => "The service failed. Tell its operator the request id in `instance`.",
        Refusal::Unavailable => "The service cannot answer now. Try again shortly.",
    }
}
