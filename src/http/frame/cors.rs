//! Which pages of other origins may send requests (Fetch standard, section 3.2).
//!
//! This layer surrounds all routes, so refusals and errors have its headers too. Without them a page cannot read why
//! it was refused. The layer sends the origin itself, never `*`, because browsers accept no credentials with `*`.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::authority::service::Authority;
use crate::domain::origin::Origin;

/// How long a browser may cache the answer to a preflight request. Chromium caches it no longer than this.
const MAX_AGE: Duration = Duration::from_secs(7200);

/// How many refused origins are kept, so that each is logged only once.
const TOLD_MAX: usize = 256;

/// The CORS layer for the allowed origins. Pages may send the token in `token_header`, too.
pub(crate) fn layer(authority: Arc<Authority>, token_header: Option<HeaderName>) -> CorsLayer {
    let told = Mutex::new(BTreeSet::new());
    let judge = move |origin: &HeaderValue, _: &_| {
        let allowed = &authority.in_force().origins;
        let is_allowed = allowed.iter().any(|allowed| allowed.as_str() == origin);
        if !is_allowed {
            tell_once(&told, origin);
        }
        is_allowed
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(judge))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(
            [AUTHORIZATION, CONTENT_TYPE].into_iter().chain(token_header).collect::<Vec<_>>(),
        )
        .expose_headers([HeaderName::from_static("x-request-id"), RETRY_AFTER])
        .max_age(MAX_AGE)
}

/// Logs an origin that was refused, once, with the line that allows it. A missing origin is the most likely mistake of
/// a new installation.
fn tell_once(told: &Mutex<BTreeSet<String>>, origin: &HeaderValue) {
    let origin = origin.to_str().unwrap_or("(not text)");
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    if told.len() < TOLD_MAX && told.insert(origin.to_owned()) {
        let remedy = match Origin::from_str(origin) {
            Ok(_) => format!("in reelkey.toml: [cors] allowed_origins = [\"{origin}\"]"),
            Err(_) => {
                "serve the page over HTTP; this one has no origin that could be allowed".into()
            }
        };
        tracing::warn!(origin, remedy, "a request from a page of this origin was refused");
    }
}
