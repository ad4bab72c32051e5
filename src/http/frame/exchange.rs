//! One request and its answer: an id, a time, a log line, and one form for everything that is not a
//! success.
//!
//! A handler that refuses leaves a [`Problem`] in its response's extensions. Here, where the request's
//! id and time are known, it becomes a document, and so does whatever the framework refused by itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reelkey_client::time::UnixTime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::authority::issuing::circumstances::Circumstances;
use crate::crypto::random;
use crate::domain::refusal::Refusal;
use crate::http::app::App;
use crate::http::frame::address::{Client, Peer, Proxies};
use crate::http::frame::admission::Door;
use crate::http::frame::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX, Limits};
use crate::http::frame::problem::Problem;
use crate::http::frame::throttle::Throttle;

/// Names the request in logs and answers, so that a viewer's screenshot leads to a log line.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of one request and the one time by which all of it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    id: Uuid,
    /// When the request came.
    pub(crate) now: UnixTime,
    begun: Instant,
}

impl Exchange {
    /// An exchange that has no name: the frame is not around it.
    pub(crate) fn unnamed(now: UnixTime) -> Self {
        Self { id: Uuid::nil(), now, begun: Instant::now() }
    }

    /// How long ago the request came.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What surrounds the request. `age` is [`Self::age`].
    pub(crate) fn circumstances<'a>(
        &'a self,
        client: Client,
        age: &'a (dyn Fn() -> Duration + Sync),
    ) -> Circumstances<'a> {
        Circumstances { now: self.now, request_id: self, client: client.address(), age }
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// In the extensions of a refusal that is in the form of its protocol: it stays as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnForm;

/// How long any answer may take once the body may no longer arrive.
const WORK_SECS_MAX: Duration = Duration::from_secs(20);

/// The route of a request whose path is none of ours.
const UNMATCHED: &str = "unmatched";

/// What is answered at once and without a body, and has to be answered however much else is asked.
const ALWAYS_ANSWERED: [&str; 3] = ["/healthz", "/readyz", "/.well-known/jwks.json"];

/// What the frame around every route needs.
#[derive(Clone)]
pub(crate) struct Frame {
    app: App,
    door: Door,
    proxies: Arc<Proxies>,
    /// How long any answer may take, the arrival of the body included.
    patience: Duration,
    /// Of the log's lines about requests that were refused without a decision.
    refusals: Arc<Throttle>,
}

impl Frame {
    pub(crate) fn new(app: App, limits: Limits, proxies: Proxies) -> Self {
        let door = Door::new(limits, app.authority.counters().requests());
        let (patience, refusals) = (limits.body + WORK_SECS_MAX, Arc::default());
        Self { app, door, proxies: Arc::new(proxies), patience, refusals }
    }

    /// The answer of the route, in time and if there are not too many.
    async fn answer(&self, client: Client, mut request: Request, next: Next) -> Response {
        if is_head_too_large(&request) {
            return Problem::head_too_large().into_response();
        }
        if !ALWAYS_ANSWERED.contains(&request.uri().path()) {
            match self.door.admit(client) {
                Ok(admission) => request.extensions_mut().insert(Arc::new(admission)),
                Err(refusal) => return Problem::from(refusal).into_response(),
            };
        }
        let answer = tokio::time::timeout(self.patience, next.run(request)).await;
        answer.unwrap_or_else(|_| Problem::from(Refusal::Timeout).into_response())
    }

    /// Who sent the request; unknown where it came over no connection.
    fn client(&self, request: &Request) -> Client {
        let peer = request.extensions().get::<Peer>();
        peer.map_or(Client::Unknown, |peer| self.proxies.client(peer.0.ip(), request.headers()))
    }
}

/// Whether the head is longer than it may be, counted as HTTP/1.1 writes it: a line of method, target and version, and
/// a line for every field.
fn is_head_too_large(request: &Request) -> bool {
    const LINE: usize = "  HTTP/1.1\r\n\r\n".len();
    const FIELD: usize = ": \r\n".len();
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD);
    let bytes = request.method().as_str().len() + target + authority + LINE + fields.sum::<usize>();
    bytes > HEAD_BYTES_MAX || request.headers().len() > HEAD_FIELDS_MAX
}

/// Wraps every route.
pub(crate) async fn frame(
    State(frame): State<Frame>,
    mut request: Request,
    next: Next,
) -> Response {
    let Ok(id) = random::bytes() else {
        tracing::error!("the operating system gives no randomness");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let id = uuid::Builder::from_random_bytes(id).into_uuid();
    let exchange = Exchange { id, now: (frame.app.clock)(), begun: Instant::now() };
    request.extensions_mut().insert(exchange);
    let client = frame.client(&request);
    request.extensions_mut().insert(client);
    let method = request.method().clone();
    // The path is the client's text, the query may hold a token: the log has the route.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let authority = Arc::clone(&frame.app.authority);

    let mut response = frame.answer(client, request, next).await;
    let status = response.status();
    // Some protocols refuse with the status of a success.
    let has_own_form = response.extensions().get::<OwnForm>().is_some();
    if !status.is_success() || has_own_form {
        let problem: Option<Problem> = response.extensions_mut().remove();
        let problem = problem.unwrap_or_else(|| framework_problem(status));
        let status = if has_own_form { status } else { problem.status() };
        authority.counters().request_refused(problem.refusal());
        if !problem.is_logged() {
            log_refused(&frame.refusals, exchange, &method, route, status, &problem);
        }
        if !has_own_form {
            response = render(exchange, &problem, response);
        }
    } else {
        let route = route.unwrap_or(UNMATCHED);
        tracing::debug!(request.id = %exchange, %method, route, status = status.as_u16(), "answered");
    }
    if let Ok(id) = HeaderValue::from_str(&exchange.to_string()) {
        response.headers_mut().insert(REQUEST_ID.clone(), id);
    }
    response
}

/// Logs a request that was refused without a decision. Anybody may send such requests, so their lines are few.
fn log_refused(
    throttle: &Throttle,
    exchange: Exchange,
    method: &Method,
    route: Option<&str>,
    status: StatusCode,
    problem: &Problem,
) {
    let (status, reason) = (status.as_u16(), problem.reason());
    let turn = route.and_then(|_| throttle.turn(Instant::now()));
    let route = route.unwrap_or(UNMATCHED);
    match turn {
        Some(others) => {
            tracing::info!(request.id = %exchange, %method, route, status, reason, others, "refused");
        }
        None => tracing::debug!(request.id = %exchange, %method, route, status, reason, "refused"),
    }
}

/// What axum and hyper refuse without asking a handler.
fn framework_problem(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::from(Refusal::NotFound),
        StatusCode::METHOD_NOT_ALLOWED => Problem::from(Refusal::MethodNotAllowed),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::from(Refusal::TooLarge),
        StatusCode::REQUEST_TIMEOUT => Problem::from(Refusal::Timeout),
        status if status.is_client_error() => Problem::from(Refusal::BadRequest),
        _ => Problem::from(Refusal::Internal),
    }
}

fn render(exchange: Exchange, problem: &Problem, refused: Response) -> Response {
    let document = problem.document(&format!("urn:uuid:{exchange}"), exchange.now);
    let mut response = (problem.status(), Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let retry_after = match problem.status() {
        StatusCode::SERVICE_UNAVAILABLE => Some("5"),
        StatusCode::TOO_MANY_REQUESTS => Some("1"),
        _ => None,
    };
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    // RFC 9110 section 15.5.6: a 405 says what is allowed.
    if let Some(allow) = refused.headers().get(ALLOW) {
        headers.insert(ALLOW, allow.clone());
    }
    response
}
