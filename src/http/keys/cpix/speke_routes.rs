//! `POST /v1/keys/speke/..`: SPEKE version 1 and 2, which the header `X-Speke-Version` tells apart. `GET ../heartbeat` says that
//! the service is there.
//!
//! What the path has behind `speke` is free. Every answer, a refusal too, has the headers of its version; a refusal is a
//! sentence.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::domain::refusal::Refusal;
use crate::http::keys::call::Call;
use crate::http::keys::cpix::document_routes::{Document, answer};
use crate::http::keys::cpix::request::Dialect;
use crate::http::keys::refusal::Refuse;
use crate::http::keys::xml::reader::BYTES_MAX;

/// The header with the version, in requests and answers.
const VERSION: &str = "x-speke-version";

/// What the service calls itself.
const AGENT: &str = concat!("reelkey/", env!("CARGO_PKG_VERSION"));

/// `POST`: the keys that a document asks for.
pub(crate) async fn post(call: Call, body: Body) -> Response {
    let version = call.headers.get(VERSION).map(|value| value.to_str().unwrap_or_default().trim());
    let dialect = match version {
        Some("2.0") => Some(Dialect::Speke2),
        None | Some("" | "1.0") => Some(Dialect::Speke1),
        Some(_) => None,
    };
    let answered = match dialect {
        Some(dialect) => answered(&call, body, dialect).await,
        None => Err(Refuse::malformed("X-Speke-Version is 2.0, or 1.0, or not there")),
    };
    let mut response = answered.into_response();
    let headers = response.headers_mut();
    if dialect == Some(Dialect::Speke1) {
        headers.insert("speke-user-agent", HeaderValue::from_static(AGENT));
    } else {
        headers.insert(VERSION, HeaderValue::from_static("2.0"));
        headers.insert("x-speke-user-agent", HeaderValue::from_static(AGENT));
    }
    response
}

async fn answered(call: &Call, body: Body, dialect: Dialect) -> Result<Response, Refuse> {
    let packager = call.asker.packager()?;
    let body = call.body(body, BYTES_MAX).await?;
    let _slot = call.slot()?;
    let protocol = if dialect == Dialect::Speke1 { "speke1" } else { "speke2" };
    answer(call, &packager, Document { body: &body, dialect, protocol, content: None }).await
}

/// `GET ../heartbeat`, of SPEKE version 1.
pub(crate) async fn get(uri: Uri) -> Result<Response, Refuse> {
    if !uri.path().ends_with("/heartbeat") {
        return Err(Refuse {
            status: StatusCode::NOT_FOUND,
            text: "send the document by POST; GET is for the path with /heartbeat at its end"
                .into(),
            problem: Refusal::NotFound.into(),
        });
    }
    let headers = [
        (CONTENT_TYPE.as_str(), "text/plain; charset=utf-8"),
        (CACHE_CONTROL.as_str(), "no-store"),
        ("speke-user-agent", AGENT),
    ];
    Ok((headers, "ok\n").into_response())
}
