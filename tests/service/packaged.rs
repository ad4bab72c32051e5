//! Which keys a packager gets: found, or made once and the same for ever.

use std::collections::{BTreeMap, BTreeSet};

use reelkey::authority::issuing::circumstances::Circumstances;
use reelkey::authority::operation::key::{ImportKey, RetireKey, RotateKeys};
use reelkey::authority::packaging::ask::{Asked, KEYS_MAX, Order, PackagedKey, Refused, Wanted};
use reelkey::authority::stop::Stop;
use reelkey::domain::track::TrackType;
use reelkey_client::key::KeyId;
use tokio::task::JoinSet;

use crate::packagers::of;
use crate::world::{NOW, World, key_hex, kid, time};

/// A key that was given: its KID, itself, its track type and its period.
pub(crate) type Given = (KeyId, String, Option<TrackType>, Option<u32>);

fn given(key: &PackagedKey) -> Given {
    (key.kid, key.key.to_hex().to_string(), key.track, key.period)
}

pub(crate) const fn wanted(track: TrackType, period: Option<u32>) -> Wanted {
    Wanted { track: Some(track), period, kid: None }
}

impl World {
    /// What a packager is given for an order.
    pub(crate) async fn ordered(
        &self,
        packager: &str,
        content: &str,
        wanted: &[Wanted],
    ) -> Result<Vec<Given>, Refused> {
        let content = content.parse().unwrap();
        let order = Order { content, wanted: wanted.to_vec(), crypto_period_seconds: None };
        let packager = self.authority.in_force().packagers.find(packager).unwrap().clone();
        let age = || std::time::Duration::ZERO;
        let circumstances =
            Circumstances { now: time(NOW), request_id: &"test", client: None, age: &age };
        let asked = Asked { protocol: "test", circumstances };
        match self.authority.issue_keys(&packager, &order, asked).await {
            Ok(keys) => Ok(keys.iter().map(given).collect()),
            Err(Stop::Refused(refused)) => Err(refused),
            Err(Stop::Failed(fault)) => panic!("{fault}"),
        }
    }

    /// One number of what the service counts.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        let text = self.authority.metrics(time(NOW), None).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or("0").parse().unwrap()
    }
}

const COMMITS: &str = "reelkey_store_commits_total";
const ALL: [TrackType; 5] = TrackType::ALL;

fn in_every_track() -> [Wanted; 5] {
    ALL.map(|track| wanted(track, None))
}

#[tokio::test]
async fn the_first_ask_makes_a_key_and_everybody_gets_the_same_for_ever() {
    let world = World::with_packagers().await;
    let first = world.ordered("live", "movies/live/one", &in_every_track()).await.unwrap();
    let kids: BTreeSet<_> = first.iter().map(|key| key.0).collect();
    assert_eq!(kids.len(), ALL.len());
    assert_eq!(first.iter().map(|key| key.2.unwrap()).collect::<Vec<_>>(), ALL);
    let commits = world.counted(COMMITS);
    for packager in ["live", "encoder", "live"] {
        let again = world.ordered(packager, "movies/live/one", &in_every_track()).await;
        assert_eq!(again.unwrap(), first, "{packager}");
    }
    assert_eq!(world.counted(COMMITS), commits, "nothing is written for keys that there are");
    let world = world.restarted().await;
    let mut backwards = in_every_track();
    backwards.reverse();
    let mut again = world.ordered("live", "movies/live/one", &backwards).await.unwrap();
    again.reverse();
    assert_eq!(again, first);
    // What is wanted twice is given twice.
    let twice = [backwards[0], backwards[0]];
    let twice = world.ordered("live", "movies/live/one", &twice).await.unwrap();
    assert!(twice.len() == 2 && twice[0] == twice[1] && twice[0] == first[4]);
}

#[tokio::test]
async fn a_new_key_is_made_once_however_many_ask_at_once() {
    let world = std::sync::Arc::new(World::with_packagers().await);
    for content in ["movies/live/new", "movies/sintel"] {
        let packager = if content == "movies/sintel" { "encoder" } else { "live" };
        let mut asks = JoinSet::new();
        for nth in 0..64 {
            let world = std::sync::Arc::clone(&world);
            asks.spawn(async move {
                let track = if nth % 2 == 0 { TrackType::Hd } else { TrackType::Audio };
                world.ordered(packager, content, &[wanted(track, None)]).await.unwrap()
            });
        }
        let given: BTreeSet<_> = asks.join_all().await.into_iter().flatten().collect();
        assert_eq!(given.len(), 2, "{given:?}");
        let there = world.shown(content).await.unwrap().keys;
        let made = there.iter().filter(|key| key.track_type.as_deref() != Some("SD")).count();
        assert_eq!(made, 2, "{there:?}");
    }
}

#[tokio::test]
async fn a_rotation_gives_packagers_the_new_key_and_a_retired_key_comes_back_for_nobody() {
    let world = World::with_packagers().await;
    let sd = [wanted(TrackType::Sd, None)];
    let ask = async || world.ordered("encoder", "movies/sintel", &sd).await.unwrap().remove(0);
    let old = ask().await;
    assert_eq!((old.0, old.1.clone()), (kid(1, 0), key_hex(1, 0)), "an imported key is found");
    let content_id = "movies/sintel".parse().unwrap();
    let rotate = RotateKeys { content_id, track_type: None };
    let new = world.administer(rotate, NOW).await.remove(0);
    assert_eq!(ask().await.0.to_string(), new.kid);
    // The encoder that names the old one still has it, until it is retired.
    let named = [Wanted { track: Some(TrackType::Sd), period: None, kid: Some(old.0) }];
    let again = world.ordered("encoder", "movies/sintel", &named).await.unwrap();
    assert_eq!(again, std::slice::from_ref(&old));
    world.administer(RetireKey { kid: old.0.to_string() }, NOW).await;
    let refused = world.ordered("encoder", "movies/sintel", &named).await;
    assert_eq!(refused, Err(Refused::Retired(old.0)));
    assert_eq!(ask().await.0.to_string(), new.kid);
    // Without an active key there is a new one.
    world.administer(RetireKey { kid: new.kid.clone() }, NOW).await;
    let newest = ask().await;
    assert!(newest.0 != old.0 && newest.0.to_string() != new.kid);
    assert_eq!(
        world.restarted().await.ordered("encoder", "movies/sintel", &sd).await.unwrap(),
        [newest]
    );
}

#[tokio::test]
async fn an_encoder_may_choose_the_kid_of_a_new_key_and_of_no_other() {
    let world = World::with_packagers().await;
    let chosen = KeyId::from_bytes([0x5a; 16]);
    let named = |track: Option<TrackType>, period| [Wanted { track, period, kid: Some(chosen) }];
    let hd = Some(TrackType::Hd);
    let made = world.ordered("live", "movies/live/one", &named(hd, None)).await.unwrap().remove(0);
    assert_eq!((made.0, made.2, made.3), (chosen, hd, None));
    let ask = async |packager: &str, content: &str, wanted: &[Wanted]| {
        world.ordered(packager, content, wanted).await
    };
    for again in [named(hd, None), named(None, None), [wanted(TrackType::Hd, None)]] {
        let given = ask("live", "movies/live/one", &again).await.unwrap();
        assert_eq!(given, std::slice::from_ref(&made));
    }
    let other_track = ask("live", "movies/live/one", &named(Some(TrackType::Sd), None)).await;
    assert_eq!(other_track, Err(Refused::OtherUse(chosen)));
    for content in ["movies/sintel", "movies/live/one"] {
        let expected = match content {
            "movies/sintel" => Err(Refused::OtherContent(chosen)),
            _ => Ok(vec![made.clone()]),
        };
        assert_eq!(ask("encoder", content, &named(hd, None)).await, expected);
    }
    // A KID has one use, also within one order.
    let [one, other] = [hd, Some(TrackType::Sd)].map(|track| Wanted {
        track,
        period: None,
        kid: Some(KeyId::from_bytes([0x5b; 16])),
    });
    let both = ask("live", "movies/live/one", &[one, other]).await;
    assert_eq!(both, Err(Refused::OtherUse(KeyId::from_bytes([0x5b; 16]))));
    assert_eq!(world.shown("movies/live/one").await.unwrap().keys.len(), 1);
    // A content that nobody has added yet stays unknown where its key is refused.
    let refused = ask("live", "movies/live/two", &named(hd, None)).await;
    assert_eq!(refused, Err(Refused::OtherContent(chosen)));
    assert!(world.shown("movies/live/two").await.is_none());
}

/// KIDs are in manifests: who knows one of another title must not be able to take it.
#[tokio::test]
async fn nobody_takes_the_kid_of_a_crypto_period_of_another_title() {
    let world = World::with_packagers().await;
    let period = [wanted(TrackType::Hd, Some(7))];
    let victim = world.ordered("encoder", "movies/sintel", &period).await.unwrap().remove(0);
    let named = [Wanted { track: Some(TrackType::Hd), period: None, kid: Some(victim.0) }];
    let refused = world.ordered("live", "movies/live/one", &named).await;
    assert_eq!(refused, Err(Refused::OtherContent(victim.0)));
    assert_eq!(world.ordered("encoder", "movies/sintel", &period).await.unwrap(), [victim]);
}

#[tokio::test]
async fn one_request_has_a_most_of_keys() {
    let world = World::with_packagers().await;
    let periods = |count: usize| {
        let periods = (0_u32..).take(count).map(|period| wanted(TrackType::Hd, Some(period)));
        periods.collect::<Vec<_>>()
    };
    let all = world.ordered("live", "movies/live/one", &periods(KEYS_MAX)).await.unwrap();
    let kids: BTreeSet<_> = all.iter().map(|key| key.0).collect();
    assert_eq!((all.len(), kids.len()), (KEYS_MAX, KEYS_MAX));
    let refused = world.ordered("live", "movies/live/two", &periods(KEYS_MAX + 1)).await;
    assert_eq!(refused, Err(Refused::TooMany));
    assert!(world.shown("movies/live/two").await.is_none());
    assert_eq!(world.ordered("live", "movies/live/one", &[]).await, Ok(Vec::new()));
}

#[tokio::test]
async fn every_request_of_a_packager_is_counted() {
    let world = World::with_packagers().await;
    for content in ["movies/live/a", "movies/live/a", "movies/sintel", "series/one"] {
        drop(world.ordered("live", content, &in_every_track()).await);
    }
    let path = format!("/v1/keys/skm/{}", kid(1, 0));
    assert_eq!(world.get_as(&[&of("live")], &path).await.status, 404);
    let count = |permission: &str, result: &str| {
        world.counted(&format!(
            "reelkey_key_requests_total{{packager=\"live\",permission=\"{permission}\",result=\"{result}\"}}"
        ))
    };
    assert_eq!(
        [count("issue", "done"), count("issue", "refused"), count("read", "done")],
        [2, 2, 1]
    );
}

/// A law of all orders: whatever happened before, the same order gets the same keys, and no two uses share a KID or a key.
mod laws {
    use super::{ALL, BTreeMap, ImportKey, KeyId, NOW, TrackType, Wanted, World, given_to, kid};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn wanted() -> impl Strategy<Value = Wanted> {
        let track = prop::option::of(prop::sample::select(ALL.to_vec()));
        let period = prop::option::of(0_u32..4);
        (track, period).prop_map(|(track, period)| Wanted { track, period, kid: None })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn the_same_order_gets_the_same_keys(
            orders in vec(vec(wanted(), 0..6), 1..8),
            imported in prop::option::of((prop::sample::select(ALL.to_vec()), prop::option::of(0_u32..4))),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let world = World::with_packagers().await;
                if let Some((track, period)) = imported {
                    import(&world, track, period).await;
                }
                let mut known: BTreeMap<Wanted, super::Given> = BTreeMap::new();
                let mut owners: BTreeMap<KeyId, Wanted> = BTreeMap::new();
                let mut keys: BTreeMap<String, Wanted> = BTreeMap::new();
                for order in &orders {
                    for (wanted, given) in given_to(&world, order).await {
                        assert_eq!((wanted.track, wanted.period), (given.2, given.3));
                        assert_eq!(*known.entry(wanted).or_insert_with(|| given.clone()), given);
                        assert_eq!(*owners.entry(given.0).or_insert(wanted), wanted);
                        assert_eq!(*keys.entry(given.1).or_insert(wanted), wanted);
                    }
                }
                let world = world.restarted().await;
                for order in &orders {
                    for (wanted, given) in given_to(&world, order).await {
                        assert_eq!(known[&wanted], given);
                    }
                }
            });
        }
    }

    async fn import(world: &World, track: TrackType, period: Option<u32>) {
        let import = ImportKey {
            kid: kid(9, 9).to_string(),
            content_id: "movies/sintel".parse().unwrap(),
            track_type: Some(track),
            crypto_period_index: period,
            key: "000102030405060708090a0b0c0d0e0f".to_owned().into(),
        };
        world.administer(import, NOW).await;
    }
}

async fn given_to(world: &World, order: &[Wanted]) -> Vec<(Wanted, Given)> {
    let given = world.ordered("encoder", "movies/sintel", order).await.unwrap();
    assert_eq!(given.len(), order.len());
    order.iter().copied().zip(given).collect()
}
