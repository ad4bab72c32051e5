//! Every refusal of a license: its status, its reason, its type.
//!
//! One file because it is one list: every reason of a refusal, and the requests that meet it.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::world::{ISS, NOW, World, key, kid, kid_text, sign};

/// A token under that policy of movies/bunny, from that region.
fn under<'a>(policy: &'a str, region: Option<&'a str>) -> impl FnOnce(&mut Value) + 'a {
    move |claims| {
        claims["policy_id"] = policy.into();
        if let Some(region) = region {
            claims["region"] = region.into();
        }
    }
}

fn as_it_is(_: &mut Value) {}

#[tokio::test]
async fn an_unchanged_request_is_granted() {
    let world = World::new().await;
    assert_eq!(world.ask(as_it_is, as_it_is).await.status, 200);
}

#[tokio::test]
async fn a_wrong_or_unknown_region_is_refused() {
    let world = World::new().await;
    for (region, reason) in [
        (Some("DE"), "region-denied"),
        (None, "region-denied"),
        (Some("US-TX"), "region-denied"),
        // Less precise than the block, so the viewer may be there.
        (Some("US"), "region-denied"),
    ] {
        world.ask(under("us", region), as_it_is).await.refuses(403, reason);
    }
    assert_eq!(world.ask(under("us", Some("US-CA")), as_it_is).await.status, 200);
    for malformed in ["us", "USA", "US-", ""] {
        world.ask(under("us", Some(malformed)), as_it_is).await.refuses(403, "token-invalid");
    }
}

#[tokio::test]
async fn a_blackout_holds_from_its_start_to_before_its_end_and_ends_licenses_before_it() {
    let world = World::new().await;
    let (start, end) = (NOW + 600, NOW + 1200);
    let ask = async |now: u64, region: &'static str| {
        world.set_clock(now);
        world.ask(under("us", Some(region)), |claims| claims["iat"] = now.into()).await
    };
    let before = ask(start - 1, "CA").await.license();
    assert_eq!(before["exp"], start, "the license ends where the blackout begins");
    assert_eq!(before["policy"]["expires_because"], "region.blackout");
    ask(start, "CA").await.refuses(403, "blackout");
    ask(end - 1, "CA-QC").await.refuses(403, "blackout");
    assert_eq!(ask(end, "CA").await.license()["exp"], end + 3600);
    assert_eq!(
        ask(start, "US-NY").await.license()["exp"],
        start + 3600,
        "elsewhere nothing is dark"
    );
}

#[tokio::test]
async fn availability_is_a_window() {
    let world = World::new().await;
    let (from, until) = (NOW, NOW + 3600);
    let ask = async |now: u64| {
        world.set_clock(now);
        let token = |claims: &mut Value| {
            under("window", None)(claims);
            claims["iat"] = (NOW - 60).into();
            claims["exp"] = (NOW + 7200).into();
        };
        world.ask(token, |claims| claims["iat"] = now.into()).await
    };
    ask(from - 1).await.refuses(403, "not-yet-available");
    assert_eq!(ask(from).await.license()["exp"], from + 600);
    assert_eq!(ask(until - 1).await.license()["exp"], until);
    ask(until).await.refuses(403, "no-longer-available");
}

#[tokio::test]
async fn a_token_may_cap_the_license() {
    let world = World::new().await;
    let until = |time: u64| move |claims: &mut Value| claims["license_not_after"] = time.into();
    assert_eq!(world.ask(until(NOW + 5), as_it_is).await.license()["exp"], NOW + 5);
    world.ask(until(NOW), as_it_is).await.refuses(403, "no-longer-available");
}

#[tokio::test]
async fn devices_are_held_to_the_token_and_the_policy() {
    let world = World::new().await;
    let jkt = |key: &reelkey_client::exchange::device::DeviceKey| json!({ "jkt": key.public_key().thumbprint().to_string() });
    let mine = jkt(&world.device);
    let foreign = jkt(&key());
    world.ask(|claims| claims["cnf"] = foreign, as_it_is).await.refuses(403, "token-not-bound");
    world.ask(under("bound", None), as_it_is).await.refuses(403, "token-not-bound");
    let bound = |claims: &mut Value| {
        claims["policy_id"] = "bound".into();
        claims["cnf"] = mine;
    };
    assert_eq!(world.ask(bound, as_it_is).await.status, 200);
    world.ask(under("strong", None), as_it_is).await.refuses(403, "security-level");
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_refused() {
    let world = World::new().await;
    world.ask(under("mfa", None), as_it_is).await.refuses(403, "amr-required");
    let half = |claims: &mut Value| {
        claims["policy_id"] = "mfa".into();
        claims["amr"] = json!(["pwd"]);
    };
    world.ask(half, as_it_is).await.refuses(403, "amr-required");
    let whole = |claims: &mut Value| {
        claims["policy_id"] = "mfa".into();
        claims["amr"] = json!(["mfa", "pwd", "user"]);
    };
    assert_eq!(world.ask(whole, as_it_is).await.status, 200);
    world.ask(under("silent", None), as_it_is).await.refuses(403, "playback-not-allowed");
    let persistent = |claims: &mut Value| claims["session_type"] = "persistent-license".into();
    world.ask(as_it_is, persistent).await.refuses(403, "persistence-not-allowed");
    for again in ["RENEWAL", "RELEASE"] {
        let change = |claims: &mut Value| {
            claims["request_type"] = again.into();
            claims["license_id"] = "q83vEjRWeJCrze8SNFZ4kA".into();
            claims.as_object_mut().unwrap().remove("content_id");
            if again == "RELEASE" {
                claims.as_object_mut().unwrap().remove("enc_jwk");
            }
        };
        world.ask(as_it_is, change).await.refuses(403, "not-authorized");
    }
    world.ask(under("unknown", None), as_it_is).await.refuses(403, "not-authorized");
}

#[tokio::test]
async fn tracks_are_refused_by_type_and_by_level() {
    let world = World::new().await;
    let kids = |numbers: &[u8]| {
        let kids: Vec<_> = numbers.iter().map(|number| kid_text(0, *number)).collect();
        move |claims: &mut Value| {
            claims["kids"] = json!(kids);
            claims.as_object_mut().unwrap().remove("content_id");
        }
    };
    world.ask(under("audio", None), kids(&[2])).await.refuses(403, "playback-not-allowed");
    assert_eq!(world.ask(under("audio", None), kids(&[0, 2])).await.status, 200);
    world.ask(under("levels", None), kids(&[3])).await.refuses(403, "security-level");
    assert_eq!(world.ask(under("levels", None), kids(&[2, 3])).await.status, 200);
    let untyped = |claims: &mut Value| claims["content_id"] = "movies/untyped".into();
    let request = |claims: &mut Value| claims["content_id"] = "movies/untyped".into();
    world.ask(untyped, request).await.refuses(403, "security-level");
}

#[tokio::test]
async fn what_is_unknown_and_what_is_not_permitted_look_alike() {
    let world = World::new().await;
    let mut bodies = Vec::new();
    let named = |kids: Vec<String>| {
        move |claims: &mut Value| {
            claims["kids"] = json!(kids);
            claims.as_object_mut().unwrap().remove("content_id");
        }
    };
    let unknown = reelkey_client::strict::base64url::encode(&[9; 16]);
    for kids in [vec![unknown.clone()], vec![kid_text(1, 0)], vec![kid_text(1, 0), unknown]] {
        bodies.push(world.ask(as_it_is, named(kids)).await);
    }
    for content in ["movies/sintel", "movies/nothing", "series/one", "../etc", "movies//bunny"] {
        let change = |claims: &mut Value| claims["content_id"] = content.into();
        bodies.push(world.ask(as_it_is, change).await);
    }
    // Named by the token, but not among what its issuer may speak for, or not there at all.
    for content in ["series/one", "movies/nothing"] {
        let change = |claims: &mut Value| claims["content_id"] = content.into();
        bodies.push(world.ask(change, change).await);
    }
    let by_kid = |claims: &mut Value| {
        claims["authorized_kids"] = json!([kid(5, 0).to_string()]);
        claims.as_object_mut().unwrap().remove("content_id");
    };
    bodies.push(world.ask(by_kid, named(vec![kid_text(5, 0)])).await);
    // A token for single keys learns nothing of a title that has none.
    let by_kid = |claims: &mut Value| {
        claims["authorized_kids"] = json!([kid(0, 0).to_string()]);
        claims.as_object_mut().unwrap().remove("content_id");
    };
    for content in ["movies/empty", "movies/lost"] {
        let change = |claims: &mut Value| claims["content_id"] = content.into();
        bodies.push(world.ask(by_kid, change).await);
    }
    let plain = |body: &Value| {
        let mut body = body.clone();
        for member in ["instance", "server_time"] {
            body.as_object_mut().unwrap().remove(member);
        }
        body
    };
    for reply in &bodies {
        reply.refuses(403, "not-authorized");
        assert_eq!(plain(&reply.json()), plain(&bodies[0].json()));
        assert_eq!(reply.body.len(), bodies[0].body.len());
    }
}

#[tokio::test]
async fn one_request_is_for_one_title() {
    let world = World::new().await;
    let all = |claims: &mut Value| claims["content_id"] = "movies/*".into();
    let two = |claims: &mut Value| {
        claims["kids"] = json!([kid_text(0, 1), kid_text(1, 0)]);
        claims.as_object_mut().unwrap().remove("content_id");
    };
    world.ask(all, two).await.refuses(400, "bad-request");
    let other = |claims: &mut Value| claims["kids"] = json!([kid_text(1, 0)]);
    world.ask(all, other).await.refuses(400, "bad-request");
    // What the token does not permit is dropped before it can matter.
    assert_eq!(world.ask(as_it_is, two).await.license()["content_id"], "movies/bunny");
    let empty = |claims: &mut Value| claims["content_id"] = "movies/empty".into();
    world.ask(empty, empty).await.refuses(403, "key-not-found");
}

#[tokio::test]
async fn a_request_proves_who_made_it_when_and_for_what() {
    let world = World::new().await;
    let token = world.token(as_it_is);
    let claims = world.claims(&token);
    let forged = sign(&world.header(), &claims, &key());
    world.post(Some(&token), forged).await.refuses(400, "proof-invalid");
    let short = world.request(&token, as_it_is);
    world
        .post(Some(&token), short[..short.len() - 6].to_owned())
        .await
        .refuses(400, "proof-invalid");

    let change = |claims: &mut Value| claims["ath"] = kid_text(0, 0).repeat(2)[..43].into();
    world.ask(as_it_is, change).await.refuses(400, "proof-invalid");
    for missing in ["ath", "aud", "iat", "jti", "request_type", "session_type", "enc_jwk"] {
        let change = |claims: &mut Value| {
            claims.as_object_mut().unwrap().remove(missing);
        };
        world.ask(as_it_is, change).await.refuses(400, "bad-request");
    }
    for (iat, stale) in
        [(NOW - 121, true), (NOW - 120, false), (NOW + 120, false), (NOW + 121, true)]
    {
        let reply = world.ask(as_it_is, |claims| claims["iat"] = iat.into()).await;
        match stale {
            true => reply.refuses(400, "request-stale"),
            false => assert_eq!(reply.status, 200),
        }
    }
    world
        .ask(as_it_is, |claims| claims["iat"] = u64::MAX.into())
        .await
        .refuses(400, "request-stale");
    world.ask(as_it_is, |claims| claims["aud"] = "other".into()).await.refuses(400, "bad-request");
    world
        .ask(as_it_is, |claims| claims["aud"] = json!(["reelkey-test"]))
        .await
        .refuses(400, "bad-request");
}

#[tokio::test]
async fn the_key_to_seal_to_is_a_fresh_point_of_the_curve() {
    let world = World::new().await;
    let zero = "A".repeat(43);
    let device = world.device.public_key().to_jwk();
    let mut off_curve = key().public_key().to_jwk();
    off_curve["x"] = off_curve["y"].clone();
    let mut private = key().public_key().to_jwk();
    private["d"] = zero.clone().into();
    for jwk in [
        off_curve,
        json!({ "kty": "EC", "crv": "P-256", "x": zero, "y": zero }),
        json!({ "kty": "OKP", "crv": "X25519", "x": zero }),
        json!("not a key"),
        private,
        device,
    ] {
        let change = |claims: &mut Value| claims["enc_jwk"] = jwk;
        world.ask(as_it_is, change).await.refuses(400, "bad-request");
    }
    let mut browser = key().public_key().to_jwk();
    browser["key_ops"] = json!([]);
    browser["ext"] = true.into();
    assert_eq!(world.ask(as_it_is, |claims| claims["enc_jwk"] = browser).await.status, 200);
}

/// RFC 7519, 7.2.
#[tokio::test]
async fn the_values_of_members_in_a_row_are_no_request() {
    let world = World::new().await;
    let token = world.token(as_it_is);
    let claims = world.claims(&token);
    let members = [
        "aud",
        "iat",
        "jti",
        "request_type",
        "session_type",
        "kids",
        "pssh",
        "content_id",
        "enc_jwk",
        "ath",
    ];
    let values: Vec<_> = members
        .map(|name| match name {
            "kids" | "pssh" => json!([]),
            _ => claims[name].clone(),
        })
        .into();
    let body = sign(&world.header(), &values.into(), &world.device);
    world.post(Some(&token), body).await.refuses(400, "bad-request");
}

#[tokio::test]
async fn a_malformed_request_is_refused_by_its_broken_rule() {
    let world = World::new().await;
    for (name, value) in [
        ("kids", json!(["AAAA"])),
        ("kids", json!("AAAA")),
        ("kids", json!(vec![kid_text(0, 1); 65])),
        ("pssh", json!(["%"])),
        ("pssh", json!(vec!["AAAA"; 9])),
        ("jti", json!("short")),
        ("jti", json!("x".repeat(129))),
        ("jti", json!("0123456789abcdef ghijkl")),
        ("request_type", json!("new")),
        ("session_type", json!("forever")),
        ("iat", json!(NOW.to_string())),
        ("iat", json!(1.5)),
        ("iat", json!(-1)),
        ("device", json!({ "name": "x".repeat(65) })),
        ("device", json!({ "name": "a\nb" })),
        ("device", json!(["Living room", "X1", "linux", "player"])),
        ("end_session", json!("no code")),
        ("license_id", json!("q83vEjRWeJCrze8SNFZ4kA")),
        ("first_play", json!(0)),
        ("content_id", json!(["movies/bunny"])),
    ] {
        let reply = world.ask(as_it_is, |claims| claims[name] = value.clone()).await;
        reply.refuses(400, "bad-request");
    }
    let code = |claims: &mut Value| claims["end_session"] = "code".into();
    assert_eq!(world.ask(as_it_is, code).await.status, 200, "no such session is running");
    let nothing = |claims: &mut Value| {
        claims.as_object_mut().unwrap().remove("content_id");
    };
    world.ask(as_it_is, nothing).await.refuses(400, "bad-request");

    let token = world.token(as_it_is);
    let claims = world.claims(&token);
    for (name, value) in [
        ("typ", json!("JWT")),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("x5c", json!(["AAA"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("jku", json!("https://attacker.example")),
        ("jwk", Value::Null),
    ] {
        let mut header = world.header();
        header[name] = value;
        let body = sign(&header, &claims, &world.device);
        world.post(Some(&token), body).await.refuses(400, "bad-request");
    }
    let mut private = world.header();
    private["jwk"]["d"] = "AAAA".into();
    world
        .post(Some(&token), sign(&private, &claims, &world.device))
        .await
        .refuses(400, "bad-request");
}

#[tokio::test]
async fn bodies_have_a_length() {
    let world = World::new().await;
    let token = world.token(as_it_is);
    world.post(Some(&token), vec![b'a'; 16 * 1024]).await.refuses(400, "bad-request");
    world.post(Some(&token), vec![b'a'; 16 * 1024 + 1]).await.refuses(413, "too-large");
    // The size comes before everything else.
    world.post(None, vec![b'a'; 16 * 1024 + 1]).await.refuses(413, "too-large");
    // Without a length it is counted.
    let chunks = futures_of(40, 512);
    world.post(Some(&token), chunks).await.refuses(413, "too-large");
    let whole = world.request(&token, as_it_is);
    for length in [0, 1, 10, whole.len() / 2] {
        world.post(Some(&token), whole[..length].to_owned()).await.refuses(400, "bad-request");
    }
    world.post(Some(&token), vec![0xff; 100]).await.refuses(400, "bad-request");
}

/// A body of that many chunks, whose length is not known beforehand.
fn futures_of(chunks: usize, length: usize) -> Body {
    use http_body_util::BodyExt;
    let full = http_body_util::Full::from(vec![b'a'; chunks * length]);
    Body::new(full.map_frame(|frame| frame).boxed())
}

#[tokio::test]
async fn a_token_is_in_one_header_and_nowhere_else() {
    let world = World::new().await;
    let token = world.token(as_it_is);
    let body = world.request(&token, as_it_is);
    world.post(None, body.clone()).await.refuses(403, "token-missing");
    let post = |path: &str, headers: &[String]| {
        let mut request = Request::post(path);
        for value in headers {
            request = request.header("authorization", value);
        }
        request.body(Body::from(body.clone())).unwrap()
    };
    for (headers, status, reason) in [
        (vec![format!("Basic {token}")], 403, "token-missing"),
        (vec!["Bearer".to_owned()], 403, "token-missing"),
        (vec![format!("Bearer {token}"), format!("Bearer {token}")], 400, "bad-request"),
    ] {
        world.send(post("/v1/license", &headers)).await.refuses(status, reason);
    }
    let in_the_address = post(&format!("/v1/license?token={token}"), &[]);
    world.send(in_the_address).await.refuses(403, "token-missing");
    let reply = world.send(post("/v1/license", &[format!("bearer {token}")])).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn what_the_framework_refuses_has_the_same_form() {
    let world = World::new().await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    world.send(get("/nothing")).await.refuses(404, "not-found");
    world.send(get("/problems/nothing")).await.refuses(404, "not-found");
    let reply = world.send(get("/v1/license")).await;
    reply.refuses(405, "method-not-allowed");
    assert_eq!(reply.headers["allow"], "POST");
}

#[tokio::test]
async fn a_title_whose_policy_is_not_loaded_is_our_fault() {
    let world = World::new().await;
    let lost = |claims: &mut Value| claims["content_id"] = "movies/lost".into();
    let reply = world.ask(lost, lost).await;
    reply.refuses(500, "internal");
    assert!(!reply.body.contains("missing") && !reply.body.contains("lost"), "{}", reply.body);
    assert_eq!(world.ask(|claims| claims["iss"] = ISS.into(), as_it_is).await.status, 200);
}
