//! `POST /v1/clearkey` for the ClearKey system of browsers, and `GET /v1/hls/{content}/{kid}.key` for HLS with AES-128,
//! also for keys that an origin wrote.
//!
//! No Content-Type is demanded, because most players send none, and the answers are exactly what players take: status
//! 200, a JWK Set or 16 bytes.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use reelkey_client::key::KeyId;
use zeroize::Zeroizing;

use crate::authority::issuing::clear_keys::BYTES_MAX;
use crate::authority::issuing::decided::Answer;
use crate::authority::key_directory::{KeyDirectory, KeyFileName};
use crate::authority::vault::fault::Fault;
use crate::domain::refusal::Refusal;
use crate::http::app::App;
use crate::http::frame::address::Client;
use crate::http::frame::admission::Admission;
use crate::http::frame::bearer::Presented;
use crate::http::frame::body;
use crate::http::frame::exchange::Exchange;
use crate::http::frame::problem::Problem;

pub(crate) async fn clearkey_post(
    State(app): State<App>,
    Extension(exchange): Extension<Exchange>,
    Extension(admission): Extension<Arc<Admission>>,
    Extension(client): Extension<Client>,
    presented: Presented,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::read(&headers, body, &admission, BYTES_MAX).await?;
    let _slot = admission.slot()?;
    let token = presented.token()?;
    let age = || exchange.age();
    let circumstances = exchange.circumstances(client, &age);
    let answer = app.authority.clear_key_set(&token, &body, circumstances).await;
    respond(answer, &exchange, "application/json")
}

pub(crate) async fn hls_key_get(
    State(app): State<App>,
    Extension(exchange): Extension<Exchange>,
    Extension(admission): Extension<Arc<Admission>>,
    Extension(client): Extension<Client>,
    presented: Presented,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    let _slot = admission.slot()?;
    let key = key_of(&app, &path).ok_or(Refusal::NotFound)?;
    let token = presented.token()?;
    let age = || exchange.age();
    let circumstances = exchange.circumstances(client, &age);
    let answer = match key {
        HlsKey::Own(content_id, kid) => {
            app.authority.hls_key(&token, content_id, kid, circumstances).await
        }
        HlsKey::OfOrigin(directory, file) => {
            app.authority.origin_key(&token, directory, file, circumstances).await
        }
    };
    respond(answer, &exchange, "application/octet-stream")
}

/// A HEAD would be decided and logged as a grant of a key that does not leave.
pub(crate) async fn hls_key_head() -> Problem {
    Refusal::MethodNotAllowed.into()
}

/// The key that a playlist names.
enum HlsKey<'a> {
    /// One of the service's: its content ID and KID.
    Own(&'a str, KeyId),
    /// One that an origin wrote.
    OfOrigin(KeyDirectory, KeyFileName),
}

/// A key of a folder that the operator named has any name; another one has a KID.
fn key_of<'a>(app: &App, path: &'a str) -> Option<HlsKey<'a>> {
    let own = split(path).map(|(content_id, kid)| HlsKey::Own(content_id, kid));
    own.or_else(|| {
        let in_force = app.authority.in_force();
        let mut directories = in_force.key_directories.iter();
        directories
            .find_map(|directory| Some(HlsKey::OfOrigin(directory.clone(), directory.file(path)?)))
    })
}

/// `<content_id>/<kid>.key`. The content ID may have slashes.
fn split(path: &str) -> Option<(&str, KeyId)> {
    let (content_id, file) = path.rsplit_once('/')?;
    let kid = file.strip_suffix(".key")?.parse().ok()?;
    Some((content_id, kid))
}

fn respond(
    answer: Result<Answer<Zeroizing<Vec<u8>>>, Fault>,
    exchange: &Exchange,
    content_type: &'static str,
) -> Result<Response, Problem> {
    match answer.map_err(|fault| Problem::fault(exchange, &fault))? {
        Answer::Granted(keys) => Ok((
            [
                (CONTENT_TYPE, HeaderValue::from_static(content_type)),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
            keys.to_vec(),
        )
            .into_response()),
        Answer::Refused(refused) => Err(refused.into()),
    }
}
