//! What a license holds, and that a request happens once.

use std::collections::BTreeSet;

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::jwks::Jwks;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::strict::base64url;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::world::{NOW, SERVICE, World, key_hex, kid, kid_text};

fn as_it_is(_: &mut Value) {}

#[tokio::test]
async fn the_client_opens_what_the_service_seals() {
    let world = World::new().await;
    let token = world.token(|claims| claims["region"] = "US".into());
    let kids = [kid(0, 1)];
    let ask = Ask {
        service_id: SERVICE,
        token: &token,
        kids: &kids,
        content_id: None,
        session_type: SessionType::Temporary,
        iat: UnixTime::from_secs(NOW),
    };
    let draft = ask.draft(&world.device.public_key(), None, &mut SystemRng).unwrap();
    let (body, pending) = draft.sign(&world.device);
    let reply = world.post(Some(&token), body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.headers["content-type"], "application/jwt");
    assert_eq!(reply.headers["cache-control"], "no-store");
    let jwks = world.jwks().await;
    let license = pending.open(reply.body.as_bytes(), &jwks).unwrap();
    // One key was named; the whole title comes, as players need it.
    let mut opened: Vec<_> = license
        .keys
        .iter()
        .map(|(kid, key)| (*kid, key.expose().map(|byte| format!("{byte:02x}")).concat()))
        .collect();
    opened.sort();
    let expected: Vec<_> = (0..4).map(|number| (kid(0, number), key_hex(0, number))).collect();
    assert_eq!(opened, expected);
    assert!(license.holds_after(599) && !license.holds_after(600));
    assert_eq!(license.track(kid(0, 1)).unwrap().track_type.as_deref(), Some("SD"));

    let (_, other) =
        ask.draft(&world.device.public_key(), None, &mut SystemRng).unwrap().sign(&world.device);
    assert!(other.open(reply.body.as_bytes(), &jwks).is_err(), "an answer is to one request");
}

#[tokio::test]
async fn a_license_says_what_was_granted_and_nothing_more() {
    let world = World::new().await;
    let token = |claims: &mut Value| {
        claims["policy_id"] = "levels".into();
        claims["region"] = "US-CA".into();
    };
    let license = world.ask(token, as_it_is).await.license();
    let members: BTreeSet<_> = license.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "iss",
        "sub",
        "jti",
        "iat",
        "nbf",
        "exp",
        "cnf",
        "nonce",
        "counter",
        "content_id",
        "session_type",
        "region",
        "policy_id",
        "policy",
        "tracks",
        "keys",
    ];
    assert_eq!(members, expected.into_iter().collect());
    let device = world.device.public_key().thumbprint().to_string();
    for (member, value) in [
        ("iss", json!(SERVICE)),
        ("sub", json!("alice")),
        ("iat", json!(NOW)),
        ("nbf", json!(NOW)),
        ("exp", json!(NOW + 600)),
        ("cnf", json!({ "jkt": device })),
        ("nonce", json!("0123456789abcdefghijkl")),
        ("counter", json!(0)),
        ("content_id", json!("movies/bunny")),
        ("session_type", json!("temporary")),
        ("region", json!("US-CA")),
        ("policy_id", json!("levels")),
    ] {
        assert_eq!(license[member], value, "{member}");
    }
    assert_eq!(
        license["policy"],
        json!({ "can_play": true, "can_persist": false, "can_renew": false,
            "license_duration": 600, "rental_duration": 0, "playback_duration": 0,
            "renewal_delay": 0, "renewal_retry_interval": 0, "renewal_recovery_duration": 0,
            "expires_because": "license_duration" })
    );
    // UHD1 needs hardware, so it is left out; HD carries what its table says.
    assert_eq!(
        license["tracks"],
        json!([
            { "kid": kid_text(0, 0), "track_type": "AUDIO" },
            { "kid": kid_text(0, 1), "track_type": "SD" },
            { "kid": kid_text(0, 2), "track_type": "HD", "hdcp": "HDCP_V1", "max_height": 1080 },
        ])
    );
    let header = license["keys"].as_str().unwrap().split('.').next().unwrap().to_owned();
    let header: Value = serde_json::from_slice(&base64url::decode(&header).unwrap()).unwrap();
    let members: Vec<_> = header.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "apu", "apv", "enc", "epk"]);
    assert_eq!(header["apu"], base64url::encode(SERVICE.as_bytes()));
    let without = world.ask(as_it_is, as_it_is).await.license();
    assert!(without.get("region").is_none(), "a region that nobody named is left out");
}

#[tokio::test]
async fn kids_may_come_in_a_pssh_box() {
    let world = World::new().await;
    let mut body = b"pssh\x01\0\0\0".to_vec();
    body.extend(reelkey_client::exchange::pssh::COMMON_SYSTEM_ID);
    body.extend([0, 0, 0, 1]);
    body.extend(kid(0, 1).as_bytes());
    body.extend([0; 4]);
    let size = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    let text =
        <base64ct::Base64 as base64ct::Encoding>::encode_string(&[&size[..], &body].concat());
    let change = |claims: &mut Value| {
        claims["pssh"] = json!([text]);
        claims.as_object_mut().unwrap().remove("content_id");
    };
    assert_eq!(world.ask(as_it_is, change).await.license()["content_id"], "movies/bunny");
}

#[tokio::test]
async fn a_token_may_name_single_keys() {
    let world = World::new().await;
    let one = |claims: &mut Value| {
        claims["authorized_kids"] = json!([kid(0, 1).to_string()]);
        claims.as_object_mut().unwrap().remove("content_id");
    };
    let license = world.ask(one, as_it_is).await.license();
    assert_eq!(license["tracks"], json!([{ "kid": kid_text(0, 1), "track_type": "SD" }]));
    // With titles and keys, both have to allow it.
    let both = |claims: &mut Value| {
        claims["authorized_kids"] = json!([kid(0, 1).to_string()]);
        claims["content_id"] = "movies/sintel".into();
    };
    world.ask(both, as_it_is).await.refuses(403, "not-authorized");
}

/// ECDSA signatures come in pairs: with (r, s), (r, n - s) verifies too.
fn malleated(jws: &str) -> String {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (input, signature) = jws.rsplit_once('.').unwrap();
    let mut signature = base64url::decode(signature).unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i16::from(ORDER[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{input}.{}", base64url::encode(&signature))
}

#[tokio::test]
async fn a_request_that_arrives_again_is_the_same_license() {
    let world = World::new().await;
    let token = world.token(as_it_is);
    let body = world.request(&token, as_it_is);
    let first = world.post(Some(&token), body.clone()).await.license();
    assert_eq!(base64url::decode(first["jti"].as_str().unwrap()).unwrap().len(), 16);

    let twin = malleated(&body);
    assert_ne!(twin, body);
    assert_eq!(world.post(Some(&token), twin).await.license()["jti"], first["jti"]);

    let at_once = (0..64).map(|_| world.post(Some(&token), body.clone()));
    let mut ids = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for reply in futures_all(at_once).await {
        ids.insert(reply.license()["jti"].to_string());
        keys.insert(reply.license()["keys"].to_string());
    }
    assert_eq!(ids, BTreeSet::from([first["jti"].to_string()]));
    assert_eq!(keys.len(), 64, "every answer is sealed anew");

    // Another text is another request, though it has the same jti.
    let other = world.request(&token, as_it_is);
    assert_ne!(world.post(Some(&token), other).await.license()["jti"], first["jti"]);

    world.set_clock(NOW + 100);
    let later = world.post(Some(&token), body.clone()).await.license();
    assert_eq!((&later["jti"], &later["iat"]), (&first["jti"], &json!(NOW + 100)));

    let world = world.restarted().await;
    assert_eq!(world.post(Some(&token), body.clone()).await.license()["jti"], first["jti"]);
    world.set_clock(NOW + 121);
    world.post(Some(&token), body).await.refuses(400, "request-stale");
}

pub(crate) async fn futures_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(move |context| {
        pending.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => {
                done.push(output);
                false
            }
            std::task::Poll::Pending => true,
        });
        match pending.is_empty() {
            true => std::task::Poll::Ready(std::mem::take(&mut done)),
            false => std::task::Poll::Pending,
        }
    })
    .await
}

impl World {
    pub(crate) async fn jwks(&self) -> Jwks {
        let request = axum::http::Request::get("/.well-known/jwks.json");
        let reply = self.send(request.body(axum::body::Body::empty()).unwrap()).await;
        Jwks::parse(reply.body.as_bytes()).unwrap()
    }
}
