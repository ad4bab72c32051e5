//! Keys that change with time: derived for each crypto period, the same for ever, and licensed by KID alone.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use reelkey::authority::operation::content::AddContent;
use reelkey::authority::operation::kek::RotateKek;
use reelkey::authority::operation::key::{RetireKey, ShowKey};
use reelkey::authority::operation::root::RotateRoot;
use reelkey::authority::packaging::ask::{Refused, Wanted};
use reelkey::domain::track::TrackType;
use reelkey_client::key::KeyId;
use reelkey_client::strict::base64url;
use serde_json::{Value, json};

use crate::packaged::{Given, wanted};
use crate::packagers::of;
use crate::world::{NOW, World};

const CONTENT: &str = "movies/live/news";

/// 110 periods of all tracks, as a packager asks for them when it starts.
fn burst() -> Vec<Wanted> {
    let periods = 100..210;
    periods.flat_map(|period| TrackType::ALL.map(|track| wanted(track, Some(period)))).collect()
}

fn text(kid: KeyId) -> String {
    base64url::encode(kid.as_bytes())
}

impl World {
    /// A content whose keys change every ten seconds.
    async fn with_clock(&self) {
        let add = AddContent {
            content_id: CONTENT.parse().unwrap(),
            policies: vec!["open".into()],
            crypto_period_seconds: NonZeroU32::new(10),
        };
        self.administer(add, NOW).await;
    }

    /// A license of [`CONTENT`] at a time, asked for by these KIDs or by the content ID: KIDs and periods.
    async fn licensed(&self, kids: &[KeyId], now: u64) -> Result<BTreeSet<(String, u64)>, String> {
        self.set_clock(now);
        let token = |claims: &mut Value| {
            (claims["iat"], claims["exp"]) = (now.into(), (now + 60).into());
            claims["content_id"] = CONTENT.into();
        };
        let reply = self
            .ask(token, |claims| {
                (claims["iat"], claims["content_id"]) = (now.into(), CONTENT.into());
                if !kids.is_empty() {
                    claims.as_object_mut().unwrap().remove("content_id");
                    claims["kids"] = kids.iter().map(|kid| text(*kid)).collect();
                }
            })
            .await;
        if reply.status != 200 {
            return Err(reply.json()["reason"].as_str().unwrap().to_owned());
        }
        let license = reply.license();
        let tracks = license["tracks"].as_array().unwrap().iter();
        Ok(tracks
            .map(|track| {
                let kid = track["kid"].as_str().unwrap().to_owned();
                (kid, track["crypto_period_index"].as_u64().unwrap())
            })
            .collect())
    }
}

#[tokio::test]
async fn a_burst_of_periods_writes_once_and_then_never() {
    let world = World::with_packagers().await;
    let commits = world.counted("reelkey_store_commits_total");
    let first = world.ordered("live", CONTENT, &burst()).await.unwrap();
    assert_eq!(world.counted("reelkey_store_commits_total"), commits + 1);
    let kids: BTreeSet<_> = first.iter().map(|key| key.0).collect();
    let keys: BTreeSet<_> = first.iter().map(|key| &key.1).collect();
    assert_eq!((first.len(), kids.len(), keys.len()), (550, 550, 550));
    for packager in ["live", "encoder"] {
        assert_eq!(world.ordered(packager, CONTENT, &burst()).await.unwrap(), first);
    }
    // Other periods of the same tracks write nothing either.
    let later = [wanted(TrackType::Hd, Some(u32::MAX)), wanted(TrackType::Sd, Some(0))];
    world.ordered("live", CONTENT, &later).await.unwrap();
    assert_eq!(world.counted("reelkey_store_commits_total"), commits + 1);
    assert!(world.shown(CONTENT).await.unwrap().keys.is_empty());

    let world = world.restarted().await;
    assert_eq!(world.ordered("encoder", CONTENT, &burst()).await.unwrap(), first);
    world.administer(RotateKek {}, NOW).await;
    world.administer(RotateRoot {}, NOW).await;
    assert_eq!(world.ordered("live", CONTENT, &burst()).await.unwrap(), first);
    let world = world.restarted().await;
    assert_eq!(world.ordered("live", CONTENT, &burst()).await.unwrap(), first);
}

#[tokio::test]
async fn two_titles_share_neither_keys_nor_kids() {
    let world = World::with_packagers().await;
    let mut all = BTreeSet::new();
    for content in ["movies/live/a", "movies/live/b", "movies/live/c"] {
        let given = world.ordered("live", content, &burst()).await.unwrap();
        all.extend(given.into_iter().flat_map(|key| [key.0.to_string(), key.1]));
    }
    assert_eq!(all.len(), 3 * 2 * 550);
}

#[tokio::test]
async fn a_player_that_names_only_the_kid_gets_the_title() {
    let world = World::with_packagers().await;
    world.with_clock().await;
    let hd = [wanted(TrackType::Hd, Some(7))];
    let old = world.ordered("live", CONTENT, &hd).await.unwrap().remove(0);
    let now = NOW / 10;
    let licensed = world.licensed(&[old.0], NOW).await.unwrap();
    let periods: BTreeSet<_> = licensed.iter().map(|key| key.1).collect();
    assert_eq!(periods, BTreeSet::from([7, now, now + 1]));
    assert!(licensed.contains(&(text(old.0), 7)));
    // The key that is granted is the one that the packager was given.
    let world = world.restarted().await;
    assert_eq!(world.licensed(&[old.0], NOW).await.unwrap(), licensed);
    let other = KeyId::from_bytes(old.0.as_bytes().map(|byte| byte ^ 1));
    assert_eq!(world.licensed(&[other], NOW).await, Err("not-authorized".to_owned()));
}

#[tokio::test]
async fn a_license_by_content_id_has_the_current_and_the_next_period() {
    let world = World::with_packagers().await;
    world.with_clock().await;
    // Nothing was packaged yet, so there is no key.
    assert_eq!(world.licensed(&[], NOW).await, Err("key-not-found".to_owned()));
    let both = [wanted(TrackType::Hd, Some(0)), wanted(TrackType::Audio, Some(0))];
    world.ordered("live", CONTENT, &both).await.unwrap();
    for now in [NOW, NOW + 9, NOW + 10, NOW + 1_000_000] {
        let period = u32::try_from(now / 10).unwrap();
        let around = [period, period + 1].into_iter().flat_map(|period| {
            [TrackType::Hd, TrackType::Audio].map(|track| wanted(track, Some(period)))
        });
        let around: Vec<_> = around.collect();
        let packaged = world.ordered("live", CONTENT, &around).await.unwrap();
        let expected =
            packaged.iter().map(|key| (text(key.0), u64::from(key.3.unwrap()))).collect();
        assert_eq!(world.licensed(&[], now).await, Ok(expected), "at {now}");
    }
}

#[tokio::test]
async fn one_period_may_be_retired_and_the_others_stay() {
    let world = World::with_packagers().await;
    world.with_clock().await;
    let now = u32::try_from(NOW / 10).unwrap();
    let both = [now, now + 1].map(|period| wanted(TrackType::Hd, Some(period)));
    let [leaked, next] = &world.ordered("live", CONTENT, &both).await.unwrap()[..] else {
        panic!("two keys")
    };
    let shown = world.administer(ShowKey { kid: leaked.0.to_string() }, NOW).await;
    assert!(shown.derived && shown.crypto_period_index == Some(now) && shown.state == "active");
    let retired = world.administer(RetireKey { kid: leaked.0.to_string() }, NOW).await;
    assert!(retired.changed);
    let again = world.administer(RetireKey { kid: leaked.0.to_string() }, NOW).await;
    assert!(!again.changed);
    let world = world.restarted().await;
    let refused = world.ordered("live", CONTENT, &both[..1]).await;
    assert_eq!(refused, Err(Refused::Retired(leaked.0)));
    let left: &[Given] = std::slice::from_ref(next);
    assert_eq!(world.ordered("live", CONTENT, &both[1..]).await.unwrap(), left);
    let expected = BTreeSet::from([(text(next.0), u64::from(now) + 1)]);
    assert_eq!(world.licensed(&[], NOW).await, Ok(expected));
    assert_eq!(world.licensed(&[leaked.0], NOW).await, Err("key-not-found".to_owned()));
    let path = format!("/v1/keys/skm/{}", leaked.0);
    assert_eq!(world.get_as(&[&of("live")], &path).await.status, 404, "nobody reads it");
    let path = format!("/v1/keys/skm/{}", next.0);
    let read = world.get_as(&[&of("live")], &path).await.json();
    assert_eq!(read, json!({ "kid": next.0.to_string().replace('-', ""), "k": next.1 }));
}

#[tokio::test]
async fn the_key_info_of_a_content_with_periods_follows_the_clock() {
    let world = World::with_packagers().await;
    world.with_clock().await;
    let at = async |now: u64, query: &str| {
        world.set_clock(now);
        let path = format!("/v1/keys/ffmpeg/{CONTENT}/ALL.keyinfo{query}");
        let reply = world.get_as(&[&of("live")], &path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body.lines().next().unwrap().to_owned()
    };
    let first = at(NOW, "").await;
    assert_eq!(at(NOW + 9, "").await, first);
    assert_ne!(at(NOW + 10, "").await, first);
    assert_eq!(at(NOW, "?crypto_period_seconds=10").await, first);
    assert_ne!(at(NOW, "?crypto_period_seconds=7").await, first);
    for wrong in ["0", "-1", "x", ""] {
        let path = format!("/v1/keys/ffmpeg/{CONTENT}/ALL.keyinfo?crypto_period_seconds={wrong}");
        assert_eq!(world.get_as(&[&of("live")], &path).await.status, 400, "{wrong}");
    }
}
