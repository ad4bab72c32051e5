//! Viewers who play, renew and give back, from all sides, under policies that remember: what each was told, and whether the
//! store and the service still know it after a power loss or a kill.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;

use reelkey::authority::registry::{devices, licenses, sessions};
use reelkey::authority::vault::open::Vault;
use reelkey::crypto::random::SystemRng;
use reelkey::domain::past::{LicenseId, LicenseState};
use reelkey::store::engine::Store;
use reelkey::store::open::{self as stores, StoreUrl};
use reelkey::store::record::fact::account::AccountId;
use reelkey::store::record::fact::usage::UsageRecord;
use reelkey::store::record::stored;
use reelkey_client::exchange::ask::Ask;
use reelkey_client::exchange::license::Claims;
use reelkey_client::exchange::release::Release;
use reelkey_client::exchange::renew::Renew;
use reelkey_client::exchange::{DeviceKey, Jwks};
use reelkey_client::strict::base64url;
use reelkey_client::time::UnixTime;
use serde_json::{Value, json};

use crate::film::{ask, now};
use crate::installation::{Installation, Service};
use crate::remembered::try_send;

const ISS: &str = "https://viewers.example";
const CONTENT: &str = "movies/viewed";
const LIFE: u64 = 600;
const GRACE: u64 = 60;

/// One stream, and one device: the policies of viewers with even and odd numbers. Both have the windows of a rental.
const STREAMS: &str = "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\n\
    rental_duration = \"30d\"\nplayback_duration = \"48h\"\n\
    [concurrency]\nlimit = 1\ngrace_period = \"60s\"\n";
const PLACES: &str = "can_play = true\nlicense_duration = \"10m\"\ncan_renew = true\n\
    rental_duration = \"30d\"\nplayback_duration = \"48h\"\n[device]\nlimit = 1\n";

/// How many play at once: enough for groups to form.
const PLAYERS: usize = 8;

/// How many viewers go on after a restart, of those that were told something last.
const GO_ON: usize = 6;

/// A viewer with one device and one license, and what it was told last.
struct Viewer {
    number: usize,
    token: String,
    device: DeviceKey,
    claims: Claims,
    is_released: bool,
    /// Whether a release got no answer: it may have been done.
    is_in_doubt: bool,
}

/// Everybody who was told something.
pub(crate) struct Viewers {
    issuer: DeviceKey,
    jwks: OnceLock<Jwks>,
    next: AtomicUsize,
    told: Mutex<Vec<Viewer>>,
}

impl Viewers {
    /// Viewers of a title of this installation.
    pub(crate) fn of(installation: &Installation) -> Self {
        let issuer = DeviceKey::generate(&mut SystemRng).unwrap();
        installation.write("policies/streams.toml", STREAMS.as_bytes());
        installation.write("policies/places.toml", PLACES.as_bytes());
        let jwks = json!({ "keys": [issuer.public_key().to_jwk()] }).to_string();
        let jwks = installation.write("viewers.jwks.json", jwks.as_bytes());
        let jwks = jwks.to_str().unwrap();
        let add = ["issuer", "add", ISS, "--jwks", jwks, "--alg", "ES256", "--content", CONTENT];
        installation.succeed(&add);
        installation
            .succeed(&["content", "add", CONTENT, "--policy", "streams", "--policy", "places"]);
        installation.succeed(&["key", "generate", CONTENT, "--track", "HD"]);
        let (jwks, next, told) = (OnceLock::new(), AtomicUsize::new(0), Mutex::default());
        Self { issuer, jwks, next, told }
    }

    /// How many were told something.
    pub(crate) fn count(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    fn token(&self, number: usize) -> String {
        let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
        let (iat, sub) = (now().as_secs(), format!("viewer {number}"));
        let claims = json!({ "iss": ISS, "sub": sub, "aud": "reelkey", "iat": iat, "exp": iat + 7200,
            "content_id": CONTENT, "policy_id": policy(number) });
        let input = format!("{}.{}", part(&json!({ "alg": "ES256", "typ": "JWT" })), part(&claims));
        let signature = base64url::encode(self.issuer.sign(input.as_bytes()).as_bytes());
        format!("{input}.{signature}")
    }

    /// Lets new viewers play until so many more were told something, or nobody answers any more.
    /// [`Self::go_on`] came before.
    pub(crate) fn play(&self, service: &Service, enough: usize) {
        let jwks = self.jwks.get().unwrap();
        let enough = self.count().saturating_add(enough);
        thread::scope(|scope| {
            for _ in 0..PLAYERS {
                scope.spawn(|| {
                    while self.count() < enough {
                        let number = self.next.fetch_add(1, Ordering::Relaxed);
                        if self.play_one(service, jwks, number).is_none() {
                            return;
                        }
                    }
                });
            }
        });
    }

    /// A license; every third viewer renews it, and every third gives it back. `None` once nobody answers.
    fn play_one(&self, service: &Service, jwks: &Jwks, number: usize) -> Option<()> {
        let (token, device) = (self.token(number), DeviceKey::generate(&mut SystemRng).unwrap());
        let ask = Ask { content_id: Some(CONTENT), ..ask(&token) };
        let draft = ask.draft(&device.public_key(), None, &mut SystemRng).unwrap();
        let (body, pending) = draft.sign(&device);
        let answer = granted(try_send(service, &token, &body))?;
        let claims = pending.open(answer.as_bytes(), jwks).unwrap().claims;
        let (is_released, is_in_doubt) = (false, false);
        let mut viewer = Viewer { number, token, device, claims, is_released, is_in_doubt };
        let answered = match number % 3 {
            0 => Some(()),
            1 => viewer.renew(service, jwks),
            _ => viewer.release(service),
        };
        viewer.is_in_doubt = answered.is_none() && number % 3 == 2;
        self.told.lock().unwrap().push(viewer);
        answered
    }

    /// Those who were told something last go on where they were.
    pub(crate) fn go_on(&self, service: &Service) {
        let jwks = self.jwks.get_or_init(|| {
            let (_, jwks) = service.send("GET", "/.well-known/jwks.json", "", "");
            Jwks::parse(jwks.as_bytes()).unwrap()
        });
        let mut told = self.told.lock().unwrap();
        for viewer in told.iter_mut().rev().filter(|viewer| !viewer.is_in_doubt).take(GO_ON) {
            let number = viewer.number;
            if viewer.is_released {
                let (status, answer) = viewer.ask_again(service);
                assert!(status == 403 && answer.contains("license-expired"), "{number}: {answer}");
                continue;
            }
            let before = viewer.claims.counter;
            viewer.renew(service, jwks).unwrap();
            assert!(viewer.claims.counter > before, "{number}: {before}");
            let other = DeviceKey::generate(&mut SystemRng).unwrap();
            let ask = Ask { content_id: Some(CONTENT), ..ask(&viewer.token) };
            let draft = ask.draft(&other.public_key(), None, &mut SystemRng).unwrap();
            let (status, answer) =
                service.send("POST", "/v1/license", &viewer.token, &draft.sign(&other).0);
            let expected = match policy(number) {
                "streams" => (409, "concurrency-limit"),
                _ => (403, "device-limit"),
            };
            assert!(status == expected.0 && answer.contains(expected.1), "{number}: {answer}");
        }
    }

    /// Holds the store, which no service has opened, to what was told.
    pub(crate) fn hold(&self, data: &Path) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let told = self.told.lock().unwrap();
        runtime.block_on(async {
            let store = stores::open(&StoreUrl::Sled(data.join("store"))).await.unwrap();
            let vault = Vault::open(store, data.join("keys/root.key")).await.unwrap();
            let (facts, naming_key) = (vault.facts(), vault.naming_key().await.unwrap());
            for viewer in told.iter() {
                let sub = format!("viewer {}", viewer.number);
                let account = AccountId::from_bytes(naming_key.account_id(ISS, &sub));
                viewer.is_known(&*facts, &account).await;
            }
            no_slot_outlives_its_license(&*facts).await;
        });
    }
}

fn policy(number: usize) -> &'static str {
    if number.is_multiple_of(2) { "streams" } else { "places" }
}

/// A grant or a receipt. Everything here is granted, as long as somebody answers.
fn granted(answer: Option<(u16, String)>) -> Option<String> {
    let (status, body) = answer?;
    assert_eq!(status, 200, "{body}");
    Some(body)
}

impl Viewer {
    fn renew(&mut self, service: &Service, jwks: &Jwks) -> Option<()> {
        let (license, token) = (&self.claims, &*self.token);
        let renew = Renew { license, token, first_play: None, end_session: None, iat: now() };
        let draft = renew.draft(&self.device.public_key(), &mut SystemRng).unwrap();
        let (body, pending) = draft.sign(&self.device);
        let answer = granted(try_send(service, token, &body))?;
        self.claims = pending.open(answer.as_bytes(), jwks).unwrap().claims;
        Some(())
    }

    fn release(&mut self, service: &Service) -> Option<()> {
        let release = Release { license: &self.claims, token: None, first_play: None, iat: now() };
        let draft = release.draft(&self.device.public_key(), &mut SystemRng).unwrap();
        granted(try_send(service, "", &draft.sign(&self.device).0))?;
        self.is_released = true;
        Some(())
    }

    /// The answer to one more renewal.
    fn ask_again(&self, service: &Service) -> (u16, String) {
        let (license, token) = (&self.claims, &*self.token);
        let renew = Renew { license, token, first_play: None, end_session: None, iat: now() };
        let draft = renew.draft(&self.device.public_key(), &mut SystemRng).unwrap();
        service.send("POST", "/v1/license", token, &draft.sign(&self.device).0)
    }

    /// License, device with its place, first use and slot are there, as they were told. A renewal or release that got no answer
    /// may have been done.
    async fn is_known(&self, facts: &dyn Store, account: &AccountId) {
        let number = self.number;
        let id: LicenseId = self.claims.jti.parse().unwrap();
        let owned = licenses::find(facts, id).await.unwrap();
        assert!(owned.is_some(), "{number}: the license {id} is lost");
        let owned = owned.unwrap();
        let license = owned.license;
        assert_eq!(owned.account, *account, "{number}");
        assert!(license.counter >= self.claims.counter, "{number}: {license:?}");
        assert!(license.expires_at.as_secs() >= self.claims.exp, "{number}: {license:?}");
        if self.is_released {
            assert_eq!(license.state, LicenseState::Returned, "{number}");
        }
        let device = self.device.public_key().thumbprint();
        let device = devices::find(facts, account, device).await.unwrap();
        assert!(device.is_some(), "{number}: the device is lost");
        let place = device.unwrap().place;
        let content = CONTENT.parse().unwrap();
        let usage = UsageRecord::key_of(account, &content, "");
        let usage = stored::read::<UsageRecord>(facts, &usage).await.unwrap();
        assert!(usage.is_some_and(|usage| usage.played_at.is_some()), "{number}: no first use");
        if policy(number) == "places" {
            assert_eq!(place, Some(0), "{number}");
            return;
        }
        let at = UnixTime::from_secs(self.claims.iat);
        let slots = sessions::list(facts, Some(*account), 9, at).await.unwrap();
        if license.state == LicenseState::Active {
            let until = license.expires_at.as_secs() + GRACE;
            let slots: Vec<_> =
                slots.iter().map(|one| (one.slot.license, one.slot.until)).collect();
            assert_eq!(slots, [(id, UnixTime::from_secs(until))], "{number}");
        }
    }
}

/// Also one that nobody was told of: its license is there, and it ends with it and the grace period.
async fn no_slot_outlives_its_license(facts: &dyn Store) {
    let all = sessions::list(facts, None, usize::MAX, UnixTime::from_secs(0)).await.unwrap();
    let latest = now().as_secs() + LIFE + GRACE;
    for session in all {
        let slot = session.slot;
        let owned = licenses::find(facts, slot.license).await.unwrap();
        assert!(owned.is_some(), "{slot:?} is of no license");
        let license = owned.unwrap().license;
        let end = license.expires_at.as_secs() + GRACE;
        assert!(slot.until.as_secs() <= end.min(latest), "{slot:?}, {license:?}");
    }
}
