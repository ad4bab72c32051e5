//! What the requests of viewers' pages, and those that come without a token, may cost.

use std::pin::Pin;
use std::task::{Context, Waker};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::world::{NOW, World, key, sign, time};

/// How many requests are worked on at once.
const AT_ONCE_MAX: usize = 512;

fn as_it_is(_: &mut Value) {}

/// A viewer's pages are worked on within the same limit as licenses.
#[tokio::test]
async fn the_pages_of_a_viewer_take_a_slot_for_work() {
    let world = World::new().await;
    let license = world.play("renewed", &world.device, NOW, as_it_is).await.license();
    let id = license["jti"].as_str().unwrap();
    let token = world.token(|claims| claims["scope"] = "devices".into());
    let device = key();
    let registration = sign(
        &json!({ "typ": "device-registration+jwt", "alg": "ES256",
            "jwk": device.public_key().to_jwk() }),
        &json!({}),
        &device,
    );
    let ask = |method: &str, path: &str, body: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        world.send(request.body(Body::from(body.to_owned())).unwrap())
    };
    let pages = [
        ("GET", "/v1/devices".to_owned(), ""),
        ("POST", "/v1/devices".to_owned(), &*registration),
        ("DELETE", format!("/v1/devices/{}", device.public_key().thumbprint()), ""),
        ("GET", format!("/v1/licenses/{id}"), ""),
    ];
    for (method, path, body) in &pages {
        assert_ne!(ask(method, path, body).await.status, 503, "{method} {path}");
    }

    // Each waits for its commit, and nobody asks what became of it.
    let rights = world.rights("renewed", NOW);
    let mut waiting: Vec<Pin<Box<dyn Future<Output = _>>>> = Vec::new();
    while waiting.len() < AT_ONCE_MAX {
        let body = world.signed(&rights, &world.device, NOW, as_it_is);
        let mut request: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(world.post(Some(&rights), body));
        let context = &mut Context::from_waker(Waker::noop());
        if request.as_mut().poll(context).is_pending() {
            waiting.push(request);
        }
    }
    for (method, path, body) in &pages {
        ask(method, path, body).await.refuses(503, "unavailable");
    }
    drop(waiting);
    for (method, path, body) in &pages {
        assert_ne!(ask(method, path, body).await.status, 503, "{method} {path}");
    }
}

#[tokio::test]
async fn releases_without_a_token_are_counted() {
    let world = World::new().await;
    let license = world.play("renewed", &world.device, NOW, as_it_is).await.license();
    world.release(&key(), &license, NOW).await.refuses(403, "not-authorized");
    for _ in 0..2 {
        assert_eq!(world.release(&world.device, &license, NOW).await.status, 200);
    }
    let told = world.authority.metrics(time(NOW), None).unwrap();
    for line in [
        "reelkey_licenses_total{result=\"released\",reason=\"none\"} 2",
        "reelkey_licenses_total{result=\"refused\",reason=\"not-authorized\"} 1",
        "reelkey_license_duration_seconds_count{result=\"released\"} 2",
    ] {
        assert!(told.lines().any(|other| other == line), "{line} is not in\n{told}");
    }
}
