//! Reads a request: JSON in base64 in JSON, with a signature over the inner one.
//!
//! What the recorded clients do is read: `protection_scheme` as a name, as the number of its four letters or not at all,
//! spaces and any order of members, members that are unknown here. Assumes that the body is within its limit.
//!
//! Deliberately absent: who may ask, and the store. `asset_id` of Widevine Classic is not read.

use reelkey_client::key::KeyId;
use reelkey_client::pssh::{ProtectionScheme, Widevine};

use crate::domain::content::ContentId;
use crate::domain::packager::track_type;
use crate::domain::track::TrackType;
use crate::http::keys::widevine::message::{Choice, Malformed, Message};
use crate::http::keys::widevine::status::Status;

/// The longest body, in bytes.
pub const BYTES_MAX: usize = 64 * 1024;

/// The most tracks that a request names.
const TRACKS_MAX: usize = 32;

/// The most periods that a request asks for. Shaka Packager asks for blocks of ten.
const PERIODS_MAX: u32 = 128;

/// The most KIDs that `pssh_data` names.
const KIDS_MAX: usize = 64;

/// The value of WIDEVINE in the enumeration of `drm_types`.
const WIDEVINE: u32 = 0;

/// A request, and who signed it. What is asked is not read before the signature is verified.
#[derive(Debug)]
pub struct Envelope {
    /// What is asked, as JSON: the bytes that are signed.
    pub request: Vec<u8>,
    /// The signature, if there is one.
    pub signature: Option<Signature>,
}

/// A signature.
#[derive(Debug)]
pub struct Signature {
    /// The name of the packager; empty if there is none.
    pub signer: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The keys.
    pub keys: Wanted,
    /// Whether the answer has Widevine's signalling. A request that names no system gets it.
    pub has_pssh: bool,
}

/// Which keys.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Keys of a content, to encrypt it.
    Issued(Issued),
    /// The keys of these KIDs, which a film names, to decrypt it.
    Read(Vec<KeyId>),
}

/// Keys of a content.
#[derive(Debug, PartialEq, Eq)]
pub struct Issued {
    /// The content.
    pub content: ContentId,
    /// The tracks, in their order.
    pub tracks: Vec<Track>,
    /// The periods, if keys rotate.
    pub periods: Option<Periods>,
    /// How the tracks will be encrypted.
    pub scheme: Scheme,
}

/// A track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Its name, as it is asked and answered.
    pub label: String,
    /// What the name stands for; `None` for all tracks.
    pub kind: Option<TrackType>,
}

/// Periods: `count` of them, from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// The index of the first one.
    pub first: u32,
    /// The index of the last one.
    pub last: u32,
    /// How long each is, in seconds, if the packager says it.
    pub seconds: Option<u32>,
}

/// How tracks are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Common Encryption, by a scheme if the packager names it. Each track has a key of its own.
    Common(Option<ProtectionScheme>),
    /// Whole segments, as HLS with AES-128. Shaka Packager calls it `UNSPECIFIED` and writes one key URI for all tracks, so
    /// they have one key.
    WholeSegments,
}

/// Reads the outer message.
///
/// # Errors
/// The status of the answer.
pub fn envelope(body: &[u8]) -> Result<Envelope, Status> {
    let message = Message::read(body)?;
    let request = message.bytes("request")?.ok_or(Status::MalformedRequest)?;
    let signer = message.text("signer")?.unwrap_or_default();
    let signature = message.bytes("signature")?;
    let signature = signature.map(|bytes| Signature { signer: signer.to_owned(), bytes });
    Ok(Envelope { request, signature })
}

/// Reads the inner message.
///
/// # Errors
/// The status of the answer.
pub fn asked(request: &[u8]) -> Result<Asked, Status> {
    let message = Message::read(request)?;
    let keys = match (message.bytes("content_id")?, message.bytes("pssh_data")?) {
        (Some(_), Some(_)) => return Err(Status::TooManyContentSpecifiers),
        (None, None) => return Err(Status::ContentIdMissing),
        (Some(content), None) => Wanted::Issued(issued(&message, content)?),
        (None, Some(pssh)) => Wanted::Read(kids(&pssh)?),
    };
    let systems = message.choices("drm_types")?;
    let is_widevine = |system: &Choice| match system {
        Choice::Named(name) => name == "WIDEVINE",
        Choice::Numbered(number) => *number == WIDEVINE,
    };
    let has_pssh = systems.is_empty() || systems.iter().any(is_widevine);
    Ok(Asked { keys, has_pssh })
}

fn issued(message: &Message, content: Vec<u8>) -> Result<Issued, Status> {
    let content = String::from_utf8(content).map_err(|_| Status::MalformedRequest)?;
    Ok(Issued {
        content: content.parse().map_err(|_| Status::MalformedRequest)?,
        tracks: tracks(message)?,
        periods: periods(message)?,
        scheme: scheme(message)?,
    })
}

fn tracks(message: &Message) -> Result<Vec<Track>, Status> {
    let tracks = message.messages("tracks")?;
    match tracks.len() {
        0 => return Err(Status::TrackTypeMissing),
        1..=TRACKS_MAX => {}
        _ => return Err(Status::MalformedRequest),
    }
    let track = |track: &Message| {
        let label = track.text("type")?.ok_or(Status::TrackTypeMissing)?;
        let kind = track_type(label).ok_or(Status::TrackTypeUnknown)?;
        Ok(Track { label: label.to_owned(), kind })
    };
    tracks.iter().map(track).collect()
}

fn periods(message: &Message) -> Result<Option<Periods>, Status> {
    let first = message.number("first_crypto_period_index")?;
    let count = message.number("crypto_period_count")?;
    let seconds = message.number("crypto_period_seconds")?.filter(|seconds| *seconds > 0);
    let (first, count) = match (first, count) {
        (None, None | Some(0)) => return Ok(None),
        (Some(_), None | Some(0)) => return Err(Status::NoRequestedCryptoPeriods),
        (first, Some(count)) => (first.unwrap_or(0), count),
    };
    let last = first.checked_add(count - 1).filter(|_| count <= PERIODS_MAX);
    Ok(Some(Periods { first, last: last.ok_or(Status::NoRequestedCryptoPeriods)?, seconds }))
}

fn scheme(message: &Message) -> Result<Scheme, Status> {
    let scheme = match message.choice("protection_scheme")? {
        None => return Ok(Scheme::Common(None)),
        Some(Choice::Numbered(0)) => return Ok(Scheme::WholeSegments),
        Some(Choice::Named(name)) if name == "UNSPECIFIED" => return Ok(Scheme::WholeSegments),
        Some(Choice::Named(name)) => name.to_ascii_lowercase().parse().ok(),
        Some(Choice::Numbered(number)) => ProtectionScheme::from_four_cc(number),
    };
    // A scheme that is unknown would be written into no header, and the film would say nothing of it.
    scheme.map(|scheme| Scheme::Common(Some(scheme))).ok_or(Status::MalformedRequest)
}

fn kids(pssh: &[u8]) -> Result<Vec<KeyId>, Status> {
    let mut kids = Widevine::parse(pssh).ok_or(Status::InvalidWidevinePssh)?.key_ids;
    kids.sort_unstable();
    kids.dedup();
    if (1..=KIDS_MAX).contains(&kids.len()) { Ok(kids) } else { Err(Status::InvalidWidevinePssh) }
}

impl From<Malformed> for Status {
    fn from(Malformed: Malformed) -> Self {
        Self::MalformedRequest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64, Encoding};
    use serde_json::{Value, json};

    /// What Shaka Packager 3.8.0 asks, with changes.
    fn of_shaka(change: impl FnOnce(&mut Value)) -> Result<Asked, Status> {
        let tracks: Vec<_> =
            ["SD", "HD", "UHD1", "UHD2", "AUDIO"].map(|label| json!({ "type": label })).into();
        let mut request = json!({
            "content_id": "dGVzdGNpZDE=", "policy": "", "tracks": tracks,
            "drm_types": ["WIDEVINE"], "protection_scheme": "CENC",
        });
        change(&mut request);
        asked(request.to_string().as_bytes())
    }

    fn issued_of(asked: Result<Asked, Status>) -> Issued {
        match asked.unwrap().keys {
            Wanted::Issued(issued) => issued,
            Wanted::Read(kids) => panic!("{kids:?}"),
        }
    }

    #[test]
    fn a_request_of_shaka_packager_is_read() {
        let issued = issued_of(of_shaka(|_| {}));
        assert_eq!(issued.content.as_str(), "testcid1");
        assert_eq!(issued.periods, None);
        assert_eq!(issued.scheme, Scheme::Common(Some(ProtectionScheme::Cenc)));
        let kinds: Vec<_> = issued.tracks.iter().map(|track| track.kind.unwrap()).collect();
        let TrackType::Audio = kinds[4] else { panic!("{kinds:?}") };
        let labels: Vec<_> = issued.tracks.iter().map(|track| &track.label[..]).collect();
        assert_eq!(labels, ["SD", "HD", "UHD1", "UHD2", "AUDIO"]);
    }

    /// `python3 wv-request.py` of Bento4 writes spaces, another order and the number of the scheme.
    #[test]
    fn a_request_of_bento4_is_read() {
        let body = r#"{"content_id": "dGVzdGNpZDE=", "drm_types": ["WIDEVINE"], "policy": "", "protection_scheme": 1667392371, "tracks": [{"type": "SD"}, {"type": "HD"}, {"type": "AUDIO"}]}"#;
        let issued = issued_of(asked(body.as_bytes()));
        assert_eq!(issued.scheme, Scheme::Common(Some(ProtectionScheme::Cbcs)));
        assert_eq!(issued.tracks.len(), 3);
    }

    #[test]
    fn the_protection_scheme_is_read_in_every_form() {
        use ProtectionScheme::{Cbc1, Cbcs, Cenc, Cens};
        for (form, expected) in [
            (json!("CENC"), Scheme::Common(Some(Cenc))),
            (json!("cens"), Scheme::Common(Some(Cens))),
            (json!(1_667_392_305), Scheme::Common(Some(Cbc1))),
            (json!("1667392371"), Scheme::Common(Some(Cbcs))),
            (json!("UNSPECIFIED"), Scheme::WholeSegments),
            (json!(0), Scheme::WholeSegments),
            (json!(null), Scheme::Common(None)),
        ] {
            let read = issued_of(of_shaka(|request| request["protection_scheme"] = form.clone()));
            assert_eq!(read.scheme, expected, "{form}");
        }
        for wrong in [json!("AES"), json!(7), json!({}), json!("")] {
            let read = of_shaka(|request| request["protection_scheme"] = wrong.clone());
            assert_eq!(read, Err(Status::MalformedRequest), "{wrong}");
        }
    }

    #[test]
    fn periods_are_a_block_with_limits() {
        let of = |first: Value, count: Value| {
            let read = of_shaka(|request| {
                request["first_crypto_period_index"] = first;
                request["crypto_period_count"] = count;
                request["crypto_period_seconds"] = json!(4);
            });
            read.map(|asked| issued_of(Ok(asked)).periods)
        };
        let periods = |first, last| Ok(Some(Periods { first, last, seconds: Some(4) }));
        assert_eq!(of(json!(0), json!(10)), periods(0, 9));
        assert_eq!(of(json!("10"), json!("10")), periods(10, 19));
        assert_eq!(of(json!(null), json!(1)), periods(0, 0));
        assert_eq!(of(json!(u32::MAX), json!(1)), periods(u32::MAX, u32::MAX));
        assert_eq!(of(json!(null), json!(null)), Ok(None));
        assert_eq!(of(json!(5), json!(128)), periods(5, 132));
        for (first, count) in [
            (json!(0), json!(null)),
            (json!(0), json!(0)),
            (json!(0), json!(129)),
            (json!(u32::MAX), json!(2)),
        ] {
            assert_eq!(of(first, count), Err(Status::NoRequestedCryptoPeriods));
        }
        assert_eq!(of(json!(-1), json!(1)), Err(Status::MalformedRequest));
    }

    #[test]
    fn what_cannot_be_has_the_status_that_says_so() {
        let cases: [(&str, Value, Status); 10] = [
            ("content_id", json!(null), Status::ContentIdMissing),
            ("content_id", json!(""), Status::ContentIdMissing),
            ("content_id", json!("dGVzdGNpZDE*"), Status::MalformedRequest),
            // "a b" and two bytes that are no UTF-8
            ("content_id", json!("YSBi"), Status::MalformedRequest),
            ("content_id", json!("//8="), Status::MalformedRequest),
            ("pssh_data", json!("EhAL"), Status::TooManyContentSpecifiers),
            ("tracks", json!([]), Status::TrackTypeMissing),
            ("tracks", json!([{}]), Status::TrackTypeMissing),
            ("tracks", json!([{ "type": "SD" }, { "type": "8K" }]), Status::TrackTypeUnknown),
            ("tracks", json!(["SD"]), Status::MalformedRequest),
        ];
        for (member, value, status) in cases {
            let read = of_shaka(|request| request[member] = value.clone());
            assert_eq!(read, Err(status), "{member} {value}");
        }
        let many = vec![json!({ "type": "SD" }); TRACKS_MAX + 1];
        let read = of_shaka(|request| request["tracks"] = many.into());
        assert_eq!(read, Err(Status::MalformedRequest));
        assert_eq!(asked(b"no JSON"), Err(Status::MalformedRequest));
    }

    #[test]
    fn a_system_that_is_not_asked_for_is_not_signalled() {
        for (systems, expected) in [
            (json!(["WIDEVINE"]), true),
            (json!([0, 1]), true),
            (json!(null), true),
            (json!([]), true),
            (json!(["PLAYREADY"]), false),
        ] {
            let read = of_shaka(|request| request["drm_types"] = systems.clone());
            assert_eq!(read.unwrap().has_pssh, expected, "{systems}");
        }
    }

    #[test]
    fn the_kids_of_a_film_are_looked_up() {
        let kid = [7; 16];
        let payload = [&[0x12, 16][..], &kid, &[0x12, 16], &kid, &[0x12, 16], &[1; 16]].concat();
        let request = |pssh: &[u8]| {
            let pssh = Base64::encode_string(pssh);
            asked(json!({ "tracks": [], "pssh_data": pssh }).to_string().as_bytes())
        };
        let expected = vec![KeyId::from_bytes([1; 16]), KeyId::from_bytes(kid)];
        assert_eq!(request(&payload).unwrap().keys, Wanted::Read(expected));
        for wrong in [&[0x12, 16, 1][..], b"\x1a\x01x", b"plain text"] {
            assert_eq!(request(wrong), Err(Status::InvalidWidevinePssh), "{wrong:?}");
        }
        let many: Vec<_> = (0..65_u8).flat_map(|n| [&[0x12, 16][..], &[n; 16]].concat()).collect();
        assert_eq!(request(&many), Err(Status::InvalidWidevinePssh));
    }

    #[test]
    fn an_envelope_is_read_with_or_without_a_signature() {
        let read = |value: Value| envelope(value.to_string().as_bytes());
        let bare = read(json!({ "request": "e30=" })).unwrap();
        assert_eq!(bare.request, b"{}");
        assert!(bare.signature.is_none());
        let empty = read(json!({ "request": "e30=", "signature": "", "signer": "a" })).unwrap();
        assert!(empty.signature.is_none());
        let signed = read(json!({ "request": "e30=", "signature": "AQ==", "signer": "a", "x": 1 }));
        let signature = signed.unwrap().signature.unwrap();
        assert_eq!((&signature.signer[..], &signature.bytes[..]), ("a", &[1][..]));
        let nameless = read(json!({ "request": "e30=", "signature": "AQ==" })).unwrap();
        assert_eq!(nameless.signature.unwrap().signer, "");
        for wrong in [json!({}), json!({ "request": "" }), json!({ "request": 1 }), json!("e30=")] {
            assert_eq!(read(wrong).unwrap_err(), Status::MalformedRequest);
        }
    }
}
