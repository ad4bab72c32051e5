//! The body of a request, within its limit.

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;

use crate::domain::refusal::Refusal;
use crate::http::frame::admission::Admission;
use crate::http::frame::problem::Problem;

/// Reads the body. The size is the cheapest check, so it comes first: what says that it is longer than `most` bytes is
/// not read.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    admission: &Admission,
    most: usize,
) -> Result<Vec<u8>, Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    if length > most {
        return Err(Refusal::TooLarge.into());
    }
    match admission.arrival(to_bytes(body, most)).await? {
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
