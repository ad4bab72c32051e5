//! `POST /v1/keys/playready`.
//!
//! A refusal is a SOAP Fault. SOAP 1.1 gives faults the status 500 (section 6.2); 401 is answered to who shows no secret,
//! because some send the password of their URL only then.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::authority::packaging::ask::{Order, Refused, Wanted};
use crate::authority::stop::Stop;
use crate::domain::refusal::Refusal;
use crate::http::frame::exchange::Exchange;
use crate::http::frame::problem::Problem;
use crate::http::keys::asker::Unauthenticated;
use crate::http::keys::call::Call;
use crate::http::keys::playready::soap::{self, BYTES_MAX, Fault};
use crate::http::keys::refusal::in_own_form;

/// The name of this protocol in the log.
const PROTOCOL: &str = "playready";

pub(crate) async fn playready_post(call: Call, body: Body) -> Result<Response, Refuse> {
    let body = call.body(body, BYTES_MAX).await?;
    let _slot = call.slot()?;
    let packager = call.asker.packager()?;
    let content = soap::asked(&body)?;
    let wanted = vec![Wanted { track: None, period: None, kid: None }];
    let order = Order { content, wanted, crypto_period_seconds: None };
    let keys = call.issue(PROTOCOL, &packager, &order).await;
    let keys = keys.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    let answer = keys.first().and_then(|key| soap::granted(key.kid, &key.key));
    let mut answer = answer.ok_or(Refusal::Internal)?;
    Ok(xml(std::mem::take(&mut *answer)).into_response())
}

/// A refusal as a SOAP Fault.
pub(crate) struct Refuse {
    status: StatusCode,
    fault: Fault,
    problem: Problem,
}

impl Refuse {
    /// What the use case says. It has logged a refusal already; a fault is logged here.
    fn of(stop: Stop<Refused>, exchange: &Exchange) -> Self {
        let fault = match stop {
            Stop::Refused(Refused::NotAllowed) => Fault::NotAllowed,
            Stop::Refused(Refused::NoContent(_)) => Fault::NoContent,
            Stop::Refused(_) => Fault::Unavailable,
            Stop::Failed(fault) => {
                let problem = Problem::fault(exchange, &fault);
                return Self { problem, ..Fault::Unavailable.into() };
            }
        };
        let refuse = Self::from(fault);
        Self { problem: refuse.problem.logged(), ..refuse }
    }
}

impl From<Fault> for Refuse {
    fn from(fault: Fault) -> Self {
        let refusal = match fault {
            Fault::Malformed | Fault::OtherSystem => Refusal::BadRequest,
            Fault::Unauthenticated | Fault::NotAllowed => Refusal::NotAuthorized,
            Fault::NoContent => Refusal::NotFound,
            Fault::Unavailable => Refusal::Unavailable,
        };
        let status = match fault {
            Fault::Unauthenticated => StatusCode::UNAUTHORIZED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, fault, problem: refusal.into() }
    }
}

impl From<Unauthenticated> for Refuse {
    fn from(_: Unauthenticated) -> Self {
        Fault::Unauthenticated.into()
    }
}

impl From<Problem> for Refuse {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        let is_theirs = status.is_client_error();
        let fault = if is_theirs { Fault::Malformed } else { Fault::Unavailable };
        Self { status, fault, problem }
    }
}

impl From<Refusal> for Refuse {
    fn from(refusal: Refusal) -> Self {
        Problem::from(refusal).into()
    }
}

impl IntoResponse for Refuse {
    fn into_response(self) -> Response {
        in_own_form((self.status, xml(soap::refused(self.fault))), self.problem)
    }
}

fn xml(text: String) -> impl IntoResponse {
    (
        [
            (CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        text,
    )
}
