//! `GET /reelkey.js`: the browser module, so that a page needs no build step. It is the file of the npm package.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;

/// The module, as it is in the repository.
const MODULE: &str = include_str!("../../../web/reelkey.js");

/// Pages of other origins get it as they get licenses: where the configuration allows them.
pub(crate) async fn module_get() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=300"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, MODULE)
}
