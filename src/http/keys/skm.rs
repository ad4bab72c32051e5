//! Bento4's SKM protocol (`mp4dash --encryption-key @skm:URL#contentId=ID`): a key as JSON.
//!
//! `POST` with a `contentId` gives the key of a content, with a `kid` the key that has this KID; `GET` of a KID too. Its client
//! can set no header, so the secret may be the query's `token`. The query's `track` is the track type; without it the key is
//! for all tracks, because the client encrypts all of them with it unless it is told otherwise.
//!
//! Deliberately absent: `ek`, a key that the client made and wrapped. The service could not give it to players.

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use reelkey_client::key::KeyId;
use reelkey_client::strict::json;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::authority::packager::Packager;
use crate::authority::packaging::ask::{Order, PackagedKey, Wanted};
use crate::crypto::clean_stack::on_clean_stack;
use crate::domain::content::ContentId;
use crate::domain::packager::track_type;
use crate::domain::refusal::Refusal;
use crate::http::keys::call::Call;
use crate::http::keys::refusal::Refuse;

/// The name of the protocol in the log.
const PROTOCOL: &str = "skm";

/// The longest body, in bytes.
const BYTES_MAX: usize = 4 * 1024;

/// What the client wishes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wish {
    content_id: Option<String>,
    kid: Option<String>,
    ek: Option<IgnoredAny>,
}

/// `POST /v1/keys/skm`.
pub(crate) async fn post(call: Call, body: Body) -> Result<Response, Refuse> {
    let body = call.body(body, BYTES_MAX).await?;
    let _slot = call.slot()?;
    let packager = call.asker.packager_by_query()?;
    let asked: Wish = json::read(&body)
        .map_err(|why| Refuse::malformed(format!("the body is no request: {why}")))?;
    if asked.ek.is_some() {
        return Err(Refuse::malformed(
            "ek is not supported: let the service make the key, with a contentId and without kek",
        ));
    }
    let kid = asked.kid.as_deref().map(parse_kid).transpose()?;
    let Some(content) = asked.content_id else {
        let kid = kid.ok_or_else(|| Refuse::malformed("name a contentId or a kid"))?;
        return read(&call, &packager, kid).await;
    };
    let content = content.parse::<ContentId>().map_err(|why| Refuse::malformed(why.to_string()))?;
    let track = call.parameter("track").map(|name| {
        let unknown = "track is one of AUDIO, SD, HD, UHD1, UHD2 and ALL";
        track_type(name).ok_or_else(|| Refuse::malformed(unknown))
    });
    let wanted = Wanted { track: track.transpose()?.flatten(), period: None, kid };
    let order = Order { content, wanted: vec![wanted], crypto_period_seconds: None };
    let keys = call.issue(PROTOCOL, &packager, &order).await;
    let keys = keys.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    Ok(answer(keys.first().ok_or(Refusal::Internal)?))
}

/// `GET /v1/keys/skm/<kid>`.
pub(crate) async fn get(call: Call, Path(kid): Path<String>) -> Result<Response, Refuse> {
    let _slot = call.slot()?;
    let packager = call.asker.packager_by_query()?;
    read(&call, &packager, parse_kid(&kid)?).await
}

async fn read(call: &Call, packager: &Packager, kid: KeyId) -> Result<Response, Refuse> {
    let keys = call.read(PROTOCOL, packager, &[kid]).await;
    let keys = keys.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    Ok(answer(keys.first().ok_or(Refusal::NotFound)?))
}

fn parse_kid(text: &str) -> Result<KeyId, Refuse> {
    text.parse().map_err(|_| Refuse::malformed("a kid is 32 hexadecimal digits"))
}

fn answer(key: &PackagedKey) -> Response {
    let kid = key.kid.to_string().replace('-', "");
    let answer =
        on_clean_stack(|| format!(r#"{{"kid":"{kid}","k":"{}"}}"#, key.key.to_hex().as_str()));
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (headers, answer).into_response()
}
