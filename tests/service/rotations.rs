//! Rotations, while licenses are granted: nothing is lost at any moment, and old keys go.

use std::collections::{BTreeMap, BTreeSet};

use reelkey::authority::operation::kek::{
    KekRewrapped, KekView, ListKeks, RetireKek, RewrapKek, RotateKek,
};
use reelkey::authority::operation::key::{GenerateKey, RetireKey};
use reelkey::authority::operation::order::{Actor, Operation};
use reelkey::authority::operation::root::RotateRoot;
use reelkey::authority::operation::signer::RotateSigner;
use serde_json::{Value, json};

use crate::world::{NOW, World, time};

fn as_it_is(_: &mut Value) {}

impl World {
    pub(crate) async fn administer<O: Operation>(&self, operation: O, now: u64) -> O::Outcome {
        let actor = Actor::User { uid: 1000 };
        match self.authority.administer(operation, actor, time(now)).await {
            Ok(outcome) => outcome,
            Err(stop) => panic!("{stop:?}"),
        }
    }

    async fn keks(&self) -> Vec<KekView> {
        self.administer(ListKeks {}, NOW).await
    }

    async fn rewrap(&self, limit: usize) -> (usize, usize) {
        let KekRewrapped { done, left } = self.administer(RewrapKek { limit }, NOW).await;
        (done, left)
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
    world.administer(RotateKek {}, NOW).await;
    let keks = world.keks().await;
    assert_eq!(keks.iter().filter(|kek| kek.primary).count(), 1, "exactly one is primary");
    assert_eq!((keks[0].secrets, keks[1].secrets), (before[0].secrets, 0));

    // A generation that wraps something is not dropped, and neither is the primary one.
    for generation in [1, 2] {
        let retire = RetireKek { generation: Some(generation) };
        let actor = Actor::User { uid: 1000 };
        assert!(world.authority.administer(retire, actor, time(NOW)).await.is_err());
    }
    let mut left = before[0].secrets;
    while left > 0 {
        let (done, now_left) = world.rewrap(1).await;
        assert_eq!((done, now_left), (1, left - 1));
        left = now_left;
        assert_eq!(world.ask(as_it_is, as_it_is).await.status, 200);
    }
    assert_eq!(world.rewrap(1000).await, (0, 0), "after it is done there is nothing to do");
    world.administer(RetireKek { generation: None }, NOW).await;
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
    world.administer(RotateKek {}, NOW).await;
    assert_eq!(id().await, before);
    world.rewrap(1000).await;
    world.administer(RetireKek { generation: None }, NOW).await;
    world.administer(RotateSigner { at_once: true }, NOW).await;
    assert_eq!(id().await, before);
    let world = world.restarted().await;
    assert_eq!(world.post(Some(&token), body.clone()).await.license()["jti"], before);
}

#[tokio::test]
async fn keys_that_come_in_during_a_rotation_are_not_stranded() {
    let world = World::new().await;
    let generate = |n: usize| {
        let content_id = "movies/bunny".parse().unwrap();
        let operation = GenerateKey { content_id, track_type: None, crypto_period_index: None };
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
            world.administer(RotateKek {}, NOW).await;
            world.rewrap(1000).await;
            world.administer(RetireKek { generation: None }, NOW).await;
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
    world.administer(RotateSigner { at_once: false }, NOW).await;
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
    // The longest license of any policy here lives seven days.
    let longest = 7 * 24 * 3600;
    let published = async |now: u64| {
        world.set_clock(now);
        let request = axum::http::Request::get("/.well-known/jwks.json");
        let jwks = world.send(request.body(axum::body::Body::empty()).unwrap()).await.json();
        jwks["keys"].as_array().unwrap().len()
    };
    assert_eq!(published(NOW + 300 + longest).await, 2);
    assert_eq!(published(NOW + 301 + longest).await, 1);

    // Where the old one leaked, the new one signs at once.
    world.set_clock(NOW + 5000);
    world.administer(RotateSigner { at_once: true }, NOW + 5000).await;
    assert_ne!(at(NOW + 5000).await, new);
}

/// A signing key that leaked never signs again, whatever the clock says, also after a restart.
#[tokio::test]
async fn a_clock_that_is_set_back_brings_no_leaked_signer_back() {
    let signed_by = async |world: &World, now: u64| {
        world.set_clock(now);
        let token = |claims: &mut Value| {
            (claims["iat"], claims["exp"]) = (now.into(), (now + 60).into());
        };
        let reply = world.ask(token, |claims| claims["iat"] = now.into()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let header = reply.body.split('.').next().unwrap();
        let header = reelkey_client::strict::base64url::decode(header).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].to_string()
    };
    let world = World::new().await;
    let leaked = signed_by(&world, NOW).await;
    // One that waits for its turn was in the store when the other leaked.
    world.administer(RotateSigner { at_once: false }, NOW + 1000).await;
    world.administer(RotateSigner { at_once: true }, NOW + 1100).await;
    let new = signed_by(&world, NOW + 1100).await;
    assert_ne!(new, leaked);
    let world = {
        for now in [NOW + 1099, NOW, NOW - 100_000, NOW + 1300, NOW + 2000] {
            assert_eq!(signed_by(&world, now).await, new, "at {now}");
        }
        world.restarted().await
    };
    for now in [NOW, NOW + 1099, NOW + 2000] {
        assert_eq!(signed_by(&world, now).await, new, "after a restart, at {now}");
    }
    // Made while the clock is behind, a later one takes its turn and keeps it.
    world.administer(RotateSigner { at_once: false }, NOW).await;
    assert_eq!(signed_by(&world, NOW + 299).await, new);
    let last = signed_by(&world, NOW + 300).await;
    assert!(last != new && last != leaked);
    assert_eq!(signed_by(&world, NOW + 5000).await, last);
    world.administer(RotateSigner { at_once: true }, NOW + 10).await;
    let end = signed_by(&world, NOW + 5000).await;
    assert!(end != last && end != new && end != leaked);
    assert_eq!(signed_by(&world, NOW).await, end);
}

/// Laws of the plan, whatever becomes of its steps.
mod laws {
    use super::{BTreeMap, BTreeSet};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use reelkey::domain::rotation::{Step, WrappedUnder, plan};

    /// A store in small: each secret's generation, and the generations that are kept.
    struct Stored {
        secrets: BTreeMap<usize, u32>,
        kept: BTreeSet<u32>,
        primary: u32,
    }

    impl Stored {
        fn plan(&self) -> Vec<Step> {
            let under: Vec<_> = self
                .secrets
                .iter()
                .map(|(secret, generation)| WrappedUnder {
                    secret: *secret,
                    generation: *generation,
                })
                .collect();
            plan(&under, &self.kept, self.primary)
        }

        /// Carries out one step, after which every secret has to open.
        fn apply(&mut self, step: Step) {
            match step {
                Step::Rewrap { secret } => drop(self.secrets.insert(secret, self.primary)),
                Step::Retire { generation } => drop(self.kept.remove(&generation)),
            }
            assert!(self.secrets.values().all(|generation| self.kept.contains(generation)));
            assert!(self.kept.contains(&self.primary));
        }
    }

    proptest! {
        /// Any of its steps may conflict, be stopped or come in another order: carried out as it stands, a plan never
        /// drops what a secret needs, and planning again comes to an end.
        #[test]
        fn a_plan_may_be_carried_out_whatever_became_of_its_other_steps(
            under in vec(1_u32..6, 0..20),
            primary in 1_u32..6,
            conflicts in vec(any::<bool>(), 64),
            backwards in any::<bool>(),
        ) {
            let secrets = under.into_iter().enumerate().collect();
            let mut stored = Stored { secrets, kept: (1..6).collect(), primary };
            let mut conflicts = conflicts.into_iter();
            let mut rounds = 0;
            loop {
                let mut steps = stored.plan();
                if steps.is_empty() {
                    break;
                }
                if backwards {
                    steps.reverse();
                }
                for step in steps {
                    if !conflicts.next().unwrap_or(false) {
                        stored.apply(step);
                    }
                }
                rounds += 1;
                prop_assert!(rounds < 70, "a plan without conflicts leaves less to do");
            }
            prop_assert!(stored.secrets.values().all(|generation| *generation == primary));
            prop_assert_eq!(stored.kept, BTreeSet::from([primary]));
        }

        #[test]
        fn only_a_generation_that_wraps_nothing_now_is_retired(
            under in vec(1_u32..6, 0..9),
            primary in 1_u32..6,
        ) {
            let secrets = under.iter().copied().enumerate().collect();
            let stored = Stored { secrets, kept: (1..6).collect(), primary };
            let retired: BTreeSet<u32> = stored
                .plan()
                .into_iter()
                .filter_map(|step| match step {
                    Step::Retire { generation } => Some(generation),
                    Step::Rewrap { .. } => None,
                })
                .collect();
            let unused = (1..6).filter(|generation| *generation != primary && !under.contains(generation));
            prop_assert_eq!(retired, unused.collect());
        }
    }
}

#[tokio::test]
async fn a_retired_key_is_in_no_license() {
    let world = World::new().await;
    let kid = crate::world::kid(0, 1).to_string();
    let granted = async || world.ask(as_it_is, as_it_is).await.license()["tracks"].clone();
    assert_eq!(granted().await.as_array().unwrap().len(), 4);
    world.administer(RetireKey { kid }, NOW).await;
    assert_eq!(granted().await.as_array().unwrap().len(), 3);
    let only = |claims: &mut Value| {
        claims["kids"] = json!([crate::world::kid_text(0, 1)]);
        claims.as_object_mut().unwrap().remove("content_id");
    };
    world.ask(as_it_is, only).await.refuses(403, "key-not-found");
    let sintel = crate::world::kid(1, 0).to_string();
    world.administer(RetireKey { kid: sintel }, NOW).await;
    let whole = |claims: &mut Value| claims["content_id"] = "movies/sintel".into();
    world.ask(whole, whole).await.refuses(403, "key-not-found");
}

/// Facts lie in a database of their own: grants that write go on while the root key is replaced, and nothing is forgotten.
#[tokio::test]
async fn what_is_remembered_survives_rotations_of_the_root_key() {
    let world = World::new().await;
    let license = world.play("streams", &world.device, NOW, as_it_is).await.license();
    for round in 0..3 {
        let rotate = world.administer(RotateRoot {}, NOW);
        let renew = async {
            let mut counter = 0;
            for _ in 0..8 {
                let renewed = world.renew("streams", &world.device, &license, NOW + round).await;
                assert_eq!(renewed.license()["jti"], license["jti"]);
                counter = renewed.license()["counter"].as_u64().unwrap();
                tokio::task::yield_now().await;
            }
            counter
        };
        let (_, counter) = tokio::join!(rotate, renew);
        assert_eq!(counter, 8 * (round + 1));
    }
    let facts = world.authority.facts().scan(b"", None, 1000).await.unwrap();
    let world = world.restarted().await;
    assert_eq!(world.authority.facts().scan(b"", None, 1000).await.unwrap(), facts);
    let renewed = world.renew("streams", &world.device, &license, NOW + 10).await.license();
    assert_eq!(renewed["counter"], 25);
    assert_eq!(world.release(&world.device, &renewed, NOW + 10).await.status, 200);
    world.renew("streams", &world.device, &license, NOW + 10).await.refuses(403, "license-expired");
}
