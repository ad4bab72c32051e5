//! A viewer's own pages: `GET /v1/licenses/{id}`, `GET` and `POST /v1/devices`, `DELETE /v1/devices/{jkt}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use reelkey_client::exchange::registration::BYTES_MAX;
use serde_json::{Value, json};

use crate::authority::issuing::decided::Answer;
use crate::authority::self_service::Status;
use crate::authority::vault::fault::Fault;
use crate::domain::past::{Device, Event, License};
use crate::http::app::App;
use crate::http::frame::address::Client;
use crate::http::frame::admission::Admission;
use crate::http::frame::bearer::Presented;
use crate::http::frame::body;
use crate::http::frame::exchange::Exchange;
use crate::http::frame::problem::Problem;

/// `GET /v1/devices`.
pub(crate) async fn devices_get(
    State(app): State<App>,
    Extension(exchange): Extension<Exchange>,
    Extension(admission): Extension<Arc<Admission>>,
    Extension(client): Extension<Client>,
    presented: Presented,
) -> Result<Response, Problem> {
    let _slot = admission.slot()?;
    let token = presented.token()?;
    let age = || exchange.age();
    let circumstances = exchange.circumstances(client, &age);
    let answer = app.authority.devices(&token, circumstances).await;
    respond(
        &exchange,
        answer,
        |devices| json!({ "devices": devices.iter().map(device).collect::<Vec<_>>() }),
    )
}

/// `POST /v1/devices`.
pub(crate) async fn devices_post(
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
    let answer = app.authority.add_device(&token, &body, circumstances).await;
    respond(&exchange, answer, device)
}

/// `DELETE /v1/devices/{jkt}`.
pub(crate) async fn device_delete(
    State(app): State<App>,
    Extension(exchange): Extension<Exchange>,
    Extension(admission): Extension<Arc<Admission>>,
    Extension(client): Extension<Client>,
    presented: Presented,
    Path(jkt): Path<String>,
) -> Result<Response, Problem> {
    let _slot = admission.slot()?;
    let token = presented.token()?;
    let age = || exchange.age();
    let circumstances = exchange.circumstances(client, &age);
    let answer = app.authority.remove_device(&token, &jkt, circumstances).await;
    respond(&exchange, answer, device)
}

/// `GET /v1/licenses/{id}`.
pub(crate) async fn license_get(
    State(app): State<App>,
    Extension(exchange): Extension<Exchange>,
    Extension(admission): Extension<Arc<Admission>>,
    Extension(client): Extension<Client>,
    presented: Presented,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let _slot = admission.slot()?;
    let token = presented.token()?;
    let age = || exchange.age();
    let circumstances = exchange.circumstances(client, &age);
    let answer = app.authority.license_status(&token, &id, circumstances).await;
    respond(&exchange, answer, |status| license(status, &exchange))
}

fn respond<T>(
    exchange: &Exchange,
    answer: Result<Answer<T>, Fault>,
    document: impl FnOnce(&T) -> Value,
) -> Result<Response, Problem> {
    match answer.map_err(|fault| Problem::fault(exchange, &fault))? {
        Answer::Granted(answer) => {
            let headers = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
            Ok((headers, Json(document(&answer))).into_response())
        }
        Answer::Refused(refused) => Err(refused.into()),
    }
}

fn device(device: &Device) -> Value {
    json!({
        "jkt": device.jkt.to_string(),
        "name": device.name,
        "model": device.model,
        "registered_at": device.registered_at.as_secs(),
        "last_seen_at": device.last_seen_at.as_secs(),
        "status": device.status.as_str(),
    })
}

fn license(status: &Status, exchange: &Exchange) -> Value {
    let License { id, content, policy_id, events, .. } = &status.license;
    let event = |event: &Event| json!({ "type": event.kind.as_str(), "at": event.at.as_secs() });
    json!({
        "id": id.to_string(),
        "status": status.license.status(exchange.now),
        "content_id": content.to_string(),
        "session_type": status.license.session_name(),
        "policy_id": policy_id,
        "issued_at": status.license.issued_at.as_secs(),
        "updated_at": status.license.updated_at.as_secs(),
        "expires_at": status.license.expires_at.as_secs(),
        "counter": status.license.counter,
        "device": {
            "jkt": status.license.device.to_string(),
            "name": status.device.as_ref().and_then(|device| device.name.clone()),
        },
        "events": events.iter().map(event).collect::<Vec<_>>(),
    })
}
