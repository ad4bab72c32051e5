//! `POST /v1/license`: a signed request in, a signed license or a problem document out.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use reelkey_client::exchange::request;

use crate::authority::issuing::circumstances::Circumstances;
use crate::authority::issuing::issue::Answer;
use crate::domain::refusal::Refusal;
use crate::http::app::App;
use crate::http::frame::address::Client;
use crate::http::frame::admission::Admission;
use crate::http::frame::bearer;
use crate::http::frame::exchange::Exchange;
use crate::http::frame::problem::Problem;

pub(crate) async fn license_post(
    State(app): State<App>,
    Extension(exchange): Extension<Exchange>,
    Extension(admission): Extension<Arc<Admission>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read_body(&headers, body, &admission).await?;
    let _slot = admission.slot()?;
    let token = bearer::token(&headers)?;
    let circumstances = Circumstances {
        now: exchange.now,
        request_id: &exchange,
        client: client.address(),
        age: &|| exchange.age(),
    };
    let answer = app.authority.issue(token, &body, circumstances).await;
    match answer.map_err(|fault| Problem::fault(&exchange, &fault))? {
        Answer::Granted(license) => Ok((
            [
                (CONTENT_TYPE, HeaderValue::from_static("application/jwt")),
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ],
            license,
        )
            .into_response()),
        Answer::Refused(refused) => Err(refused.into()),
    }
}

/// The size is the cheapest check, so it comes first: what says that it is too long is not read.
async fn read_body(
    headers: &HeaderMap,
    body: Body,
    admission: &Admission,
) -> Result<Vec<u8>, Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    if length > request::BYTES_MAX {
        return Err(Refusal::TooLarge.into());
    }
    match admission.arrival(to_bytes(body, request::BYTES_MAX)).await? {
        // A body that ends early is the client's fault, and so is one over the limit.
        Err(error) if is_too_long(&error) => Err(Refusal::TooLarge.into()),
        Err(_) => Err(Problem::new(Refusal::BadRequest, "the body ended early")),
        Ok(bytes) => Ok(bytes.into()),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
