//! The page of `reelkey demo --serve`: files, a folder of media, what its buttons ask for, and the decisions as they are made.
//!
//! It is for one user of this machine alone. Requests must name a loopback host, and what changes something must come from the
//! page itself, so that no other page in the same browser can use it (DNS rebinding, cross-site requests). What the page asks for
//! and the media need the secret in the page's address, so that no other user of the machine can.
//!
//! Deliberately absent: what a button does. The demo hands that in.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{self, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;
use tower_http::services::ServeFile;

use crate::crypto::digest;

/// How long a question for decisions waits for the next one.
const WAIT: Duration = Duration::from_secs(20);

/// What streams are made of. Nothing else of a stream's folder is served, because keys may lie there too.
const MEDIA: [&str; 13] =
    ["mpd", "m3u8", "mp4", "m4s", "m4a", "m4v", "cmfa", "cmfv", "cmft", "ts", "aac", "webm", "vtt"];

/// Other pages cannot embed what is served (Fetch standard, section 3.7).
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// How many decisions are kept.
const DECISIONS_MAX: usize = 500;

/// What a button's request comes to: a document, or what went wrong.
pub type Acted = Pin<Box<dyn Future<Output = Result<Value, String>> + Send>>;

/// Does what a button asks for: the name of the action and its parameters.
pub type Act = dyn Fn(String, BTreeMap<String, String>) -> Acted + Send + Sync;

/// A file of the page: its type and its bytes.
pub type PageFile = (&'static str, Cow<'static, [u8]>);

/// Everything that the page is made of.
#[derive(Clone)]
pub struct DemoPage {
    /// The files, by path.
    pub files: Arc<BTreeMap<String, PageFile>>,
    /// What the buttons do.
    pub act: Arc<Act>,
    /// The decisions of the service.
    pub decisions: Arc<Decisions>,
    /// The folder whose media is served below `/stream/SECRET/`. Its path has no links.
    pub stream: Option<PathBuf>,
    /// The SHA-256 of what the page's address has behind `#`, and nobody else knows.
    pub secret: [u8; 32],
    /// The origin of the service, where the page may connect to besides its own.
    pub service: String,
}

impl DemoPage {
    fn is_secret(&self, shown: &[u8]) -> bool {
        digest::is_same(&digest::sha256(shown), &self.secret)
    }
}

impl fmt::Debug for DemoPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DemoPage(..)")
    }
}

/// The decisions so far. Whoever has seen some waits for the next.
#[derive(Debug, Default)]
pub struct Decisions {
    /// How many are forgotten, and those after them.
    made: Mutex<(usize, VecDeque<Value>)>,
    news: Notify,
}

impl Decisions {
    /// Adds one.
    pub fn add(&self, decision: Value) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.1.len() == DECISIONS_MAX {
            made.1.pop_front();
            made.0 += 1;
        }
        made.1.push_back(decision);
        drop(made);
        self.news.notify_waiters();
    }

    fn after(&self, seen: usize) -> Vec<Value> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.1.iter().skip(seen.saturating_sub(made.0)).cloned().collect()
    }

    async fn wait(&self, seen: usize) -> Vec<Value> {
        let news = self.news.notified();
        let there = self.after(seen);
        if !there.is_empty() || timeout(WAIT, news).await.is_err() {
            return there;
        }
        self.after(seen)
    }
}

/// The routes of the page.
pub fn demo_router(page: DemoPage) -> Router {
    Router::new()
        .route("/api/{action}", post(act_post))
        .route("/api/decisions", get(decisions_get))
        .layer(middleware::from_fn_with_state(page.clone(), knows_secret))
        .route("/stream/{secret}/{*path}", get(media_get))
        .fallback(get(file_get))
        .layer(middleware::from_fn_with_state(page.clone(), guard))
        .with_state(page)
}

/// The header that has the secret.
const SECRET: HeaderName = HeaderName::from_static("x-demo-secret");

async fn knows_secret(State(page): State<DemoPage>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(SECRET).map(HeaderValue::as_bytes).unwrap_or_default();
    match page.is_secret(shown) {
        true => next.run(request).await,
        false => StatusCode::FORBIDDEN.into_response(),
    }
}

/// A file of the stream's folder. Links that lead out of it are not followed.
async fn media_get(
    State(page): State<DemoPage>,
    extract::Path((secret, path)): extract::Path<(String, String)>,
    request: Request,
) -> Response {
    let found = match page.is_secret(secret.as_bytes()) {
        true => page.stream.as_deref().and_then(|folder| media(folder, Path::new(&path))),
        false => None,
    };
    let Some(file) = found else { return StatusCode::NOT_FOUND.into_response() };
    match ServeFile::new(file).try_call(request).await {
        Ok(response) => response.into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

fn media(folder: &Path, path: &Path) -> Option<PathBuf> {
    let file = folder.join(path).canonicalize().ok()?;
    let is_media = file.extension()?.to_str().is_some_and(|name| MEDIA.contains(&name));
    (is_media && file.starts_with(folder) && file.is_file()).then_some(file)
}

/// Whether a request is of this machine's browser and, where it changes something, of the page itself.
fn is_own(request: &Request) -> bool {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(HOST).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_here = ["127.0.0.1", "localhost", "[::1]"].contains(&name);
    is_here
        && match header(ORIGIN) {
            Some(origin) => origin == format!("http://{host}"),
            None => request.method().is_safe(),
        }
}

async fn guard(State(page): State<DemoPage>, request: Request, next: Next) -> Response {
    if !is_own(&request) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; \
         connect-src 'self' data: {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        page.service
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    response
}

async fn file_get(State(page): State<DemoPage>, request: Request) -> Response {
    match page.files.get(request.uri().path()) {
        Some((kind, bytes)) => ([(CONTENT_TYPE, *kind)], Body::from(bytes.clone())).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn decisions_get(
    State(page): State<DemoPage>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Json<Value> {
    let seen = query.get("after").and_then(|seen| seen.parse().ok()).unwrap_or(0);
    Json(Value::Array(page.decisions.wait(seen).await))
}

async fn act_post(
    State(page): State<DemoPage>,
    extract::Path(action): extract::Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    match (page.act)(action, query).await {
        Ok(document) => Json(document).into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, Json(json!({ "error": why }))).into_response(),
    }
}
