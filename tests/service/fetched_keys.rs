//! Issuers whose keys are fetched, at times that the test chooses; and the tokens that standard services make.

use base64ct::{Base64UrlUnpadded, Encoding};
use reelkey::authority::fetched_keys::{FetchedKeys, KeySet, Source};
use reelkey::authority::issuer::{Issuer, Keys};
use reelkey::crypto::issuer_key::Algorithm;
use reelkey::crypto::trust::Trust;
use reelkey::domain::duration::Duration;
use reelkey::domain::key_refresh::Fetched;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::strict::base64url;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use serde_json::{Value, json};

use crate::world::{ISS, NOW, Reply, World, issuer, key, sign, signing_input, time};

/// An issuer whose keys are fetched.
const FETCHED: &str = "https://fetched.example";
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A key for tests alone.
const RSA: &[u8] = include_bytes!("rsa-2048.pkcs8.der");

fn source() -> Source {
    Source { url: "https://fetched.example/jwks".parse().unwrap(), trust: Trust::System }
}

/// Keys as they would be fetched at `at`, fresh for ten minutes.
fn set(keys: &[(&str, &DeviceKey)], at: u64) -> KeySet {
    let keys = keys.iter().map(|(kid, key)| {
        let mut jwk = key.public_key().to_jwk();
        jwk["kid"] = (*kid).into();
        jwk
    });
    let document = json!({ "keys": keys.collect::<Vec<_>>() }).to_string().into_bytes();
    let fetched = Fetched { at: time(at), fresh_secs: 600 };
    KeySet::read(document, &[Algorithm::Es256], fetched).unwrap()
}

/// A world with the fetched issuer, whose fetching the test does itself.
async fn world(set: Option<KeySet>) -> (World, FetchedKeys) {
    let keys = FetchedKeys::new(source(), Duration::from_secs(DAY), set);
    let jwks = json!({ "keys": [key().public_key().to_jwk()] });
    let trusted =
        Issuer { keys: Keys::Fetched(keys.clone()), ..issuer(FETCHED, &jwks, &[Algorithm::Es256]) };
    (World::with_issuers(vec![trusted]).await, keys)
}

/// Asks at that time with a token of the fetched issuer.
async fn ask(world: &World, kid: Option<&str>, signer: &DeviceKey, now: u64) -> Reply {
    world.set_clock(now);
    let claims = json!({ "iss": FETCHED, "sub": "alice", "aud": "reelkey-test", "iat": now,
        "exp": now + HOUR, "content_id": "movies/bunny" });
    let mut header = json!({ "alg": "ES256" });
    if let Some(kid) = kid {
        header["kid"] = kid.into();
    }
    let token = sign(&header, &claims, signer);
    let body = world.request(&token, |claims| claims["iat"] = now.into());
    world.post(Some(&token), body).await
}

/// A license of the other issuer.
async fn ask_elsewhere(world: &World, now: u64) -> Reply {
    world.set_clock(now);
    let token = world.token(|claims| {
        (claims["iat"], claims["exp"]) = (now.into(), (now + HOUR).into());
    });
    let body = world.request(&token, |claims| claims["iat"] = now.into());
    world.post(Some(&token), body).await
}

#[tokio::test]
async fn the_last_keys_serve_a_day_after_they_were_due_and_no_second_longer() {
    let signer = key();
    let (world, keys) = world(Some(set(&[("a", &signer)], NOW))).await;
    let end = NOW + 600 + DAY;
    for now in [NOW, NOW + 600, end - 1] {
        assert!(now == NOW || keys.begins(time(now)), "a fetch is due");
        keys.failed(time(now), "the connection failed".into());
        assert_eq!(ask(&world, Some("a"), &signer, now).await.status, 200, "{now}");
    }
    ask(&world, Some("a"), &signer, end).await.refuses(503, "unavailable");
    assert_eq!(ask_elsewhere(&world, end).await.status, 200);
    // They come back.
    assert!(keys.succeeded(set(&[("b", &signer)], end).into()));
    assert_eq!(ask(&world, Some("b"), &signer, end).await.status, 200);
}

#[tokio::test]
async fn without_any_keys_the_issuer_waits_and_the_others_do_not() {
    let (world, keys) = world(None).await;
    ask(&world, None, &key(), NOW).await.refuses(503, "unavailable");
    assert_eq!(ask_elsewhere(&world, NOW).await.status, 200);
    assert!(keys.begins(time(NOW)));
    // While the fetch is under way, and after it has failed.
    ask(&world, None, &key(), NOW).await.refuses(503, "unavailable");
    keys.failed(time(NOW), "x".into());
    ask(&world, None, &key(), NOW + 1).await.refuses(503, "unavailable");
    assert_eq!(ask_elsewhere(&world, NOW + 1).await.status, 200);
}

#[tokio::test]
async fn an_unknown_key_is_refused_at_once_and_asked_for_once_in_thirty_seconds() {
    let (old, new) = (key(), key());
    let (world, keys) = world(Some(set(&[("old", &old)], NOW))).await;
    assert!(!keys.begins(time(NOW + 100)), "nobody wants other keys yet");
    ask(&world, Some("new"), &new, NOW + 100).await.refuses(403, "token-invalid");
    assert!(keys.begins(time(NOW + 100)), "a fetch begins");
    ask(&world, Some("new"), &new, NOW + 101).await.refuses(403, "token-invalid");
    assert_eq!(ask(&world, Some("old"), &old, NOW + 101).await.status, 200);
    assert!(keys.succeeded(set(&[("old", &old), ("new", &new)], NOW + 102).into()));
    assert_eq!(ask(&world, Some("new"), &new, NOW + 102).await.status, 200);
    // An attacker's kids bring one attempt in thirty seconds.
    ask(&world, Some("newer"), &new, NOW + 103).await.refuses(403, "token-invalid");
    assert!(!keys.begins(time(NOW + 129)));
    assert!(keys.begins(time(NOW + 130)));
}

#[tokio::test]
async fn a_wrong_signature_under_a_known_key_asks_for_nothing() {
    let signer = key();
    let (world, keys) = world(Some(set(&[("a", &signer)], NOW))).await;
    ask(&world, Some("a"), &key(), NOW + 100).await.refuses(403, "token-invalid");
    ask(&world, None, &key(), NOW + 100).await.refuses(403, "token-invalid");
    assert!(!keys.begins(time(NOW + 100)));
    // Nor does an algorithm that the issuer may not use, or another issuer's name.
    let claims = json!({ "iss": ISS, "sub": "a", "aud": "reelkey-test", "iat": NOW,
        "exp": NOW + HOUR, "content_id": "*" });
    let token = sign(&json!({ "alg": "ES256", "kid": "x" }), &claims, &signer);
    let body = world.request(&token, |_| {});
    world.post(Some(&token), body).await.refuses(403, "token-invalid");
    assert!(!keys.begins(time(NOW + 100)));
}

#[tokio::test]
async fn a_key_that_is_in_the_set_no_more_is_refused() {
    let (old, new) = (key(), key());
    let (world, keys) = world(Some(set(&[("old", &old)], NOW))).await;
    assert!(keys.begins(time(NOW + 600)));
    assert!(keys.succeeded(set(&[("new", &new)], NOW + 600).into()));
    ask(&world, Some("old"), &old, NOW + 600).await.refuses(403, "token-invalid");
    assert_eq!(ask(&world, Some("new"), &new, NOW + 600).await.status, 200);
}

#[test]
fn what_cannot_be_used_is_passed_over_and_one_key_is_required() {
    let fetched = Fetched { at: time(NOW), fresh_secs: 600 };
    let read = |keys: Value, algorithms: &[Algorithm]| {
        let document = json!({ "keys": keys }).to_string().into_bytes();
        KeySet::read(document, algorithms, fetched).map(|set| set.keys.count())
    };
    let mut good = rsa_jwk("sig");
    good["x5c"] = json!(["MIIC"]);
    good["x5t#S256"] = "x".into();
    good["issuer"] = "https://login.microsoftonline.com/{tenantid}/v2.0".into();
    let mut encryption = rsa_jwk("enc");
    (encryption["use"], encryption["alg"]) = ("enc".into(), "RSA-OAEP".into());
    let unknown = json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AA" });
    let curve = json!({ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "p384" });
    let field = json!([encryption, good, unknown, curve]);
    assert_eq!(read(field.clone(), &[Algorithm::Rs256]).unwrap(), 1);
    let wrong = read(field, &[Algorithm::Es256]).unwrap_err().to_string();
    assert!(wrong.contains("for RS256,") && wrong.contains("sign with ES256"), "{wrong}");
    let mut weak = rsa_jwk("weak");
    weak["n"] = "AQAB".into();
    for bad in
        [json!([]), json!([encryption]), json!([good, weak]), json!([{ "kty": "oct", "k": "AA" }])]
    {
        assert!(read(bad.clone(), &[Algorithm::Rs256]).is_err(), "{bad}");
    }
    for text in ["", "<html>", "{}", "[]", "{\"keys\":{}}"] {
        assert!(KeySet::read(text.into(), &[Algorithm::Rs256], fetched).is_err(), "{text}");
    }
}

fn rsa_pair() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(RSA).unwrap()
}

fn rsa_jwk(kid: &str) -> Value {
    let public: RsaPublicKeyComponents<Vec<u8>> = rsa_pair().public_key().into();
    let text = Base64UrlUnpadded::encode_string;
    json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": text(&public.n), "e": text(&public.e) })
}

fn sign_rsa(header: &Value, claims: &Value) -> String {
    let (input, pair) = (signing_input(header, claims), rsa_pair());
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
    format!("{input}.{}", base64url::encode(&signature))
}

/// Access tokens of standard services, as their makers document them, with a claim that names contents. The values are
/// made up.
const SHAPES: [(&str, &str, Option<&str>); 5] = [
    ("keycloak", include_str!("shapes/keycloak.json"), None),
    ("auth0", include_str!("shapes/auth0.json"), Some("https://reelkey.example/content_id")),
    (
        "auth0, RFC 9068",
        include_str!("shapes/auth0-rfc9068.json"),
        Some("https://reelkey.example/content_id"),
    ),
    ("entra v2", include_str!("shapes/entra-v2.json"), Some("extn.content_id")),
    ("entra v1", include_str!("shapes/entra-v1.json"), Some("extn.content_id")),
];

struct Shape {
    header: Value,
    payload: Value,
    world: World,
}

impl Shape {
    async fn new(text: &str, claim: Option<&str>) -> Self {
        let shape: Value = serde_json::from_str(text).unwrap();
        let (header, payload) = (shape["header"].clone(), shape["payload"].clone());
        let jwks = json!({ "keys": [rsa_jwk(header["kid"].as_str().unwrap())] });
        let trusted = issuer(payload["iss"].as_str().unwrap(), &jwks, &[Algorithm::Rs256]);
        let content_claim = claim.map(|name| name.parse().unwrap());
        let world = World::with_issuers(vec![Issuer { content_claim, ..trusted }]).await;
        Self { header, payload, world }
    }

    async fn ask(&self, change: impl FnOnce(&mut Value)) -> Reply {
        let mut payload = self.payload.clone();
        change(&mut payload);
        let token = sign_rsa(&self.header, &payload);
        let body = self.world.request(&token, |_| {});
        self.world.post(Some(&token), body).await
    }
}

#[tokio::test]
async fn tokens_of_standard_services_are_taken_as_they_are() {
    for (name, text, claim) in SHAPES {
        let shape = Shape::new(text, claim).await;
        let license = shape.ask(|_| {}).await.license();
        assert_eq!(license["sub"], shape.payload["sub"], "{name}");
        // Without a claim that names contents, nothing is authorized.
        let claim = claim.unwrap_or("content_id");
        let without = |payload: &mut Value| drop(payload.as_object_mut().unwrap().remove(claim));
        shape.ask(without).await.refuses(403, "token-invalid");
        shape
            .ask(|payload| payload[claim] = "movies/sintel".into())
            .await
            .refuses(403, "not-authorized");
        shape.ask(|payload| payload["aud"] = "account".into()).await.refuses(403, "token-invalid");
    }
}

#[tokio::test]
async fn the_claim_that_is_named_is_held_to_the_same_form_as_content_id() {
    let (_, text, claim) = SHAPES[1];
    let name = claim.unwrap();
    let shape = Shape::new(text, claim).await;
    for wrong in [
        Value::Null,
        json!(7),
        json!({ "movies/bunny": true }),
        json!(["movies/bunny", 7]),
        json!([["movies/bunny"]]),
        json!(""),
        json!("movies/../bunny"),
        json!(" movies/bunny"),
        json!(vec!["movies/bunny"; 257]),
    ] {
        shape.ask(|payload| payload[name] = wrong).await.refuses(403, "token-invalid");
    }
    for good in [json!("*"), json!("movies/*"), json!(["series/one", "movies/bunny"])] {
        assert_eq!(shape.ask(|payload| payload[name] = good).await.status, 200);
    }
    // `content_id` means nothing then, also where the other claim is missing or narrower.
    let narrower = |payload: &mut Value| {
        (payload[name], payload["content_id"]) = ("movies/sintel".into(), "*".into());
    };
    shape.ask(narrower).await.refuses(403, "not-authorized");
    let other = |payload: &mut Value| {
        payload.as_object_mut().unwrap().remove(name);
        payload["content_id"] = "movies/bunny".into();
    };
    shape.ask(other).await.refuses(403, "token-invalid");
    // The other claims go on to mean what they mean.
    shape
        .ask(|payload| payload["authorized_kids"] = json!([]))
        .await
        .refuses(403, "not-authorized");
    shape
        .ask(|payload| payload["policy_id"] = "silent".into())
        .await
        .refuses(403, "playback-not-allowed");
}
