//! Problem documents (RFC 9457): the one place where a refusal gets its status, type and words.
//!
//! `detail` is written here for the viewer. What went wrong inside stays inside: a fault is logged
//! with its cause and answered with nothing but the request's id.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reelkey_client::exchange::problem::{self as wire, INSUFFICIENT_PROOF, NOT_AUTHORIZED};
use reelkey_client::time::UnixTime;

use crate::authority::issue::Refused;
use crate::domain::refusal::Refusal;

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    refusal: Refusal,
    detail: Cow<'static, str>,
}

impl Problem {
    /// A refusal with a text that says more than the usual one. **Nothing from the request may stand
    /// in it.**
    pub(crate) fn new(refusal: Refusal, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal, detail: detail.into() }
    }

    /// Logs `fault` with its causes and answers that it is ours.
    pub(crate) fn fault(request_id: &impl fmt::Display, fault: &dyn Error) -> Self {
        let mut causes = fault.to_string();
        let mut source = fault.source();
        while let Some(cause) = source {
            causes.push_str(": ");
            causes.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(request.id = %request_id, causes, "fault");
        Refusal::Internal.into()
    }

    /// The slug.
    pub(crate) fn reason(&self) -> &'static str {
        self.refusal.reason()
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self.refusal {
            Refusal::BadRequest | Refusal::ProofInvalid | Refusal::RequestStale => {
                StatusCode::BAD_REQUEST
            }
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Timeout => StatusCode::REQUEST_TIMEOUT,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        }
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
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, detail: detail(refusal).into() }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused.rule {
            None => refused.refusal.into(),
            Some(rule) => Self::new(refused.refusal, rule),
        }
    }
}

/// Leaves the problem for [`crate::http::exchange`], which knows the request's id and time.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
