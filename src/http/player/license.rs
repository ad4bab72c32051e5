//! `POST /v1/license`: a signed request in, a signed license or a problem document out.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use reelkey_client::exchange::request;

use crate::authority::issuing::decided::Answer;
use crate::domain::refusal::Refusal;
use crate::http::app::App;
use crate::http::frame::address::Client;
use crate::http::frame::admission::Admission;
use crate::http::frame::bearer::Presented;
use crate::http::frame::body;
use crate::http::frame::exchange::Exchange;
use crate::http::frame::problem::Problem;

pub(crate) async fn license_post(
    State(app): State<App>,
    Extension(exchange): Extension<Exchange>,
    Extension(admission): Extension<Arc<Admission>>,
    Extension(client): Extension<Client>,
    presented: Presented,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::read(&headers, body, &admission, request::BYTES_MAX).await?;
    let _slot = admission.slot()?;
    let age = || exchange.age();
    let circumstances = exchange.circumstances(client, &age);
    // Only a release may come without a token: a page sends it while it closes. Anybody may send one, so the frame logs what is
    // refused, as it logs other requests that anybody may send.
    let (answer, is_logged) = match presented.token() {
        Ok(token) => (app.authority.issue(&token, &body, circumstances).await, true),
        Err(missing) if missing.refusal() == Refusal::TokenMissing => {
            match app.authority.release_without_token(&body, circumstances).await.transpose() {
                Some(answer) => (answer, false),
                None => return Err(missing),
            }
        }
        Err(problem) => return Err(problem),
    };
    match answer.map_err(|fault| Problem::fault(&exchange, &fault))? {
        Answer::Granted(license) => Ok((
            [
                (CONTENT_TYPE, HeaderValue::from_static("application/jwt")),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
            license,
        )
            .into_response()),
        Answer::Refused(refused) if is_logged => Err(refused.into()),
        Answer::Refused(refused) => Err(Problem::from(refused).not_logged()),
    }
}
