//! The routes for monitors, and the JWK Set: whether the process is alive, whether the service is ready, and which
//! keys verify licenses.

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use crate::domain::refusal::Refusal;
use crate::http::app::App;
use crate::http::frame::exchange::Exchange;
use crate::http::frame::problem::Problem;

/// `GET /healthz`: the process is alive.
pub(crate) async fn healthz_get() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: licenses can be granted. The document says so too if the log cannot be written or lines were lost, which
/// stops no license.
pub(crate) async fn readyz_get(State(app): State<App>) -> Result<Response, Problem> {
    if app.authority.is_ready() {
        let log = app.log.report();
        let document = match log.is_whole() {
            true => json!({ "status": "ready" }),
            false => json!({ "status": "ready", "log": log }),
        };
        Ok(Json(document).into_response())
    } else {
        Err(Refusal::Unavailable.into())
    }
}

/// `GET /.well-known/jwks.json`: the keys that verify licenses (RFC 7517 section 5).
pub(crate) async fn jwks_get(
    State(app): State<App>,
    Extension(exchange): Extension<Exchange>,
) -> Response {
    let headers = [(CACHE_CONTROL, "public, max-age=300")];
    (headers, Json(app.authority.jwks(exchange.now))).into_response()
}
