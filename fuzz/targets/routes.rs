//! The routes of packagers, as a packager may call them that knows its secret: whatever the path, the query and the body are,
//! there is an answer, it is no fault of the service, and a refusal has no key.
//!
//! The first line of the input is the path behind `/v1/keys/`, with its query. The rest is the body; without one it is a `GET`.
#![no_main]

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{Request, Uri};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use libfuzzer_sys::fuzz_target;
use reelkey::authority::in_force::Decided;
use reelkey::authority::operation::order::Actor;
use reelkey::authority::operation::packager::AddPackager;
use reelkey::authority::packager::SecretHash;
use reelkey::authority::provision::contents;
use reelkey::authority::provision::keys::{self, NewKey};
use reelkey::authority::service::Authority;
use reelkey::authority::vault::install::first_records;
use reelkey::authority::vault::open::Vault;
use reelkey::authority::vault::root_key_file;
use reelkey::crypto::root_key::RootKey;
use reelkey::domain::packager::Permission;
use reelkey::domain::policy_file;
use reelkey::domain::track::TrackType;
use reelkey::http::app::App;
use reelkey::http::log_health::LogHealth;
use reelkey::http::router::router;
use reelkey::store::open::{self as stores, StoreUrl};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const SECRET: &str = "a-secret-of-the-encoder";
const KEY: &str = "3f1b5e0c9a7d4826b0c1d2e3f4a5b6c7";
const POLICY: &str = "can_play = true\nlicense_duration = \"10m\"\nallow_hls_aes128 = true";
/// The longest answer: that of the most keys and systems which a body of this length can ask for.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

struct World {
    runtime: Runtime,
    router: Router,
    _data: TempDir,
}

/// A service with one title that has a key, and a packager of this title that may not add others.
async fn open(data: &TempDir) -> Router {
    let (store, root) = (StoreUrl::Sled(data.path().join("store")), RootKey::generate().unwrap());
    let root_key = data.path().join("root.key");
    stores::create(&store, first_records(&root, NOW).unwrap()).await.unwrap();
    root_key_file::write(&root_key, &root).unwrap();
    let vault = Vault::open(stores::open(&store).await.unwrap(), root_key).await.unwrap();
    let content = "a".parse().unwrap();
    contents::add(&vault, &content, &["open".to_owned()], None, NOW).await.unwrap();
    let (kid, track) = (KeyId::from_bytes([7; 16]), Some(TrackType::Sd));
    let key = ContentKey::parse_hex(KEY).unwrap();
    let new = NewKey { kid, content: &content, track, period: None, key };
    keys::import(&vault, new, NOW).await.unwrap();
    let policies = [("open", POLICY)].map(|(name, text)| policy_file::parse(name, text).unwrap());
    let decided = Decided { policies: policies.into_iter().collect(), ..Decided::default() };
    let authority = Arc::new(Authority::open("fuzz".into(), decided, vault).await.unwrap());
    let packager = AddPackager {
        name: "encoder".parse().unwrap(),
        content: vec!["a".parse().unwrap()],
        allow: Permission::ALL.into(),
        policies: Vec::new(),
        secret_sha256: SecretHash::of(SECRET.as_bytes()),
        is_secret_new: false,
        signing: None,
        client_ca: None,
    };
    authority.administer(packager, Actor::User { uid: 0 }, NOW).await.unwrap();
    router(App { authority, clock: Arc::new(|| NOW), log: LogHealth::default() })
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let data = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let router = runtime.block_on(open(&data));
        World { runtime, router, _data: data }
    })
}

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (path, body) = bytes.split_at(end);
    let body = body.strip_prefix(b"\n").unwrap_or(body).to_vec();
    // What is no URI never comes as far as the routes.
    let Ok(uri) = Uri::try_from([b"/v1/keys/".as_slice(), path].concat()) else { return };
    let is_get = body.is_empty();
    let mut request = if is_get { Request::get(uri) } else { Request::post(uri) };
    if body.len() % 2 == 1 {
        request = request.header("x-speke-version", "2.0");
    }
    let request = request
        .header(HOST, "drm.example")
        .header(AUTHORIZATION, format!("Bearer {SECRET}"))
        .body(Body::from(body))
        .unwrap();
    let World { runtime, router, .. } = world();
    let (status, answer) = runtime.block_on(async {
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (status, to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap())
    });
    // SOAP 1.1 answers every fault with 500.
    assert!(!status.is_server_error() || path.starts_with(b"playready"), "{status}");
    // A refusal may say what was asked, and a fuzzer finds out what is looked for.
    assert!(status.is_success() || has_key(bytes) || !has_key(&answer), "a refusal has a key");
});

/// What hides the key from the fuzzer, which would put it into its inputs once it has seen it compared.
const MASK: u8 = 0x5a;

fn masked(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ MASK).collect()
}

/// Whether there is the key of the title, in any form that a protocol gives it.
fn has_key(text: &[u8]) -> bool {
    static FORMS: OnceLock<[Vec<u8>; 4]> = OnceLock::new();
    let forms = FORMS.get_or_init(|| {
        let bytes = u128::from_str_radix(KEY, 16).unwrap().to_be_bytes();
        let [base64, base64url] =
            [Base64::encode_string(&bytes), Base64UrlUnpadded::encode_string(&bytes)];
        [&bytes[..], KEY.as_bytes(), base64.as_bytes(), base64url.as_bytes()].map(masked)
    });
    let has = |text: &[u8]| {
        let text = masked(text);
        forms.iter().any(|form| text.windows(form.len()).any(|part| part == form))
    };
    // The Widevine API has its answer in base64.
    let inner = serde_json::from_slice::<Value>(text).ok();
    let inner = inner.and_then(|answer| Base64::decode_vec(answer["response"].as_str()?).ok());
    has(text) || inner.is_some_and(|inner| has(&inner))
}
