//! The JSON that nginx-vod-module asks for (`vod_drm_upstream_location`): one key with the DRM systems of a manifest.
//!
//! The module puts the path of a file behind the location, with a slash too many, and escapes a question mark. So the
//! content and the track are in the path, repeated slashes count as one, and nothing of the query is needed. It writes boxes
//! itself: `data` is what they hold. For the common system it writes version 1 of the box and nothing in between, so `data` has the
//! KIDs too.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64ct::{Base64, Encoding};
use reelkey_client::key::KeyId;
use reelkey_client::pssh::playready::{self, Checksum};
use reelkey_client::pssh::{SystemId, common_fields, widevine};
use serde_json::json;

use crate::authority::packaging::ask::{Order, PackagedKey, Wanted};
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::plain_key;
use crate::domain::content::ContentId;
use crate::domain::refusal::Refusal;
use crate::domain::track::TrackType;
use crate::http::keys::call::Call;
use crate::http::keys::refusal::Refuse;

/// The name of the protocol in the log.
const PROTOCOL: &str = "nginx-vod";

/// `GET /v1/keys/nginx-vod/<content_id>[/<TRACK>]`. Without a track it is `SD`.
pub(crate) async fn get(call: Call, Path(path): Path<String>) -> Result<Response, Refuse> {
    let _slot = call.slot()?;
    let packager = call.asker.packager()?;
    let (content, track) = content_and_track(&path)?;
    let wanted = Wanted { track: Some(track), period: None, kid: None };
    let order = Order { content, wanted: vec![wanted], crypto_period_seconds: None };
    let keys = call.issue(PROTOCOL, &packager, &order).await;
    let keys = keys.map_err(|stop| Refuse::of(stop, &call.exchange))?;
    let key = keys.first().ok_or(Refusal::Internal)?;
    // The checksum of PlayReady is a cipher's work.
    let answer = on_clean_stack(|| {
        let answer = json!([{
            "key": plain_key::base64(&key.key).as_str(),
            "key_id": Base64::encode_string(key.kid.as_bytes()),
            "pssh": systems(key)?,
        }]);
        Ok::<_, Refuse>(answer.to_string())
    })?;
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    Ok((headers, answer).into_response())
}

/// The last segment is the track if it is a track type.
fn content_and_track(path: &str) -> Result<(ContentId, TrackType), Refuse> {
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let (track, segments) = match segments.split_last() {
        Some((last, before)) if !before.is_empty() => match last.parse() {
            Ok(track) => (track, before),
            Err(_) => (TrackType::Sd, &segments[..]),
        },
        _ => (TrackType::Sd, &segments[..]),
    };
    let content = segments.join("/").parse::<ContentId>();
    Ok((content.map_err(|why| Refuse::malformed(why.to_string()))?, track))
}

/// The systems of a manifest, each with what its box holds.
fn systems(key: &PackagedKey) -> Result<serde_json::Value, Refuse> {
    let kids = [key.kid];
    let content_id = Some(key.content.as_str().as_bytes());
    let widevine = widevine::Header { kids: &kids, content_id, ..Default::default() }.payload();
    let keys = [(key.kid, Some(Checksum::of(key.kid, &key.key)))];
    let playready = playready::Header { keys: &keys, ..Default::default() }.object();
    let failed = |_| Refuse::from(Refusal::Internal);
    let systems = [
        (SystemId::WIDEVINE, widevine),
        (SystemId::PLAYREADY, playready.map_err(failed)?),
        (SystemId::COMMON, common_fields(&kids).map_err(|_| Refuse::from(Refusal::Internal))?),
    ];
    Ok(systems
        .map(|(system, data)| {
            let uuid = KeyId::from_bytes(system.0).to_string();
            json!({ "uuid": uuid, "data": Base64::encode_string(&data) })
        })
        .into_iter()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_and_the_track_are_in_the_path() {
        let read = |path: &str| {
            let (content, track) = content_and_track(path).unwrap();
            format!("{content} {track}")
        };
        assert_eq!(read("/dash/sd.mp4"), "dash/sd.mp4 SD");
        assert_eq!(read("dash//hd.mp4/HD"), "dash/hd.mp4 HD");
        assert_eq!(read("movies/bunny/AUDIO"), "movies/bunny AUDIO");
        // A content may have the name of a track type.
        assert_eq!(read("HD"), "HD SD");
        for wrong in ["", "/", "a b", "a/../b"] {
            assert!(content_and_track(wrong).is_err(), "{wrong:?}");
        }
    }
}
