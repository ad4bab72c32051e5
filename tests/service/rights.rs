//! Renewals, releases and windows, as a player meets them.

use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::exchange::license::License;
use reelkey_client::exchange::request::SessionType;
use reelkey_client::exchange::{Release, Renew};
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::world::{NOW, Reply, SERVICE, World, key, sign, time};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// The policies of movies/rights.
pub(crate) const POLICIES: [(&str, &str); 6] = [
    (
        "renewed",
        "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\nrenewal_delay = \"4m\"\n\
         renewal_recovery_duration = \"10m\"",
    ),
    (
        "film",
        "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\ncan_persist = true\n\
         rental_duration = \"30d\"\nplayback_duration = \"48h\"\n\
         [persistent]\nlicense_duration = \"7d\"",
    ),
    (
        "streams",
        "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\n\
         [concurrency]\nlimit = 2\ngrace_period = \"60s\"",
    ),
    (
        "last-stream",
        "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\n\
         [concurrency]\nlimit = 1\nmode = \"STOP_OLDEST\"",
    ),
    (
        "places",
        "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\n[device]\nlimit = 2",
    ),
    (
        "cooled",
        "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\nrental_duration = \"30d\"\n\
         renewal_recovery_duration = \"1h\"\n[device]\nlimit = 1\ncooldown = \"24h\"",
    ),
];

/// What a request is for.
fn about(license: &Value, kind: &str) -> impl Fn(&mut Value) {
    let license = license["jti"].clone();
    let kind = kind.to_owned();
    move |claims: &mut Value| {
        claims.as_object_mut().unwrap().remove("content_id");
        (claims["request_type"], claims["license_id"]) = (kind.clone().into(), license.clone());
        if kind == "RELEASE" {
            claims.as_object_mut().unwrap().remove("enc_jwk");
        }
    }
}

impl World {
    /// A token for movies/rights under this policy, made and valid at `now`.
    pub(crate) fn rights(&self, policy: &str, now: u64) -> String {
        self.token(|claims| {
            (claims["iat"], claims["exp"]) = (now.into(), (now + HOUR).into());
            claims["content_id"] = "movies/rights".into();
            claims["policy_id"] = policy.into();
        })
    }

    /// A request for movies/rights by this device, with changes.
    pub(crate) fn signed(
        &self,
        token: &str,
        device: &DeviceKey,
        now: u64,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let mut claims = self.claims(token);
        (claims["iat"], claims["content_id"]) = (now.into(), "movies/rights".into());
        change(&mut claims);
        let header = json!({ "typ": "license-request+jwt", "alg": "ES256",
            "jwk": device.public_key().to_jwk() });
        sign(&header, &claims, device)
    }

    /// Asks under this policy at this time.
    pub(crate) async fn play(
        &self,
        policy: &str,
        device: &DeviceKey,
        now: u64,
        change: impl FnOnce(&mut Value),
    ) -> Reply {
        self.set_clock(now);
        let token = self.rights(policy, now);
        let body = self.signed(&token, device, now, change);
        self.post(Some(&token), body).await
    }

    /// Renews a license under this policy at this time.
    pub(crate) async fn renew(
        &self,
        policy: &str,
        device: &DeviceKey,
        license: &Value,
        now: u64,
    ) -> Reply {
        self.play(policy, device, now, about(license, "RENEWAL")).await
    }

    /// Releases a license without a token, as a page that closes does.
    pub(crate) async fn release(&self, device: &DeviceKey, license: &Value, now: u64) -> Reply {
        self.set_clock(now);
        let body = self.signed("", device, now, |claims| {
            about(license, "RELEASE")(claims);
            claims.as_object_mut().unwrap().remove("ath");
        });
        let request = Request::post("/v1/license").header(CONTENT_TYPE, "text/plain");
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Everything that is remembered.
    pub(crate) async fn facts(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.authority.facts().scan(b"", None, 100_000).await.unwrap()
    }
}

fn as_it_is(_: &mut Value) {}

/// Reads a receipt.
fn receipt(reply: &Reply) -> Value {
    let header = reply.body.split('.').next().unwrap();
    let header = reelkey_client::strict::base64url::decode(header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!(header["typ"], "license-release+jwt");
    reply.license()
}

/// The client crate asks, renews and releases, and opens every answer.
#[tokio::test]
async fn a_player_keeps_a_stream_going_and_gives_it_back() {
    let world = World::new().await;
    let jwks = world.jwks().await;
    let device = world.device.public_key();
    let at = |now: u64| UnixTime::from_secs(now);
    let token = world.rights("renewed", NOW);
    let ask = Ask {
        service_id: SERVICE,
        token: &token,
        kids: &[],
        content_id: Some("movies/rights"),
        session_type: SessionType::Temporary,
        iat: at(NOW),
    };
    let (body, pending) = ask.draft(&device, None, &mut SystemRng).unwrap().sign(&world.device);
    let reply = world.post(Some(&token), body).await;
    let mut license: License = pending.open(reply.body.as_bytes(), &jwks).unwrap();
    assert!((180..=240).contains(&license.claims.policy.renewal_delay));
    let first = license.claims.clone();
    for counter in 1..=4 {
        let now = NOW + counter * 240;
        world.set_clock(now);
        let renew = Renew {
            license: &license.claims,
            token: &token,
            first_play: None,
            end_session: None,
            iat: at(now),
        };
        let (body, pending) = renew.draft(&device, &mut SystemRng).unwrap().sign(&world.device);
        let reply = world.post(Some(&token), body.clone()).await;
        license = pending.open(reply.body.as_bytes(), &jwks).unwrap();
        assert_eq!((&license.claims.jti, license.claims.counter), (&first.jti, counter));
        assert_eq!((license.claims.iat, license.claims.exp), (now, now + 600));
        assert_eq!(license.keys.len(), 1);
        // The answer was lost, and the same bytes come again, after a while too.
        world.set_clock(now + 100);
        let again = world.post(Some(&token), body).await.license();
        assert_eq!(
            (again["counter"].as_u64(), again["iat"].as_u64()),
            (Some(counter), Some(now + 100))
        );
    }
    let now = NOW + 1000;
    world.set_clock(now);
    for given in [None, Some(token.as_str())] {
        let release =
            Release { license: &license.claims, token: given, first_play: None, iat: at(now) };
        let (body, pending) = release.draft(&device, &mut SystemRng).unwrap().sign(&world.device);
        let reply = world.post(given, body.clone()).await;
        let receipt = pending.open(reply.body.as_bytes(), &jwks).unwrap();
        assert_eq!((&receipt.jti, receipt.counter), (&first.jti, 4));
        // A receipt is given as often as it is asked for, also much later.
        world.set_clock(now + 10 * DAY);
        if given.is_none() {
            let reply = world.post(None, body).await;
            assert_eq!(pending.open(reply.body.as_bytes(), &jwks).unwrap().jti, first.jti);
        }
        world.set_clock(now);
    }
}

#[tokio::test]
async fn after_a_release_the_same_request_and_every_renewal_find_it_ended() {
    let world = World::new().await;
    let device = &world.device;
    let token = world.rights("renewed", NOW);
    let body = world.signed(&token, device, NOW, as_it_is);
    let license = world.post(Some(&token), body.clone()).await.license();
    world.set_clock(NOW + 120);
    assert_eq!(world.post(Some(&token), body.clone()).await.license()["jti"], license["jti"]);
    let renewed = world.signed(&token, device, NOW + 120, about(&license, "RENEWAL"));
    assert_eq!(world.post(Some(&token), renewed.clone()).await.license()["counter"], 1);

    let returned = receipt(&world.release(device, &license, NOW + 120).await);
    let members: Vec<_> = returned.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["cnf", "counter", "iat", "iss", "jti", "nonce", "sub"]);
    assert_eq!((&returned["jti"], &returned["sub"]), (&license["jti"], &json!("alice")));
    let facts = world.facts().await;
    receipt(&world.release(device, &license, NOW + 120).await);

    world.post(Some(&token), body.clone()).await.refuses(403, "license-expired");
    world.post(Some(&token), renewed.clone()).await.refuses(403, "license-expired");
    world.renew("renewed", device, &license, NOW + 130).await.refuses(403, "license-expired");
    assert_eq!(world.facts().await, facts, "a refusal and a repeated release write nothing");
    let world = world.restarted().await;
    assert_eq!(world.facts().await, facts);
    world
        .renew("renewed", &world.device, &license, NOW + 130)
        .await
        .refuses(403, "license-expired");
    // After 120 seconds the request itself is too old.
    world.set_clock(NOW + 121);
    world.post(Some(&token), body).await.refuses(400, "request-stale");
    // Another request is another license.
    let other = world.play("renewed", &world.device, NOW + 130, as_it_is).await.license();
    assert_ne!(other["jti"], license["jti"]);
}

#[tokio::test]
async fn a_license_is_for_its_device_account_entitlement_and_session_type() {
    let world = World::new().await;
    let other = key();
    let license = world.play("renewed", &world.device, NOW, as_it_is).await.license();
    let unknown = json!({ "jti": "AAAAAAAAAAAAAAAAAAAAAA" });
    world.renew("renewed", &other, &license, NOW).await.refuses(403, "not-authorized");
    world.renew("renewed", &world.device, &unknown, NOW).await.refuses(403, "not-authorized");
    world.release(&other, &license, NOW).await.refuses(403, "not-authorized");
    world.release(&world.device, &unknown, NOW).await.refuses(403, "not-authorized");

    let with = async |kind: &str, change: &dyn Fn(&mut Value), request: &dyn Fn(&mut Value)| {
        let token = world.token(|claims| {
            claims["content_id"] = "movies/rights".into();
            claims["policy_id"] = "renewed".into();
            change(claims);
        });
        let body = world.signed(&token, &world.device, NOW, |claims| {
            about(&license, kind)(claims);
            request(claims);
        });
        world.post(Some(&token), body).await
    };
    let none: &dyn Fn(&mut Value) = &as_it_is;
    let mallory: &dyn Fn(&mut Value) = &|claims| claims["sub"] = "mallory".into();
    let gift: &dyn Fn(&mut Value) = &|claims| claims["entitlement_id"] = "gift".into();
    let kept: &dyn Fn(&mut Value) = &|claims| claims["session_type"] = "persistent-license".into();
    for kind in ["RENEWAL", "RELEASE"] {
        with(kind, mallory, none).await.refuses(403, "not-authorized");
    }
    with("RENEWAL", gift, none).await.refuses(403, "not-authorized");
    // The policy keeps nothing, which is judged first.
    with("RENEWAL", none, kept).await.refuses(403, "persistence-not-allowed");
    with("RELEASE", none, kept).await.refuses(400, "bad-request");
    let bound: &dyn Fn(&mut Value) =
        &|claims| claims["cnf"] = json!({ "jkt": other.public_key().thumbprint().to_string() });
    for kind in ["RENEWAL", "RELEASE"] {
        with(kind, bound, none).await.refuses(403, "token-not-bound");
    }
    let ours: &dyn Fn(&mut Value) = &|claims| {
        claims["cnf"] = json!({ "jkt": world.device.public_key().thumbprint().to_string() });
    };
    assert_eq!(with("RENEWAL", ours, none).await.license()["counter"], 1);
    assert_eq!(with("RELEASE", ours, none).await.status, 200);
}

/// Only a release may come without a token.
#[tokio::test]
async fn without_a_token_nothing_is_granted() {
    let world = World::new().await;
    let license = world.play("renewed", &world.device, NOW, as_it_is).await.license();
    let body = world.signed("", &world.device, NOW, as_it_is);
    world.post(None, body).await.refuses(403, "token-missing");
    let body = world.signed("", &world.device, NOW, about(&license, "RENEWAL"));
    world.post(None, body).await.refuses(403, "token-missing");
    // Signed ahead, up to 120 seconds before the license; and much later.
    for (iat, status) in [(NOW - 121, 400), (NOW - 120, 200), (NOW + DAY, 200)] {
        let body = world.signed("", &world.device, iat, |claims| {
            about(&license, "RELEASE")(claims);
            claims.as_object_mut().unwrap().remove("ath");
        });
        assert_eq!(world.post(None, body).await.status, status, "{iat}");
    }
}

#[tokio::test]
async fn a_rental_goes_on_after_a_restart() {
    let world = World::new().await;
    let kept = |claims: &mut Value| claims["session_type"] = "persistent-license".into();
    let license = world.play("film", &world.device, NOW, kept).await.license();
    assert_eq!(
        (&license["exp"], &license["policy"]["expires_because"]),
        (&json!(NOW + 7 * DAY), &json!("persistent.license_duration"))
    );
    assert_eq!(license["policy"]["playback_duration"], 48 * HOUR);
    let world = world.restarted().await;
    let rental = NOW + 30 * DAY;
    world.play("film", &world.device, rental, as_it_is).await.refuses(403, "rental-expired");
    let played = |claims: &mut Value| {
        about(&license, "RENEWAL")(claims);
        kept(claims);
        claims["first_play"] = (2 * HOUR).into();
    };
    let renewed = world.play("film", &world.device, NOW + DAY, played).await.license();
    assert_eq!((&renewed["exp"], &renewed["counter"]), (&json!(NOW + 50 * HOUR), &json!(1)));
    assert_eq!(renewed["policy"]["expires_because"], "playback_duration");
    assert_eq!(renewed["policy"]["renewal_delay"], 0);
    let world = world.restarted().await;
    let end = NOW + 50 * HOUR;
    let last = world.play("film", &world.device, end - 1, as_it_is).await.license();
    assert_eq!(last["exp"], end);
    world.play("film", &world.device, end, as_it_is).await.refuses(403, "playback-expired");
    // Another purchase has windows of its own.
    let token = world.token(|claims| {
        (claims["iat"], claims["exp"]) = (end.into(), (end + HOUR).into());
        claims["content_id"] = "movies/rights".into();
        (claims["policy_id"], claims["entitlement_id"]) = ("film".into(), "second".into());
    });
    let body = world.signed(&token, &world.device, end, as_it_is);
    assert_eq!(world.post(Some(&token), body).await.status, 200);
}

#[tokio::test]
async fn a_policy_that_needs_no_memory_writes_nothing() {
    let world = World::new().await;
    let commits = || {
        let told = world.authority.metrics(time(NOW), None).unwrap();
        let line = told.lines().find(|line| line.starts_with("reelkey_store_commits_total"));
        line.map(ToOwned::to_owned)
    };
    let (before, facts) = (commits(), world.facts().await);
    assert!(before.is_some());
    for _ in 0..3 {
        let open = world.play("open", &world.device, NOW, as_it_is).await;
        let policy = open.license()["policy"].clone();
        assert_eq!((&policy["can_renew"], policy.get("can_release")), (&false.into(), None));
    }
    world
        .play("places", &world.device, NOW, |claims| claims["iat"] = 1.into())
        .await
        .refuses(400, "request-stale");
    assert_eq!((commits(), world.facts().await), (before.clone(), facts));
    let renewed = world.play("renewed", &world.device, NOW, as_it_is).await.license();
    assert_eq!(renewed["policy"]["can_release"], true);
    assert_ne!(commits(), before, "what is remembered is counted");
}
