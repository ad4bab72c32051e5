//! The Widevine Common Encryption API: requests that were recorded from the real clients, and what is refused.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use base64ct::{Base64, Encoding};
use http_body_util::{BodyExt, Full};
use reelkey::authority::operation::packager::AddPackager;
use reelkey::authority::packager::SigningKey;
use reelkey::crypto::rsa::RsaPublicKey;
use reelkey::domain::packager::Permission;
use reelkey_client::pssh::Widevine;
use serde_json::{Value, json};

use crate::packager::{ENCODER, basic, rights, test_key};
use crate::world::{Reply, World};

const PATH: &str = "/v1/keys/widevine";

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("recorded/", $name, ".json"))
    };
}

/// A world with the signers of the recorded requests, and a packager that has a secret alone.
async fn world() -> World {
    let world = World::new().await;
    world.add_packager(rights(ENCODER)).await;
    let policies = vec!["open".into(), "audio".into()];
    let signing = Some(test_key());
    world.add_packager(AddPackager { policies, signing, ..rights("widevine_test") }).await;
    let rsa = RsaPublicKey::parse(include_bytes!("recorded/shaka_rsa.pem")).unwrap();
    let signing = Some(SigningKey::Rsa(Base64::encode_string(&rsa.to_der())));
    world.add_packager(AddPackager { signing, ..rights("rsa_test") }).await;
    world
}

/// The inner message of an answer.
fn inner(reply: &Reply) -> Value {
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.headers["cache-control"], "no-store");
    open(&reply.body)
}

fn open(answer: &str) -> Value {
    let outer: Value = serde_json::from_str(answer).unwrap();
    let inner = Base64::decode_vec(outer["response"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&inner).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    Base64::decode_vec(value.as_str().unwrap()).unwrap()
}

/// What an answer means, without the values of KIDs and keys and without the provider's name.
fn meaning(inner: &Value) -> Value {
    let track = |track: &Value| {
        let kid = bytes(&track["key_id"]);
        assert_eq!((kid.len(), bytes(&track["key"]).len()), (16, 16));
        let [pssh] = &track["pssh"].as_array().unwrap()[..] else { panic!("one pssh: {track}") };
        let header = Widevine::parse(&bytes(&pssh["data"])).unwrap();
        assert_eq!(header.key_ids.len(), 1);
        assert_eq!(header.key_ids[0].as_bytes()[..], kid);
        json!({
            "type": track["type"], "period": track.get("crypto_period_index"),
            "drm_type": pssh["drm_type"],
            "pssh": [header.content_id, header.protection_scheme, header.crypto_period_index,
                header.crypto_period_seconds],
        })
    };
    let tracks: Vec<_> = inner["tracks"].as_array().unwrap().iter().map(track).collect();
    json!({ "status": inner["status"], "drm": inner["drm"], "tracks": tracks })
}

/// The KIDs and keys of an answer, track by track.
fn keys(inner: &Value) -> Vec<(Value, Value, Value)> {
    let tracks = inner["tracks"].as_array().unwrap_or_else(|| panic!("{inner}"));
    let member = |track: &Value, name: &str| track.get(name).cloned().unwrap_or_default();
    tracks
        .iter()
        .map(|track| (member(track, "type"), member(track, "key_id"), member(track, "key")))
        .collect()
}

/// A request that is not signed.
fn unsigned(request: &Value) -> String {
    json!({ "request": Base64::encode_string(request.to_string().as_bytes()) }).to_string()
}

fn request(content: &str, tracks: &[&str]) -> Value {
    let tracks: Vec<_> = tracks.iter().map(|track| json!({ "type": track })).collect();
    json!({
        "content_id": Base64::encode_string(content.as_bytes()), "policy": "", "tracks": tracks,
        "drm_types": ["WIDEVINE"], "protection_scheme": "CENC",
    })
}

impl World {
    /// Asks as [`ENCODER`], which has to be granted.
    async fn ask_widevine(&self, request: &Value) -> Value {
        let reply = self.pack(PATH, Some(&basic(ENCODER)), unsigned(request)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let inner = inner(&reply);
        assert_eq!(inner["status"], "OK", "{request}");
        inner
    }

    /// The status that a packager is refused with, while the status of HTTP is that of a success.
    async fn refuse_widevine(&self, authorization: Option<&str>, body: String) -> String {
        let reply = self.pack(PATH, authorization, body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let inner = inner(&reply);
        assert_eq!(inner.as_object().unwrap().len(), 1, "a refusal has no keys: {inner}");
        inner["status"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn recorded_requests_get_answers_that_mean_what_was_recorded() {
    let world = world().await;
    for (request, recorded) in [
        (recorded!("shaka_cenc_aes"), recorded!("shaka_cenc_aes.answer")),
        (recorded!("shaka_rotation"), recorded!("shaka_rotation.answer")),
    ] {
        let reply = world.pack(PATH, None, request).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(meaning(&inner(&reply)), meaning(&open(recorded)));
    }
    let signed_by_rsa = world.pack(PATH, None, recorded!("shaka_rsa")).await;
    assert_eq!(meaning(&inner(&signed_by_rsa)), meaning(&open(recorded!("shaka_cenc_aes.answer"))));

    // Bento4 names the provider in the path and the scheme by its number.
    let path = format!("{PATH}/widevine_test");
    let of_bento4 = inner(&world.pack(&path, None, recorded!("bento4_request")).await);
    let tracks = meaning(&of_bento4)["tracks"].clone();
    assert_eq!(tracks.as_array().unwrap().len(), 3);
    assert_eq!(tracks[2]["type"], "AUDIO");
    assert_eq!(tracks[2]["pssh"][1], json!(b"cbcs"));

    let block = meaning(&inner(&world.pack(PATH, None, recorded!("shaka_rotation_next")).await));
    let periods: Vec<_> =
        block["tracks"].as_array().unwrap().iter().map(|track| &track["period"]).collect();
    let expected: Vec<_> = (10..20).flat_map(|period| vec![json!(period); 5]).collect();
    assert_eq!(periods, expected.iter().collect::<Vec<_>>());

    // A policy and a group of Widevine's service mean nothing here. A KID that another service has made is unknown.
    let policy = recorded!("shaka_cbcs_policy_group_hdr");
    assert_eq!(inner(&world.pack(PATH, None, policy).await)["status"], "OK");
    let foreign = recorded!("shaka_decrypt_pssh");
    assert_eq!(world.refuse_widevine(None, foreign.into()).await, "ASSET_NOT_FOUND");
}

#[tokio::test]
async fn the_same_request_has_the_same_keys_for_ever_and_each_track_its_own() {
    let world = world().await;
    let all = request("live/news", &["SD", "HD", "UHD1", "UHD2", "AUDIO"]);
    let mut rotating = all.clone();
    for (name, value) in
        [("first_crypto_period_index", 7), ("crypto_period_count", 3), ("crypto_period_seconds", 4)]
    {
        rotating[name] = value.into();
    }
    let first = [world.ask_widevine(&all).await, world.ask_widevine(&rotating).await];
    let mut different: Vec<_> = first
        .iter()
        .flat_map(keys)
        .map(|(_, kid, key)| (kid.to_string(), key.to_string()))
        .collect();
    assert_eq!(different.len(), 20);
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 20, "no two tracks or periods have one key");

    // Fewer tracks, other names for them and a block that overlaps.
    let some = world.ask_widevine(&request("live/news", &["STEREO_AUDIO", "hd"])).await;
    let of = |inner: &Value, at: usize| (keys(inner)[at].1.clone(), keys(inner)[at].2.clone());
    assert_eq!(of(&some, 0), of(&first[0], 4));
    assert_eq!(of(&some, 1), of(&first[0], 1));
    assert_eq!(keys(&some)[0].0, "STEREO_AUDIO");
    rotating["first_crypto_period_index"] = 8.into();
    let overlapping = world.ask_widevine(&rotating).await;
    assert_eq!(keys(&overlapping)[..10], keys(&first[1])[5..]);

    let world = world.restarted().await;
    rotating["first_crypto_period_index"] = 7.into();
    assert_eq!([world.ask_widevine(&all).await, world.ask_widevine(&rotating).await], first);
}

#[tokio::test]
async fn whole_segments_have_one_key_for_all_tracks() {
    let world = world().await;
    for scheme in [json!("UNSPECIFIED"), json!(0)] {
        let mut whole = request("movies/hls", &["SD", "HD", "AUDIO"]);
        whole["protection_scheme"] = scheme;
        let granted = keys(&world.ask_widevine(&whole).await);
        assert_eq!(granted.len(), 3);
        assert!(granted.iter().all(|(_, kid, key)| (kid, key) == (&granted[0].1, &granted[0].2)));
        let labels: Vec<_> = granted.iter().map(|(label, ..)| label).collect();
        assert_eq!(labels, ["SD", "HD", "AUDIO"]);
    }
}

/// Shaka Packager sends chunks without a length; Bento4 names no type.
#[tokio::test]
async fn a_body_is_read_in_any_wrapping() {
    let world = world().await;
    let expected = inner(&world.pack(PATH, None, recorded!("shaka_cenc_aes")).await);
    for path in [PATH, "/v1/keys/widevine/", "/v1/keys/widevine/provider", "/v1/keys/widevine/a/b"]
    {
        for content_type in ["", "application/json", "text/plain", "application/octet-stream; x"] {
            let full = Full::from(recorded!("shaka_cenc_aes"));
            let body = Body::new(full.map_frame(|frame| frame).boxed());
            let request =
                Request::post(path).header(CONTENT_TYPE, content_type).body(body).unwrap();
            assert_eq!(inner(&world.send(request).await), expected, "{path} {content_type}");
        }
    }
    let request = Request::get(PATH).body(Body::empty()).unwrap();
    world.send(request).await.refuses(405, "method-not-allowed");
}

#[tokio::test]
async fn a_film_is_decrypted_with_keys_of_its_own_kids_and_the_permission_to_read() {
    let world = world().await;
    let issuer = AddPackager { allow: [Permission::Issue].into(), ..rights("issuer") };
    world.add_packager(issuer).await;
    let reader = AddPackager {
        allow: [Permission::Read].into(),
        content: vec!["movies/*".parse().unwrap()],
        ..rights("reader")
    };
    world.add_packager(reader).await;

    let mut all = request("movies/new", &["SD", "AUDIO"]);
    let issued = world.ask_widevine(&all).await;
    all["crypto_period_count"] = 1.into();
    let of_a_period = world.ask_widevine(&all).await;
    let foreign = world.ask_widevine(&request("live/news", &["SD"])).await;
    let pssh = |kids: &[&Value]| {
        let kids = kids.iter().flat_map(|kid| [&[0x12, 16][..], &bytes(kid)].concat());
        let pssh = Base64::encode_string(&kids.collect::<Vec<_>>());
        unsigned(
            &json!({ "tracks": [{ "type": "SD" }], "drm_types": ["WIDEVINE"], "pssh_data": pssh }),
        )
    };
    let kid = |inner: &Value, at: usize| inner["tracks"][at]["key_id"].clone();
    let (sd, audio) = (kid(&issued, 0), kid(&issued, 1));
    let reply = world.pack(PATH, Some(&basic("reader")), pssh(&[&sd])).await;
    assert_eq!(keys(&inner(&reply)), keys(&issued)[..1]);
    assert_eq!(inner(&reply)["tracks"][0]["pssh"].as_array().unwrap().len(), 1);

    // Two keys of one track type keep apart, and KIDs of others are left out.
    let (rotated, foreign) = (kid(&of_a_period, 0), kid(&foreign, 0));
    let reply =
        world.pack(PATH, Some(&basic("reader")), pssh(&[&sd, &rotated, &audio, &foreign])).await;
    let read = keys(&inner(&reply));
    let mut labels: Vec<_> = read.iter().map(|(label, ..)| label.to_string()).collect();
    assert_eq!(labels.len(), 3);
    labels.sort();
    labels.dedup();
    assert_eq!(labels.len(), 3);
    for expected in [&keys(&issued)[0], &keys(&issued)[1], &keys(&of_a_period)[0]] {
        assert!(read.iter().any(|(_, kid, key)| (kid, key) == (&expected.1, &expected.2)));
    }

    // A KID outside the packager's contents is as unknown as one that nobody has.
    let unknown = json!(Base64::encode_string(&[7; 16]));
    let [one, other] = [&foreign, &unknown].map(|kid| pssh(&[kid]));
    let one = world.pack(PATH, Some(&basic("reader")), one).await;
    let other = world.pack(PATH, Some(&basic("reader")), other).await;
    assert_eq!(
        (inner(&one)["status"].clone(), &one.bytes),
        (json!("ASSET_NOT_FOUND"), &other.bytes)
    );

    let refused = world.refuse_widevine(Some(&basic("issuer")), pssh(&[&sd])).await;
    assert_eq!(refused, "ACCESS_DENIED");
    let issue = unsigned(&request("movies/new", &["SD"]));
    let refused = world.refuse_widevine(Some(&basic("reader")), issue).await;
    assert_eq!(refused, "ACCESS_DENIED");
}

#[tokio::test]
async fn a_wrong_signature_is_refused_even_beside_the_right_password() {
    let world = world().await;
    let recorded: Value = serde_json::from_str(recorded!("shaka_cenc_aes")).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut request = recorded.clone();
        change(&mut request);
        request.to_string()
    };
    let other_request = unsigned(&request("testcid2", &["SD"]));
    let other_request: Value = serde_json::from_str(&other_request).unwrap();
    let forged = [
        with(&|request| request["signature"] = "AAAA".into()),
        with(&|request| request["request"] = other_request["request"].clone()),
        // Nobody, who has no key, whose key is another kind, and no name at all.
        with(&|request| request["signer"] = "stranger".into()),
        with(&|request| request["signer"] = ENCODER.into()),
        with(&|request| request["signer"] = "rsa_test".into()),
        with(&|request| drop(request.as_object_mut().unwrap().remove("signer"))),
    ];
    for body in forged {
        for authorization in [None, Some(basic("widevine_test")), Some(basic(ENCODER))] {
            let status = world.refuse_widevine(authorization.as_deref(), body.clone()).await;
            assert_eq!(status, "SIGNATURE_FAILED", "{body}");
        }
    }
    // A right signature beside credentials: of the same packager, of another one, and wrong ones.
    let right = recorded.to_string();
    let reply = world.pack(PATH, Some(&basic("widevine_test")), right.clone()).await;
    assert_eq!(inner(&reply)["status"], "OK");
    let status = world.refuse_widevine(Some(&basic(ENCODER)), right.clone()).await;
    assert_eq!(status, "ACCESS_DENIED");
    unauthorized(&world.pack(PATH, Some("Basic d3Jvbmc6d3Jvbmc="), right).await);
}

fn unauthorized(reply: &Reply) {
    assert_eq!(reply.status, 401, "{reply:?}");
    let challenge = reply.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Basic realm="), "{challenge}");
    assert_eq!(inner(reply), json!({ "status": "ACCESS_DENIED" }));
}

#[tokio::test]
async fn nobody_is_asked_for_a_password_and_told_nothing() {
    let world = world().await;
    let body = unsigned(&request("movies/bunny", &["SD"]));
    for wrong in [None, Some("Basic d3Jvbmc6d3Jvbmc="), Some("Bearer x"), Some("Digest y")] {
        unauthorized(&world.pack(PATH, wrong, body.clone()).await);
        unauthorized(&world.pack(PATH, wrong, "no JSON").await);
    }
    // Empty members are as absent ones, as Protocol Buffers have it.
    let empty = body.replace('}', ",\"signature\":\"\",\"signer\":\"encoder\"}");
    unauthorized(&world.pack(PATH, None, empty.clone()).await);
    assert_eq!(inner(&world.pack(PATH, Some(&basic(ENCODER)), empty).await)["status"], "OK");
    let bearer = format!("Bearer {}", crate::packager::secret(ENCODER));
    assert_eq!(inner(&world.pack(PATH, Some(&bearer), body).await)["status"], "OK");
}

#[tokio::test]
async fn a_foreign_pattern_is_denied_in_the_same_bytes_whether_the_title_exists_or_not() {
    let world = world().await;
    let studio = AddPackager {
        content: vec!["movies/*".parse().unwrap()],
        policies: Vec::new(),
        ..rights("studio")
    };
    world.add_packager(studio).await;
    let ask = |content: &'static str| unsigned(&request(content, &["SD"]));
    let there = world.pack(PATH, Some(&basic("studio")), ask("series/one")).await;
    let absent = world.pack(PATH, Some(&basic("studio")), ask("series/none")).await;
    assert_eq!(inner(&there), json!({ "status": "ACCESS_DENIED" }));
    assert_eq!((there.status, &there.bytes), (absent.status, &absent.bytes));
    // Within its patterns, a title that it may not add.
    let status = world.refuse_widevine(Some(&basic("studio")), ask("movies/none")).await;
    assert_eq!(status, "ASSET_NOT_FOUND");
}

#[tokio::test]
async fn malformed_requests_say_what_is_wrong_in_the_form_of_the_protocol() {
    let world = world().await;
    let with = |name: &str, value: Value| {
        let mut request = request("movies/bunny", &["SD"]);
        request[name] = value;
        unsigned(&request)
    };
    for (body, status) in [
        (String::new(), "MALFORMED_REQUEST"),
        ("[]".into(), "MALFORMED_REQUEST"),
        ("{\"request\":\"%\"}".into(), "MALFORMED_REQUEST"),
        ("{\"request\":\"e30=\",\"request\":\"e30=\"}".into(), "MALFORMED_REQUEST"),
        ("{\"request\":\"e30=\"}".into(), "CONTENT_ID_MISSING"),
        (with("content_id", json!("YSBi")), "MALFORMED_REQUEST"),
        (with("tracks", json!([])), "TRACK_TYPE_MISSING"),
        (with("tracks", json!([{ "type": "8K" }])), "TRACK_TYPE_UNKNOWN"),
        (with("protection_scheme", json!("CBC2")), "MALFORMED_REQUEST"),
        (with("pssh_data", json!("EhAL")), "TOO_MANY_CONTENT_SPECIFIERS"),
        (with("crypto_period_count", json!(1000)), "NO_REQUESTED_CRYPTO_PERIODS"),
        (unsigned(&json!({ "pssh_data": "eA==" })), "INVALID_WIDEVINE_PSSH"),
    ] {
        let refused = world.refuse_widevine(Some(&basic(ENCODER)), body.clone()).await;
        assert_eq!(refused, status, "{body}");
    }
    assert_eq!(world.ask_widevine(&request("movies/bunny", &["SD"])).await["status"], "OK");

    // The longest body, and one that is longer.
    let padded = |length: usize| {
        let body = unsigned(&request("movies/bunny", &["SD"]));
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    let longest = world.pack(PATH, Some(&basic(ENCODER)), padded(64 * 1024)).await;
    assert_eq!(inner(&longest)["status"], "OK");
    let longer = world.pack(PATH, Some(&basic(ENCODER)), padded(64 * 1024 + 1)).await;
    assert_eq!((longer.status, inner(&longer)), (413, json!({ "status": "MALFORMED_REQUEST" })));
}

#[tokio::test]
async fn a_retired_key_is_replaced_and_is_read_no_more() {
    use reelkey::authority::operation::key::RetireKey;
    use reelkey::authority::operation::order::Actor;
    use reelkey_client::key::KeyId;

    let world = world().await;
    let sd = request("movies/new", &["SD"]);
    let first = world.ask_widevine(&sd).await;
    let kid = bytes(&first["tracks"][0]["key_id"]);
    let retired = KeyId::from_bytes(kid[..].try_into().unwrap());
    let retire = RetireKey { kid: retired.to_string() };
    world
        .authority
        .administer(retire, Actor::User { uid: 0 }, crate::world::time(crate::world::NOW))
        .await
        .unwrap();
    let second = world.ask_widevine(&sd).await;
    assert_ne!(keys(&first), keys(&second));
    let pssh = Base64::encode_string(&[&[0x12, 16][..], &kid].concat());
    let body = unsigned(&json!({ "pssh_data": pssh }));
    assert_eq!(world.refuse_widevine(Some(&basic(ENCODER)), body).await, "ASSET_NOT_FOUND");
}
