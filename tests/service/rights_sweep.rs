//! The sweep removes what ended long ago, and nothing that a rule may still ask for, however short the retention time is.

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::AUTHORIZATION;
use reelkey::authority::registry::sweep::{Retention, Sweep};
use reelkey::domain::duration::Duration;
use reelkey::store::batch::{Batch, Committed, Entry};
use reelkey::store::engine::Store;
use reelkey::store::error::Error;
use reelkey::store::record::fact::account::{ACCOUNTS, Kind};
use reelkey::store::record::fact::license::{LicenseRecord, OwnerRecord};
use reelkey::store::record::stored::{Record, Stored};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::{NOW, World, key, time};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn as_it_is(_: &mut Value) {}

impl World {
    /// Sweeps as the service does, with this `[retention]`. Returns how many facts were removed.
    async fn sweep(&self, facts_secs: u64, now: u64) -> usize {
        let in_force = self.authority.in_force();
        let facts = Duration::from_secs(facts_secs);
        self.sweep_by(Retention::under(facts, in_force.policies.values()), now).await
    }

    async fn sweep_by(&self, retention: Retention, now: u64) -> usize {
        let (mut sweep, mut removed) = (Sweep::default(), 0);
        let facts = self.authority.facts();
        while let Some(more) = sweep.step(&*facts, retention, time(now)).await.unwrap() {
            removed += more;
        }
        removed
    }

    async fn of_kind(&self, kind: Kind) -> usize {
        let facts = self.facts().await;
        facts.iter().filter(|(key, _)| Kind::of(key) == Some(kind)).count()
    }

    async fn owners(&self) -> usize {
        let facts = self.facts().await;
        facts.iter().filter(|(key, _)| key.starts_with(OwnerRecord::PREFIX.as_bytes())).count()
    }
}

/// No time at all, and no policy that needs more.
fn shortest() -> Retention {
    Retention::under(Duration::from_secs(0), [])
}

#[tokio::test]
async fn a_removed_device_stays_until_its_cooldown_is_over() {
    let world = World::new().await;
    let other = key();
    world.play("cooled", &world.device, NOW, as_it_is).await.license();
    let token = world.token(|claims| {
        (claims["scope"], claims["content_id"]) = ("devices".into(), "*".into());
    });
    let path = format!("/v1/devices/{}", world.device.public_key().thumbprint());
    let request = Request::delete(path).header(AUTHORIZATION, format!("Bearer {token}"));
    assert_eq!(world.send(request.body(Body::empty()).unwrap()).await.status, 200);

    world.sweep(0, NOW + DAY - 1).await;
    assert_eq!((world.of_kind(Kind::Device).await, world.of_kind(Kind::Place).await), (1, 1));
    world.play("cooled", &other, NOW + DAY - 1, as_it_is).await.refuses(403, "device-limit");
    world.sweep(0, NOW + DAY).await;
    assert_eq!((world.of_kind(Kind::Device).await, world.of_kind(Kind::Place).await), (0, 0));
    world.play("cooled", &other, NOW + DAY, as_it_is).await.license();
}

#[tokio::test]
async fn a_license_stays_as_long_as_it_may_be_renewed_and_a_rental_for_ever() {
    let world = World::new().await;
    let license = world.play("cooled", &world.device, NOW, as_it_is).await.license();
    let last = NOW + 600 + HOUR - 1;
    world.sweep(0, last).await;
    let renewed = world.renew("cooled", &world.device, &license, last).await.license();
    assert_eq!(renewed["counter"], 1);
    let end = last + 600 + HOUR;
    world.sweep(0, end - 1).await;
    assert_eq!(world.of_kind(Kind::License).await, 1);
    assert!(world.sweep(0, end).await > 0);
    assert_eq!((world.of_kind(Kind::License).await, world.owners().await), (0, 0));
    world.renew("cooled", &world.device, &license, end).await.refuses(403, "not-authorized");
    world.sweep(0, NOW + 400 * DAY).await;
    let rental = NOW + 30 * DAY;
    world.play("cooled", &world.device, rental, as_it_is).await.refuses(403, "rental-expired");
}

#[tokio::test]
async fn a_released_license_stays_until_its_request_is_stale() {
    let world = World::new().await;
    let token = world.token(|claims| {
        (claims["content_id"], claims["policy_id"]) = ("movies/rights".into(), "renewed".into());
        claims["license_not_after"] = (NOW + 2).into();
    });
    let body = world.signed(&token, &world.device, NOW, as_it_is);
    let license = world.post(Some(&token), body.clone()).await.license();
    assert_eq!(license["exp"], NOW + 2);
    assert_eq!(world.release(&world.device, &license, NOW + 1).await.status, 200);
    world.sweep_by(shortest(), NOW + 120).await;
    world.set_clock(NOW + 120);
    world.post(Some(&token), body.clone()).await.refuses(403, "license-expired");
    world.set_clock(NOW + 121);
    world.post(Some(&token), body).await.refuses(400, "request-stale");
    assert_eq!(world.of_kind(Kind::License).await, 1);
    world.sweep_by(shortest(), NOW + 2 + 240).await;
    assert_eq!(world.of_kind(Kind::License).await, 0);
}

#[tokio::test]
async fn a_stopped_device_stops_no_other_after_a_sweep() {
    let world = World::new().await;
    let [one, two, three] = [key(), key(), key()];
    world.play("last-stream", &one, NOW, as_it_is).await.license();
    let second = world.play("last-stream", &two, NOW + 10, as_it_is).await.license();
    assert_eq!(world.release(&two, &second, NOW + 20).await.status, 200);
    world.sweep_by(shortest(), NOW + 300).await;
    world.play("last-stream", &three, NOW + 300, as_it_is).await.license();
    world.play("last-stream", &one, NOW + 310, as_it_is).await.refuses(409, "concurrency-limit");
    world.play("last-stream", &one, NOW + 600, as_it_is).await.license();
}

/// A store in which somebody changes a license just before the first commit.
struct Overtaken {
    store: Arc<dyn Store>,
    commits: AtomicUsize,
}

#[async_trait]
impl Store for Overtaken {
    async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.store.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.store.get_many(keys).await
    }

    async fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.store.scan(prefix, after, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, Error> {
        if self.commits.fetch_add(1, Ordering::Relaxed) == 0 {
            let facts = self.store.scan(ACCOUNTS.as_bytes(), None, 1_000).await?;
            let is_license = |(key, _): &Entry| Kind::of(key) == Some(Kind::License);
            let (key, value) = facts.into_iter().find(is_license).unwrap();
            let old: Stored<LicenseRecord> = Stored::parse(&key, value)?;
            let new = LicenseRecord { counter: 9, ..LicenseRecord::clone(&old) };
            self.store.commit(Batch::default().replace_record(&old, &new)?).await?;
        }
        self.store.commit(batch).await
    }

    fn is_healthy(&self) -> bool {
        self.store.is_healthy()
    }
}

#[tokio::test]
async fn a_step_is_one_commit_and_spares_what_changes_meanwhile() {
    let world = World::new().await;
    for _ in 0..5 {
        world.play("renewed", &key(), NOW, as_it_is).await.license();
    }
    let (store, commits) = (world.authority.facts(), AtomicUsize::new(0));
    let overtaken = Overtaken { store, commits };
    let retention = Retention::under(Duration::from_secs(DAY), []);
    let ended = time(NOW + 600 + DAY);
    let mut sweep = Sweep::default();
    assert_eq!(sweep.step(&overtaken, retention, ended).await.unwrap(), Some(4));
    assert_eq!(overtaken.commits.into_inner(), 1 + 5);
    assert_eq!((world.of_kind(Kind::License).await, world.owners().await), (1, 1));

    let overtaken = Overtaken { store: world.authority.facts(), commits: AtomicUsize::new(1) };
    for _ in 0..5 {
        world.play("renewed", &key(), NOW, as_it_is).await.license();
    }
    let step = Sweep::default().step(&overtaken, retention, time(NOW + 599 + DAY)).await.unwrap();
    assert_eq!((step, overtaken.commits.load(Ordering::Relaxed)), (Some(0), 1));
    let step = Sweep::default().step(&overtaken, retention, ended).await.unwrap();
    assert_eq!((step, overtaken.commits.into_inner()), (Some(6), 2), "one commit");
}
