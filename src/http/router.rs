//! Which route leads where, and what every handler may use.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use reelkey_client::time::UnixTime;

use crate::authority::Authority;
use crate::http::{exchange, health, license, pages};

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    /// The use cases.
    pub authority: Arc<Authority>,
    /// Tells the time, once per request.
    pub clock: Arc<dyn Fn() -> UnixTime + Send + Sync>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App(..)")
    }
}

/// The routes that players use.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/v1/license", post(license::license_post))
        .route("/.well-known/jwks.json", get(health::jwks_get))
        .route("/healthz", get(health::healthz_get))
        .route("/readyz", get(health::readyz_get))
        .route("/problems/{reason}", get(pages::problem_get))
        .layer(middleware::from_fn_with_state(app.clone(), exchange::frame))
        .with_state(app)
}
