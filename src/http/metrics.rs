//! `GET /metrics`: what the service counts, for Prometheus. On a listener of its own.
//!
//! The counters are written as OpenMetrics 1.0. A client that does not ask for that gets the older text format of
//! Prometheus, in which a counter's own name ends in `_total`.
//!
//! Deliberately absent: counting, and everything that a player may ask.

use std::fmt::{self, Write};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::app::App;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How many lines of the log were lost.
pub type LinesLost = dyn Fn() -> u64 + Send + Sync;

/// What the route tells of.
#[derive(Clone)]
pub struct MetricsApp {
    /// The service.
    pub app: App,
    /// Where somebody counts the lost lines of the log.
    pub log_lines_lost: Option<Arc<LinesLost>>,
}

impl fmt::Debug for MetricsApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsApp(..)")
    }
}

/// The one route of the metrics' listener.
pub fn metrics_router(app: MetricsApp) -> Router {
    Router::new().route("/metrics", get(metrics_get)).with_state(app)
}

async fn metrics_get(State(metrics): State<MetricsApp>, headers: HeaderMap) -> Response {
    let lost = metrics.log_lines_lost.as_ref().map(|lost| lost());
    let Ok(text) = metrics.app.authority.metrics((metrics.app.clock)(), lost) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let accepted = headers.get_all(ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    let is_open = accepted.any(|value| value.contains("application/openmetrics-text"));
    let (kind, text) = if is_open { (OPEN_METRICS, text) } else { (PROMETHEUS, older(&text)) };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (VARY, HeaderValue::from_static("Accept")),
    ];
    (headers, text).into_response()
}

/// The same in the text format 0.0.4: without units and end, and with the whole names of counters in their comments.
fn older(text: &str) -> String {
    let mut older = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("UNIT" | "EOF"), ..) => {}
            (Some("#"), Some("HELP"), Some(_), Some(words)) => help = Some(words),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                if let Some(help) = help.take() {
                    writeln!(older, "# HELP {name}{suffix} {help}").ok();
                }
                writeln!(older, "# TYPE {name}{suffix} {kind}").ok();
            }
            _ => writeln!(older, "{line}").unwrap_or_default(),
        }
    }
    older
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_has_a_counters_whole_name() {
        let open = "# HELP a_b Words of it.\n# TYPE a_b counter\na_b_total{c=\"# d\"} 1\n\
                    # HELP t_seconds How long.\n# TYPE t_seconds gauge\n# UNIT t_seconds seconds\n\
                    t_seconds 2\n# EOF\n";
        let expected = "# HELP a_b_total Words of it.\n# TYPE a_b_total counter\n\
                        a_b_total{c=\"# d\"} 1\n# HELP t_seconds How long.\n\
                        # TYPE t_seconds gauge\nt_seconds 2\n";
        assert_eq!(older(open), expected);
    }
}
