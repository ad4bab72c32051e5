//! Writes answers: JSON in base64 in JSON, with content keys in the clear.
//!
//! Clients demand exactly one `pssh` of each track, with the payload of Widevine in `data`. Deliberately absent: a signature of
//! the answer, which no client verifies, and `iv`: packagers make their own.

use base64ct::{Base64, Encoding};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::pssh::SystemId;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::plain_key;
use crate::http::keys::widevine::status::Status;

/// A key of an answer.
#[derive(Debug)]
pub struct TrackKey<'a> {
    /// The name of the track.
    pub label: &'a str,
    /// The KID.
    pub kid: KeyId,
    /// The key.
    pub key: &'a ContentKey,
    /// The payload of Widevine's signalling, if it was asked for.
    pub pssh: Option<Vec<u8>>,
    /// The period.
    pub period: Option<u32>,
}

#[derive(Serialize)]
struct Inner<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drm: Vec<System>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tracks: Vec<Track<'a>>,
}

#[derive(Serialize)]
struct System {
    r#type: &'static str,
    system_id: String,
}

#[derive(Serialize)]
struct Track<'a> {
    r#type: &'a str,
    key_id: String,
    key: Zeroizing<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pssh: Vec<Pssh>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crypto_period_index: Option<u32>,
}

#[derive(Serialize)]
struct Pssh {
    drm_type: &'static str,
    data: String,
}

/// The bytes that a track has at most in the inner message.
const TRACK_BYTES: usize = 512;

/// The answer with these keys, in their order.
#[must_use]
pub fn granted(tracks: Vec<TrackKey<'_>>) -> Zeroizing<Vec<u8>> {
    on_clean_stack(|| {
        let is_signalled = tracks.iter().any(|track| track.pssh.is_some());
        let drm = is_signalled.then(|| System { r#type: WIDEVINE, system_id: system_id() });
        let tracks = tracks.into_iter().map(track).collect();
        let inner = Inner { status: Status::Ok.as_str(), drm: drm.into_iter().collect(), tracks };
        outer(&inner)
    })
}

/// The answer that has no keys.
#[must_use]
pub fn refused(status: Status) -> Zeroizing<Vec<u8>> {
    outer(&Inner { status: status.as_str(), drm: Vec::new(), tracks: Vec::new() })
}

const WIDEVINE: &str = "WIDEVINE";

fn system_id() -> String {
    SystemId::WIDEVINE.to_string().replace('-', "")
}

fn track(track: TrackKey<'_>) -> Track<'_> {
    let TrackKey { label, kid, key, pssh, period } = track;
    let pssh = pssh.map(|data| Pssh { drm_type: WIDEVINE, data: Base64::encode_string(&data) });
    Track {
        r#type: label,
        key_id: Base64::encode_string(kid.as_bytes()),
        key: plain_key::base64(key),
        pssh: pssh.into_iter().collect(),
        crypto_period_index: period,
    }
}

fn outer(inner: &Inner<'_>) -> Zeroizing<Vec<u8>> {
    let mut json = Zeroizing::new(Vec::with_capacity((inner.tracks.len() + 1) * TRACK_BYTES));
    // Texts and numbers can always be written.
    serde_json::to_writer(&mut *json, inner).ok();
    let mut outer = Zeroizing::new(Vec::with_capacity(json.len() * 4 / 3 + 32));
    outer.extend_from_slice(b"{\"response\":\"");
    outer.extend_from_slice(Zeroizing::new(Base64::encode_string(&json)).as_bytes());
    outer.extend_from_slice(b"\"}");
    outer
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn inner(answer: &[u8]) -> Value {
        let outer: Value = serde_json::from_slice(answer).unwrap();
        let inner = Base64::decode_vec(outer["response"].as_str().unwrap()).unwrap();
        serde_json::from_slice(&inner).unwrap()
    }

    #[test]
    fn keys_are_written_as_clients_read_them() {
        let key = ContentKey::parse_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        let track = |label, pssh: Option<&[u8]>, period| TrackKey {
            label,
            kid: KeyId::from_bytes([0xff; 16]),
            key: &key,
            pssh: pssh.map(Into::into),
            period,
        };
        let plain = json!({
            "type": "SD", "key_id": "/////////////////////w==", "key": "AAECAwQFBgcICQoLDA0ODw==",
            "pssh": [{ "drm_type": "WIDEVINE", "data": "eA==" }],
        });
        let mut other = plain.clone();
        other["type"] = "AUDIO".into();
        other["crypto_period_index"] = 7.into();
        let drm = json!([{ "type": "WIDEVINE", "system_id": "edef8ba979d64acea3c827dcd51d21ed" }]);
        let answer =
            granted(vec![track("SD", Some(b"x"), None), track("AUDIO", Some(b"x"), Some(7))]);
        assert_eq!(inner(&answer), json!({ "status": "OK", "drm": drm, "tracks": [plain, other] }));

        let mut bare = plain;
        bare.as_object_mut().unwrap().remove("pssh");
        let answer = granted(vec![track("SD", None, None)]);
        assert_eq!(inner(&answer), json!({ "status": "OK", "tracks": [bare] }));
    }

    #[test]
    fn a_refusal_has_its_status_alone() {
        let answer = refused(Status::SignatureFailed);
        assert_eq!(inner(&answer), json!({ "status": "SIGNATURE_FAILED" }));
    }

    #[test]
    fn a_buffer_of_keys_never_grows() {
        let key = ContentKey::parse_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        let longest = TrackKey {
            label: "MULTICHANNEL_AUDIO_3_6",
            kid: KeyId::from_bytes([0xff; 16]),
            key: &key,
            pssh: Some(vec![0; 176]),
            period: Some(u32::MAX),
        };
        assert!(serde_json::to_vec(&track(longest)).unwrap().len() < TRACK_BYTES);
    }
}
