//! Which pages of other origins may ask (Fetch standard, section 3.2).
//!
//! The layer lies around everything, so refusals and errors carry the headers too: without them a page cannot read why
//! it was refused. An origin is echoed, never `*`, because a browser takes no credentials with that.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::authority::service::Authority;
use crate::domain::origin::Origin;

/// How long a browser may remember the answer to a preflight; none remembers longer.
const MAX_AGE: Duration = Duration::from_secs(7200);

/// How many refused origins are remembered as told.
const TOLD_MAX: usize = 256;

/// The layer for the origins that are in force.
pub(crate) fn layer(authority: Arc<Authority>) -> CorsLayer {
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
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([HeaderName::from_static("x-request-id"), RETRY_AFTER])
        .max_age(MAX_AGE)
}

/// The likeliest mistake of a first day, so the log says how to mend it; once for each origin.
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
        tracing::warn!(?origin, remedy, "a page of this origin asked and was not allowed to");
    }
}
