//! Rotations, while licenses are granted: nothing is lost at any moment, and old keys go.

use std::collections::{BTreeMap, BTreeSet};

use reelkey::authority::operation::{KekView, Operation, Outcome};
use serde_json::{Value, json};

use crate::world::{NOW, World, time};

fn as_it_is(_: &mut Value) {}

impl World {
    pub(crate) async fn administer(&self, operation: Operation, now: u64) -> Outcome {
        self.authority.administer(operation, time(now)).await.unwrap()
    }

    async fn keks(&self) -> Vec<KekView> {
        match self.administer(Operation::KekList, NOW).await {
            Outcome::Keks { keks } => keks,
            other => panic!("{other:?}"),
        }
    }

    async fn rewrap(&self, limit: usize) -> (usize, usize) {
        match self.administer(Operation::KekRewrap { limit }, NOW).await {
            Outcome::Rewrapped { done, left } => (done, left),
            other => panic!("{other:?}"),
        }
    }

    async fn kids(&self) -> BTreeSet<String> {
        let keys = self.license_kid().await.1;
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].to_string()).collect()
    }

    /// Which key signed a license, and the published set.
    async fn license_kid(&self) -> (String, Value) {
        let reply = self.ask(as_it_is, as_it_is).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let header =
            reelkey_client::strict::base64url::decode(reply.body.split('.').next().unwrap());
        let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
        let request = axum::http::Request::get("/.well-known/jwks.json");
        let jwks = self.send(request.body(axum::body::Body::empty()).unwrap()).await.json();
        (header["kid"].to_string(), jwks)
    }
}

#[tokio::test]
async fn every_key_opens_after_every_step_of_a_rotation() {
    let world = World::new().await;
    let before = world.keks().await;
    assert_eq!((before.len(), before[0].primary), (1, true));
    world.administer(Operation::KekRotate, NOW).await;
    let keks = world.keks().await;
    assert_eq!(keks.iter().filter(|kek| kek.primary).count(), 1, "exactly one is primary");
    assert_eq!((keks[0].secrets, keks[1].secrets), (before[0].secrets, 0));

    // A generation that wraps something is not dropped, and neither is the primary one.
    for generation in [1, 2] {
        let retire = Operation::KekRetire { generation: Some(generation) };
        assert!(world.authority.administer(retire, time(NOW)).await.is_err());
    }
    let mut left = before[0].secrets;
    while left > 0 {
        let (done, now_left) = world.rewrap(1).await;
        assert_eq!((done, now_left), (1, left - 1));
        left = now_left;
        assert_eq!(world.ask(as_it_is, as_it_is).await.status, 200);
    }
    assert_eq!(world.rewrap(1000).await, (0, 0), "after it is done there is nothing to do");
    world.administer(Operation::KekRetire { generation: None }, NOW).await;
    let keks = world.keks().await;
    assert_eq!((keks.len(), keks[0].generation), (1, 2));
    let world = world.restarted().await;
    assert_eq!(world.ask(as_it_is, as_it_is).await.status, 200);
}

#[tokio::test]
async fn a_license_id_survives_every_rotation() {
    let world = World::new().await;
    let token = world.token(as_it_is);
    let body = world.request(&token, as_it_is);
    let id = async || world.post(Some(&token), body.clone()).await.license()["jti"].clone();
    let before = id().await;
    world.administer(Operation::KekRotate, NOW).await;
    assert_eq!(id().await, before);
    world.rewrap(1000).await;
    world.administer(Operation::KekRetire { generation: None }, NOW).await;
    world.administer(Operation::SignerRotate { at_once: true }, NOW).await;
    assert_eq!(id().await, before);
    let world = world.restarted().await;
    assert_eq!(world.post(Some(&token), body.clone()).await.license()["jti"], before);
}

#[tokio::test]
async fn keys_that_come_in_during_a_rotation_are_not_stranded() {
    let world = World::new().await;
    let generate = |n: usize| {
        let content_id = "movies/bunny".parse().unwrap();
        let operation = Operation::KeyGenerate { content_id, track_type: None };
        let world = &world;
        async move {
            // Some come before the rotation is through, some after.
            for _ in 0..n {
                tokio::task::yield_now().await;
            }
            world.administer(operation, NOW).await;
        }
    };
    let rotate = async {
        for _ in 0..4 {
            world.administer(Operation::KekRotate, NOW).await;
            world.rewrap(1000).await;
            world.administer(Operation::KekRetire { generation: None }, NOW).await;
        }
    };
    let all =
        (0..16).map(|n| -> std::pin::Pin<Box<dyn Future<Output = ()>>> { Box::pin(generate(n)) });
    crate::grants::futures_all(
        all.chain([Box::pin(rotate) as std::pin::Pin<Box<dyn Future<Output = ()>>>]),
    )
    .await;
    world.rewrap(1000).await;
    let license = world.ask(as_it_is, as_it_is).await.license();
    assert_eq!(license["tracks"].as_array().unwrap().len(), 4 + 16);
}

#[tokio::test]
async fn a_new_signer_is_published_before_it_signs_and_an_old_one_after() {
    let world = World::new().await;
    let (old, _) = world.license_kid().await;
    world.administer(Operation::SignerRotate { at_once: false }, NOW).await;
    let at = async |now: u64| {
        world.set_clock(now);
        let claims = |claims: &mut Value| claims["iat"] = now.into();
        let token = |claims: &mut Value| {
            (claims["iat"], claims["exp"]) = (now.into(), (now + 60).into());
        };
        let reply = world.ask(token, claims).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let header = reply.body.split('.').next().unwrap();
        let header = reelkey_client::strict::base64url::decode(header).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].to_string()
    };
    assert_eq!(world.kids().await.len(), 2, "published at once");
    assert_eq!(at(NOW + 299).await, old, "and signs when every player may have it");
    let new = at(NOW + 300).await;
    assert_ne!(new, old);
    // The longest license of any policy here lives an hour.
    let published = async |now: u64| {
        world.set_clock(now);
        let request = axum::http::Request::get("/.well-known/jwks.json");
        let jwks = world.send(request.body(axum::body::Body::empty()).unwrap()).await.json();
        jwks["keys"].as_array().unwrap().len()
    };
    assert_eq!(published(NOW + 300 + 3600).await, 2);
    assert_eq!(published(NOW + 300 + 3601).await, 1);

    // Where the old one leaked, the new one signs at once.
    world.set_clock(NOW + 5000);
    world.administer(Operation::SignerRotate { at_once: true }, NOW + 5000).await;
    assert_ne!(at(NOW + 5000).await, new);
}

/// Laws of the plan, for every plan that is stopped anywhere.
mod laws {
    use super::{BTreeMap, BTreeSet};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use reelkey::domain::rotation::{Step, WrappedUnder, plan, unused};

    proptest! {
        #[test]
        fn a_plan_that_is_stopped_is_continued(
            under in vec(1_u32..6, 0..20),
            primary in 1_u32..6,
            stop in any::<prop::sample::Index>(),
        ) {
            let mut stored: BTreeMap<usize, u32> = under.into_iter().enumerate().collect();
            let mut kept: BTreeSet<u32> = (1..6).collect();
            let read = |stored: &BTreeMap<usize, u32>| -> Vec<WrappedUnder> {
                let under = stored.iter();
                under.map(|(secret, generation)| WrappedUnder { secret: *secret, generation: *generation }).collect()
            };
            let steps = plan(&read(&stored), &kept, primary);
            let apply = |steps: &[Step], stored: &mut BTreeMap<usize, u32>, kept: &mut BTreeSet<u32>| {
                for step in steps {
                    match step {
                        Step::Rewrap { secret } => drop(stored.insert(*secret, primary)),
                        Step::Retire { generation } => drop(kept.remove(generation)),
                    }
                    for generation in stored.values() {
                        assert!(kept.contains(generation), "every secret opens after every step");
                    }
                    assert!(kept.contains(&primary));
                }
            };
            let stop = if steps.is_empty() { 0 } else { stop.index(steps.len()) };
            apply(&steps[..stop], &mut stored, &mut kept);
            let rest = plan(&read(&stored), &kept, primary);
            prop_assert_eq!(rest.len(), steps.len() - stop);
            apply(&rest, &mut stored, &mut kept);
            prop_assert_eq!(plan(&read(&stored), &kept, primary), vec![]);
            prop_assert_eq!(kept, BTreeSet::from([primary]));
        }

        #[test]
        fn what_is_unused_wraps_nothing(under in vec(1_u32..6, 0..9), primary in 1_u32..6) {
            let secrets: Vec<_> = under.iter().enumerate()
                .map(|(secret, generation)| WrappedUnder { secret, generation: *generation }).collect();
            for generation in unused(&secrets, &(1..6).collect(), primary) {
                prop_assert!(generation != primary && !under.contains(&generation));
            }
        }
    }
}

#[tokio::test]
async fn a_retired_key_is_in_no_license() {
    let world = World::new().await;
    let kid = crate::world::kid(0, 1).to_string();
    let granted = async || world.ask(as_it_is, as_it_is).await.license()["tracks"].clone();
    assert_eq!(granted().await.as_array().unwrap().len(), 4);
    world.administer(Operation::KeyRetire { kid }, NOW).await;
    assert_eq!(granted().await.as_array().unwrap().len(), 3);
    let only = |claims: &mut Value| {
        claims["kids"] = json!([crate::world::kid_text(0, 1)]);
        claims.as_object_mut().unwrap().remove("content_id");
    };
    world.ask(as_it_is, only).await.refuses(403, "key-not-found");
    let sintel = crate::world::kid(1, 0).to_string();
    world.administer(Operation::KeyRetire { kid: sintel }, NOW).await;
    let whole = |claims: &mut Value| claims["content_id"] = "movies/sintel".into();
    world.ask(whole, whole).await.refuses(403, "key-not-found");
}
