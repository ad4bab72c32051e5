//! How a packager is refused over HTTP, where its protocol has no form of its own: a status and one sentence.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::authority::packaging::ask::Refused;
use crate::authority::stop::Stop;
use crate::domain::refusal::Refusal;
use crate::http::frame::exchange::{Exchange, OwnForm};
use crate::http::frame::problem::Problem;
use crate::http::keys::asker::Unauthenticated;

/// A refusal: a status and a sentence. It has nothing of the request but what the packager named itself.
#[derive(Debug)]
pub(crate) struct Refuse {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// For the counters, and for the log if it has no line yet.
    pub(crate) problem: Problem,
}

impl Refuse {
    /// The request is malformed, in this way.
    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            text: text.into(),
            problem: Refusal::BadRequest.into(),
        }
    }

    /// What the use case says. It has logged a refusal already; a fault is logged here.
    pub(crate) fn of(stop: Stop<Refused>, exchange: &Exchange) -> Self {
        let refused = match stop {
            Stop::Refused(refused) => refused,
            Stop::Failed(fault) => {
                let problem = Problem::fault(exchange, &fault);
                let text = "the service failed; its log says why".to_owned();
                return Self { status: StatusCode::INTERNAL_SERVER_ERROR, text, problem };
            }
        };
        let (status, refusal) = match refused {
            Refused::NotAllowed => (StatusCode::FORBIDDEN, Refusal::NotAuthorized),
            Refused::NoContent(_) => (StatusCode::NOT_FOUND, Refusal::NotFound),
            Refused::Retired(_) => (StatusCode::GONE, Refusal::KeyNotFound),
            Refused::OtherContent(_) | Refused::OtherUse(_) => {
                (StatusCode::CONFLICT, Refusal::BadRequest)
            }
            Refused::TooMany => (StatusCode::PAYLOAD_TOO_LARGE, Refusal::TooLarge),
            Refused::Provision(_) => (StatusCode::CONFLICT, Refusal::BadRequest),
            Refused::Busy => (StatusCode::SERVICE_UNAVAILABLE, Refusal::Unavailable),
        };
        Self { status, text: refused.to_string(), problem: Problem::from(refusal).logged() }
    }
}

impl From<Unauthenticated> for Refuse {
    fn from(unauthenticated: Unauthenticated) -> Self {
        let text = match unauthenticated {
            Unauthenticated::Nothing => {
                "say which packager you are: `reelkey packager add` makes a name and a secret"
            }
            Unauthenticated::Wrong => "no packager has this name and secret",
        };
        Self {
            status: StatusCode::UNAUTHORIZED,
            text: text.into(),
            problem: Refusal::NotAuthorized.into(),
        }
    }
}

impl From<Problem> for Refuse {
    fn from(problem: Problem) -> Self {
        Self { status: problem.status(), text: problem.sentence().to_owned(), problem }
    }
}

impl From<Refusal> for Refuse {
    fn from(refusal: Refusal) -> Self {
        Problem::from(refusal).into()
    }
}

impl IntoResponse for Refuse {
    fn into_response(self) -> Response {
        let Self { status, text, problem } = self;
        let body = format!("{text}\n");
        in_own_form((status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], body), problem)
    }
}

/// The query's `base`, without a slash at its end: the address of this service as players know it.
pub(crate) fn base_url(base: &str) -> Result<&str, Refuse> {
    let is_url = base.starts_with("https://") || base.starts_with("http://");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]@".contains(&byte);
    match is_url && base.bytes().all(allowed) {
        true => Ok(base.trim_end_matches('/')),
        false => Err(Refuse::malformed("base is the URL of this service, as players know it")),
    }
}

/// A refusal in the form of its protocol, which the frame leaves as it is.
pub(crate) fn in_own_form(response: impl IntoResponse, problem: Problem) -> Response {
    let mut response = response.into_response();
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        // Some tools send what their URL has only after this challenge.
        let challenge = HeaderValue::from_static("Basic realm=\"reelkey\", charset=\"UTF-8\"");
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response.extensions_mut().insert(OwnForm);
    response.extensions_mut().insert(problem);
    response
}
