//! Which pages of other origins may ask (Fetch standard, section 3.2).
//!
//! The layer lies around everything, so refusals and errors carry the headers too: without them a page cannot read why
//! it was refused. An origin is echoed, never `*`, because a browser takes no credentials with that.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember the answer to a preflight; none remembers longer.
const MAX_AGE: Duration = Duration::from_secs(7200);

/// How many refused origins are remembered as told.
const TOLD_MAX: usize = 256;

/// An origin whose pages may ask: `https://player.example`, with a port if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedOrigin(HeaderValue);

/// Not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is https://HOST or https://HOST:PORT, in small letters, without a path; * is none"
)]
pub struct InvalidOrigin;

impl FromStr for AllowedOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host =
            host.filter(|host| !host.is_empty() && host.len() <= 255).ok_or(InvalidOrigin)?;
        let is_written_so = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte)
        };
        let usual = if text.starts_with("https:") { ":443" } else { ":80" };
        if !host.bytes().all(is_written_so) || host.ends_with(usual) {
            return Err(InvalidOrigin);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| InvalidOrigin)
    }
}

/// The layer for these origins.
pub(crate) fn layer(allowed: Vec<AllowedOrigin>) -> CorsLayer {
    let told = Mutex::new(BTreeSet::new());
    let judge = move |origin: &HeaderValue, _: &_| {
        let is_allowed = allowed.iter().any(|AllowedOrigin(allowed)| allowed == origin);
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
        let remedy = match AllowedOrigin::from_str(origin) {
            Ok(_) => format!("in reelkey.toml: [cors] allowed_origins = [\"{origin}\"]"),
            Err(_) => {
                "serve the page over HTTP; this one has no origin that could be allowed".into()
            }
        };
        tracing::warn!(?origin, remedy, "a page of this origin asked and was not allowed to");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_an_unusual_port() {
        for good in ["https://player.example", "http://localhost:8000", "http://[::1]:8000"] {
            good.parse::<AllowedOrigin>().unwrap();
        }
        for wrong in [
            "*",
            "null",
            "",
            "player.example",
            "https://",
            "https://a/",
            "https://A.example",
            "https://a.example:443",
            "http://a.example:80",
            "ftp://a",
            "https://a b",
        ] {
            assert_eq!(wrong.parse::<AllowedOrigin>(), Err(InvalidOrigin), "{wrong}");
        }
    }
}
