//! A service with a few titles, an issuer that is trusted, and a device.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Request};
use reelkey::authority::in_force::Decided;
use reelkey::authority::issuer::{Issuer, Issuers};
use reelkey::authority::makers::Makers;
use reelkey::authority::provision::contents;
use reelkey::authority::provision::keys::{self, NewKey};
use reelkey::authority::service::Authority;
use reelkey::authority::vault::install::first_records;
use reelkey::authority::vault::open::Vault;
use reelkey::authority::vault::root_key_file;
use reelkey::crypto::issuer_key::Algorithm;
use reelkey::crypto::issuer_keys::IssuerKeys;
use reelkey::crypto::random::SystemRng;
use reelkey::crypto::root_key::RootKey;
use reelkey::domain::duration::Duration;
use reelkey::domain::policy_file;
use reelkey::domain::track::TrackType;
use reelkey::http::app::App;
use reelkey::http::log_health::LogHealth;
use reelkey::http::router::router;
use reelkey::store::open::{self as stores, StoreUrl};
use reelkey_client::exchange::device::DeviceKey;
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::strict::base64url;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower::ServiceExt;

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const SERVICE: &str = "reelkey-test";
const ROOT_KEY: &str = "keys/root.key";
const STORE: &str = "store";
pub(crate) const ISS: &str = "https://auth.example";

/// The titles, their policies and their keys' track types.
type TitleRow = (&'static str, &'static [&'static str], &'static [Option<TrackType>]);

const TITLES: [TitleRow; 9] = [
    (
        "movies/bunny",
        &[
            "open",
            "mfa",
            "silent",
            "us",
            "bound",
            "levels",
            "audio",
            "window",
            "strong",
            "certified",
        ],
        &[Some(TrackType::Audio), Some(TrackType::Sd), Some(TrackType::Hd), Some(TrackType::Uhd1)],
    ),
    ("movies/sintel", &["open"], &[Some(TrackType::Sd)]),
    ("movies/empty", &["open"], &[]),
    ("movies/untyped", &["levels"], &[None]),
    ("movies/lost", &["missing"], &[Some(TrackType::Sd)]),
    ("series/one", &["open"], &[Some(TrackType::Sd)]),
    (
        "movies/clear",
        &["clear", "clear-eme", "clear-hls", "clear-silent", "clear-us", "open"],
        &[Some(TrackType::Audio), Some(TrackType::Sd), Some(TrackType::Hd), Some(TrackType::Uhd1)],
    ),
    (
        "movies/rights",
        &["renewed", "film", "streams", "last-stream", "places", "cooled", "open"],
        &[Some(TrackType::Sd)],
    ),
    ("movies/places", &["by-ip", "by-both", "no-vpn", "clear-by-ip"], &[Some(TrackType::Sd)]),
];

const POLICIES: [(&str, &str); 15] = [
    ("open", "can_play = true\nlicense_duration = \"10m\""),
    ("mfa", "can_play = true\nlicense_duration = \"10m\"\nrequired_amr = [\"pwd\", \"mfa\"]"),
    ("silent", "can_play = false\nlicense_duration = \"10m\""),
    (
        "us",
        "can_play = true\nlicense_duration = \"1h\"\n[region]\nevidence = \"token\"\n\
         allowed_countries = [\"US\", \"CA\"]\nblocked_countries = [\"US-TX\"]\n\
         [[region.blackout]]\ncountries = [\"CA\"]\n\
         from = 2027-01-15T08:10:00Z\nuntil = 2027-01-15T08:20:00Z",
    ),
    ("bound", "can_play = true\nlicense_duration = \"10m\"\n[device]\nrequire_binding = true"),
    (
        "levels",
        "can_play = true\nlicense_duration = \"10m\"\n[track.HD]\nhdcp = \"HDCP_V1\"\n\
         max_height = 1080\n[track.UHD1]\nsecurity_level = \"HW_SECURE_ALL\"",
    ),
    ("audio", "can_play = true\nlicense_duration = \"10m\"\ntracks = [\"AUDIO\"]"),
    (
        "window",
        "can_play = true\nlicense_duration = \"10m\"\n\
         available_from = 2027-01-15T08:00:00Z\navailable_until = 2027-01-15T09:00:00Z",
    ),
    (
        "clear",
        "can_play = true\nlicense_duration = \"10m\"\nallow_clearkey = true\nallow_hls_aes128 = true\n\
         [track.UHD1]\nsecurity_level = \"SW_SECURE_DECODE\"",
    ),
    ("clear-eme", "can_play = true\nlicense_duration = \"10m\"\nallow_clearkey = true"),
    ("clear-hls", "can_play = true\nlicense_duration = \"10m\"\nallow_hls_aes128 = true"),
    (
        "clear-silent",
        "can_play = false\nlicense_duration = \"10m\"\nallow_clearkey = true\nallow_hls_aes128 = true",
    ),
    (
        "clear-us",
        "can_play = true\nlicense_duration = \"10m\"\nallow_clearkey = true\nallow_hls_aes128 = true\n\
         [region]\nevidence = \"token\"\nallowed_countries = [\"US\"]",
    ),
    (
        "certified",
        "can_play = true\nlicense_duration = \"10m\"\n[device]\nregistration = \"certified\"",
    ),
    (
        "strong",
        "can_play = true\nlicense_duration = \"10m\"\n[device]\nsecurity_level = \"HW_SECURE_CRYPTO\"",
    ),
];

pub(crate) struct World {
    pub(crate) issuer: DeviceKey,
    pub(crate) device: DeviceKey,
    pub(crate) authority: Arc<Authority>,
    data: TempDir,
    extra_issuers: Vec<Issuer>,
    makers: Makers,
    pub(crate) router: Router,
    clock: Arc<AtomicU64>,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) bytes: Vec<u8>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_issuers(Vec::new()).await
    }

    pub(crate) async fn with_issuers(extra_issuers: Vec<Issuer>) -> Self {
        Self::with(extra_issuers, Makers::default()).await
    }

    /// A service that trusts the makers of some devices.
    pub(crate) async fn with_makers(makers: Makers) -> Self {
        Self::with(Vec::new(), makers).await
    }

    async fn with(extra_issuers: Vec<Issuer>, makers: Makers) -> Self {
        let (issuer, device) = (key(), key());
        let (root, data) = (RootKey::generate().unwrap(), tempfile::tempdir().unwrap());
        stores::create(&store(&data), first_records(&root, time(NOW)).unwrap()).await.unwrap();
        root_key_file::write(&data.path().join(ROOT_KEY), &root).unwrap();
        let vault = vault(&data).await;
        fill(&vault).await;
        let clock = Arc::new(AtomicU64::new(NOW));
        let authority = open(&issuer, &extra_issuers, &makers, vault).await;
        let router = routes(&authority, &clock);
        Self { issuer, device, data, authority, extra_issuers, makers, router, clock }
    }

    /// The same installation after a restart.
    pub(crate) async fn restarted(self) -> Self {
        let Self { issuer, device, data, authority, extra_issuers, makers, router, clock } = self;
        drop((router, authority));
        let vault = vault(&data).await;
        let authority = open(&issuer, &extra_issuers, &makers, vault).await;
        let router = routes(&authority, &clock);
        Self { issuer, device, data, authority, extra_issuers, makers, router, clock }
    }

    pub(crate) fn set_clock(&self, now: u64) {
        self.clock.store(now, Ordering::Relaxed);
    }

    /// A token for movies/bunny with changes.
    pub(crate) fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = json!({
            "iss": ISS, "sub": "alice", "aud": SERVICE, "iat": NOW, "exp": NOW + 3600,
            "content_id": "movies/bunny",
        });
        change(&mut claims);
        sign(&json!({ "alg": "ES256", "typ": "JWT" }), &claims, &self.issuer)
    }

    /// The claims of a request for movies/bunny that goes with `token`.
    pub(crate) fn claims(&self, token: &str) -> Value {
        json!({
            "aud": SERVICE, "iat": NOW, "jti": "0123456789abcdefghijkl",
            "request_type": "NEW", "session_type": "temporary", "content_id": "movies/bunny",
            "enc_jwk": key().public_key().to_jwk(),
            "ath": base64url::encode(&Sha256::digest(token)),
        })
    }

    /// The header of a request.
    pub(crate) fn header(&self) -> Value {
        json!({ "typ": "license-request+jwt", "alg": "ES256",
            "jwk": self.device.public_key().to_jwk() })
    }

    /// A signed request with changes.
    pub(crate) fn request(&self, token: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims(token);
        change(&mut claims);
        sign(&self.header(), &claims, &self.device)
    }

    pub(crate) async fn post(&self, token: Option<&str>, body: impl Into<Body>) -> Reply {
        let mut request = Request::post("/v1/license");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        self.send_to(&self.router, request).await
    }

    /// Sends to other routes than those of this world.
    pub(crate) async fn send_to(&self, router: &Router, request: Request<Body>) -> Reply {
        let response = router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let bytes = Vec::from(body);
        Reply { status, headers, body: String::from_utf8_lossy(&bytes).into_owned(), bytes }
    }

    /// Asks with a changed token and a changed request.
    pub(crate) async fn ask(
        &self,
        token: impl FnOnce(&mut Value),
        request: impl FnOnce(&mut Value),
    ) -> Reply {
        let token = self.token(token);
        let body = self.request(&token, request);
        self.post(Some(&token), body).await
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The claims of the license that this is. Its signature is somebody else's test.
    pub(crate) fn license(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        let claims = self.body.split('.').nth(1).unwrap();
        serde_json::from_slice(&base64url::decode(claims).unwrap()).unwrap()
    }

    /// Holds the answer to a refusal: status, reason, type, and the form of all refusals.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, reason: &str) {
        assert_eq!(
            (self.status, self.json()["reason"].as_str()),
            (status, Some(reason)),
            "{self:?}"
        );
        let problem = self.json();
        let kind = match reason {
            "token-missing" | "token-invalid" | "token-expired" | "token-not-bound" => {
                "https://dashif.org/drm-problems/insufficient-proof-of-authorization".into()
            }
            "not-authorized" => "https://dashif.org/drm-problems/not-authorized".into(),
            reason => format!("/problems/{reason}"),
        };
        assert_eq!(problem["type"], kind);
        assert_eq!(problem["status"], status);
        let id = self.headers["x-request-id"].to_str().unwrap();
        assert_eq!(problem["instance"], format!("urn:uuid:{id}"));
        assert!(problem["server_time"].is_u64());
        for member in ["title", "detail"] {
            assert!(!problem[member].as_str().unwrap().is_empty());
        }
        let members = 7 + usize::from(reason == "concurrency-limit");
        assert_eq!(problem.as_object().unwrap().len(), members);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}

pub(crate) fn key() -> DeviceKey {
    DeviceKey::generate(&mut SystemRng).unwrap()
}

pub(crate) const fn time(seconds: u64) -> UnixTime {
    UnixTime::from_secs(seconds)
}

/// The KID of a title's key: the title's place and the key's in the lists above.
pub(crate) fn kid(title: u8, key: u8) -> KeyId {
    let mut bytes = [0xa0; 16];
    (bytes[0], bytes[15]) = (title, key);
    KeyId::from_bytes(bytes)
}

/// The value of that key.
pub(crate) fn key_hex(title: u8, key: u8) -> String {
    format!("{title:02x}{key:02x}cafe00112233445566778899aabb")
}

pub(crate) fn kid_text(title: u8, key: u8) -> String {
    base64url::encode(kid(title, key).as_bytes())
}

/// A compact JWS, ES256.
pub(crate) fn sign(header: &Value, claims: &Value, key: &DeviceKey) -> String {
    let input = signing_input(header, claims);
    let signature = base64url::encode(key.sign(input.as_bytes()).as_bytes());
    format!("{input}.{signature}")
}

pub(crate) fn signing_input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// An issuer under the test's control.
pub(crate) fn issuer(iss: &str, jwks: &Value, algorithms: &[Algorithm]) -> Issuer {
    Issuer {
        iss: iss.into(),
        keys: IssuerKeys::parse(jwks.to_string().as_bytes()).unwrap().into(),
        algorithms: algorithms.to_vec(),
        audience: SERVICE.into(),
        longest_life: Duration::from_secs(24 * 3600),
        content: vec!["movies/*".parse().unwrap()],
        content_claim: None,
    }
}

fn store(data: &TempDir) -> StoreUrl {
    StoreUrl::Sled(data.path().join(STORE))
}

async fn vault(data: &TempDir) -> Vault {
    let store = stores::open(&store(data)).await.unwrap();
    Vault::open(store, data.path().join(ROOT_KEY)).await.unwrap()
}

async fn open(
    trusted: &DeviceKey,
    extra: &[Issuer],
    makers: &Makers,
    vault: Vault,
) -> Arc<Authority> {
    let jwks = json!({ "keys": [trusted.public_key().to_jwk()] });
    let issuers: Issuers =
        extra.iter().cloned().chain([issuer(ISS, &jwks, &[Algorithm::Es256])]).collect();
    let policies = POLICIES.iter().chain(&crate::rights::POLICIES).chain(&crate::places::POLICIES);
    let policies = policies.map(|(name, text)| policy_file::parse(name, text).unwrap()).collect();
    let origins = vec!["https://player.example".parse().unwrap()];
    let (makers, atlas) = (makers.clone(), Arc::new(crate::places::atlas()));
    let decided = Decided { issuers, policies, makers, origins, atlas, ..Decided::default() };
    Arc::new(Authority::open(SERVICE.into(), decided, vault).await.unwrap())
}

fn routes(authority: &Arc<Authority>, clock: &Arc<AtomicU64>) -> Router {
    let clock = Arc::clone(clock);
    let clock = Arc::new(move || time(clock.load(Ordering::Relaxed)));
    router(App { authority: Arc::clone(authority), clock, log: LogHealth::default() })
}

async fn fill(vault: &Vault) {
    for (title, (content, policies, tracks)) in (0_u8..).zip(TITLES) {
        let content = content.parse().unwrap();
        let policies: Vec<_> = policies.iter().map(ToString::to_string).collect();
        contents::add(vault, &content, &policies, None, time(NOW)).await.unwrap();
        for (number, track) in (0_u8..).zip(tracks) {
            let key = ContentKey::parse_hex(&key_hex(title, number)).unwrap();
            let kid = kid(title, number);
            let new = NewKey { kid, content: &content, track: *track, period: None, key };
            keys::import(vault, new, time(NOW)).await.unwrap();
        }
    }
}
