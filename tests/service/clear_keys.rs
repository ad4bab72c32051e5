//! Keys in the clear: for the ClearKey system of browsers, and for HLS with AES-128.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use reelkey_client::strict::base64url;
use serde_json::{Value, json};

use crate::world::{NOW, Reply, World, key_hex, kid, kid_text};

/// movies/clear in the list of titles: AUDIO, SD, HD, and UHD1 that needs hardware.
const CLEAR: u8 = 6;

fn under(policy: &'static str) -> impl FnOnce(&mut Value) {
    move |claims| {
        claims["content_id"] = json!(["movies/*", "series/*"]);
        claims["policy_id"] = policy.into();
    }
}

async fn post(world: &World, token: &str, body: &str) -> Reply {
    let request = Request::post("/v1/clearkey").header(AUTHORIZATION, format!("Bearer {token}"));
    world.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn get(world: &World, token: &str, path: &str) -> Reply {
    let request = Request::get(path).header(AUTHORIZATION, format!("Bearer {token}"));
    world.send(request.body(Body::empty()).unwrap()).await
}

fn asked(keys: &[(u8, u8)]) -> String {
    let kids: Vec<_> = keys.iter().map(|(title, key)| kid_text(*title, *key)).collect();
    json!({ "kids": kids, "type": "temporary" }).to_string()
}

fn bytes_of(title: u8, key: u8) -> Vec<u8> {
    let hex = key_hex(title, key);
    (0..16).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn path_of(content: &str, title: u8, key: u8) -> String {
    format!("/v1/hls/{content}/{}.key", kid(title, key))
}

#[tokio::test]
async fn a_browser_gets_exactly_the_jwk_set_of_what_is_permitted() {
    let world = World::new().await;
    let token = world.token(under("clear"));
    // One is named, and the rest of the title comes with it, but for the track that needs hardware.
    let reply = post(&world, &token, &asked(&[(CLEAR, 1), (CLEAR, 1), (CLEAR, 3)])).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.headers["cache-control"], "no-store");
    let entry = |key: u8| {
        let k = base64url::encode(&bytes_of(CLEAR, key));
        format!(r#"{{"kty":"oct","kid":"{}","k":"{k}"}}"#, kid_text(CLEAR, key))
    };
    let expected: Vec<_> = [0, 1, 2].map(entry).into();
    assert_eq!(reply.body, format!(r#"{{"keys":[{}]}}"#, expected.join(",")));
    // What players send beside it, and in other forms.
    let kid = kid_text(CLEAR, 1);
    for body in [
        format!(r#"{{"kids":["{kid}"]}}"#),
        format!(" {{ \"type\" : \"temporary\", \"kids\" : [ \"{kid}\" ], \"other\": {{}} }}\n"),
    ] {
        assert_eq!(post(&world, &token, &body).await.status, 200, "{body}");
    }
}

#[tokio::test]
async fn an_hls_player_gets_sixteen_bytes() {
    let world = World::new().await;
    let token = world.token(under("clear"));
    for key in 0..3 {
        let reply = get(&world, &token, &path_of("movies/clear", CLEAR, key)).await;
        assert_eq!((reply.status, &reply.bytes), (200, &bytes_of(CLEAR, key)), "{reply:?}");
        assert_eq!(reply.headers["content-type"], "application/octet-stream");
        assert_eq!(reply.headers["cache-control"], "no-store");
        assert_eq!(reply.headers["content-length"], "16");
    }
    let hex = kid(CLEAR, 0).to_string().replace('-', "");
    let reply = get(&world, &token, &format!("/v1/hls/movies/clear/{hex}.key")).await;
    assert_eq!(reply.bytes, bytes_of(CLEAR, 0));
}

#[tokio::test]
async fn a_policy_has_to_allow_each_way() {
    let world = World::new().await;
    for (policy, by_clearkey, by_hls) in [
        ("clear", None, None),
        ("clear-eme", None, Some("clear-keys-not-allowed")),
        ("clear-hls", Some("clear-keys-not-allowed"), None),
        ("open", Some("clear-keys-not-allowed"), Some("clear-keys-not-allowed")),
        ("clear-silent", Some("playback-not-allowed"), Some("playback-not-allowed")),
        ("clear-us", Some("region-denied"), Some("region-denied")),
    ] {
        let token = world.token(under(policy));
        let replies = [
            (post(&world, &token, &asked(&[(CLEAR, 1)])).await, by_clearkey),
            (get(&world, &token, &path_of("movies/clear", CLEAR, 1)).await, by_hls),
        ];
        for (reply, refusal) in replies {
            match refusal {
                None => assert_eq!(reply.status, 200, "{policy}: {reply:?}"),
                Some(reason) => reply.refuses(403, reason),
            }
        }
    }
    // The license exchange is not a way in the clear, and needs no such permission.
    let token = world.token(under("open"));
    let body = world.request(&token, |claims| {
        claims["kids"] = json!([kid_text(CLEAR, 1)]);
        claims.as_object_mut().unwrap().remove("content_id");
    });
    assert_eq!(world.post(Some(&token), body).await.status, 200);
}

#[tokio::test]
async fn a_track_above_the_lowest_level_is_never_given_in_the_clear() {
    let world = World::new().await;
    let token = world.token(under("clear"));
    let refusal = "clear-keys-not-allowed";
    post(&world, &token, &asked(&[(CLEAR, 3)])).await.refuses(403, refusal);
    get(&world, &token, &path_of("movies/clear", CLEAR, 3)).await.refuses(403, refusal);
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_device_is_refused() {
    let world = World::new().await;
    let thumbprint = world.device.public_key().thumbprint().to_string();
    let token = world.token(|claims| {
        under("clear")(claims);
        claims["cnf"] = json!({ "jkt": thumbprint });
    });
    post(&world, &token, &asked(&[(CLEAR, 1)])).await.refuses(403, "token-not-bound");
    let path = path_of("movies/clear", CLEAR, 1);
    get(&world, &token, &path).await.refuses(403, "token-not-bound");
}

#[tokio::test]
async fn what_is_unknown_and_what_is_not_permitted_are_one_answer() {
    let world = World::new().await;
    let token = world.token(|claims| {
        under("clear")(claims);
        claims["content_id"] = json!(["movies/clear", "movies/bunny"]);
    });
    let unknown = "AAAAAAAAAAAAAAAAAAAAAA";
    let body = json!({ "kids": [unknown] }).to_string();
    let mut answers = vec![
        post(&world, &token, &body).await,
        post(&world, &token, &asked(&[(5, 0)])).await,
        get(&world, &token, "/v1/hls/movies/clear/00000000-0000-0000-0000-000000000000.key").await,
        get(&world, &token, &path_of("series/one", 5, 0)).await,
        get(&world, &token, &path_of("movies/nothing", CLEAR, 0)).await,
        // A key of one permitted title under the name of another.
        get(&world, &token, &path_of("movies/bunny", CLEAR, 0)).await,
        get(&world, &token, &path_of("movies/clear", 0, 0)).await,
        get(&world, &token, &path_of("movies/%20", CLEAR, 0)).await,
    ];
    for answer in &answers {
        answer.refuses(403, "not-authorized");
    }
    let without_id = |reply: &mut Reply| {
        let mut problem = reply.json();
        problem.as_object_mut().unwrap().remove("instance");
        problem
    };
    let first = without_id(&mut answers[0]);
    assert!(answers.iter_mut().all(|answer| without_id(answer) == first));
    // Two titles, both permitted, are no one title.
    post(&world, &token, &asked(&[(CLEAR, 0), (0, 0)])).await.refuses(400, "bad-request");
}

#[tokio::test]
async fn malformed_requests_say_what_is_wrong() {
    let world = World::new().await;
    let token = world.token(under("clear"));
    let kid = kid_text(CLEAR, 1);
    let many: Vec<_> = (0..65_u8).map(|n| base64url::encode(&[n; 16])).collect();
    for body in [
        String::new(),
        "[]".into(),
        "{}".into(),
        "{\"kids\":[]}".into(),
        "{\"kids\":\"x\"}".into(),
        format!("{{\"kids\":[\"{kid}==\"]}}"),
        format!("{{\"kids\":[\"{kid}\"],\"kids\":[]}}"),
        format!("{{\"kids\":[\"{}\"]}}", &kid[1..]),
        format!("\u{feff}{{\"kids\":[\"{kid}\"]}}"),
        json!({ "kids": [kid], "type": "other" }).to_string(),
        json!({ "kids": many }).to_string(),
    ] {
        post(&world, &token, &body).await.refuses(400, "bad-request");
    }
    let offline = json!({ "kids": [kid], "type": "persistent-license" }).to_string();
    post(&world, &token, &offline).await.refuses(403, "persistence-not-allowed");
    let long = format!("{{\"kids\":[\"{kid}\"],\"x\":\"{}\"}}", "x".repeat(16 * 1024));
    post(&world, &token, &long).await.refuses(413, "too-large");
    for path in ["/v1/hls/", "/v1/hls/x", "/v1/hls/movies/clear/x.key", "/v1/hls/movies/clear/"] {
        get(&world, &token, path).await.refuses(404, "not-found");
    }
    let request = Request::get("/v1/clearkey").body(Body::empty()).unwrap();
    world.send(request).await.refuses(405, "method-not-allowed");
    let request = Request::post("/v1/clearkey").body(Body::from(asked(&[(CLEAR, 1)]))).unwrap();
    world.send(request).await.refuses(403, "token-missing");
    post(&world, "abc", &asked(&[(CLEAR, 1)])).await.refuses(403, "token-invalid");
    world.set_clock(NOW + 100_000);
    post(&world, &token, &asked(&[(CLEAR, 1)])).await.refuses(403, "token-expired");
}
