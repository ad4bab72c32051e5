//! Many requests for the last slot and the last place, at the same time.

use std::time::Instant;

use serde_json::Value;

use crate::grants::futures_all;
use crate::world::{NOW, World, key};

fn as_it_is(_: &mut Value) {}

/// Numbers rounds: a dozen in every run, a thousand where `REELKEY_THOROUGH` is set, as `tests/thorough` does. Where it is a
/// number of seconds, no round begins after them: a slow machine tries less, and is not red.
fn rounds() -> impl Iterator<Item = u64> {
    let asked = std::env::var_os("REELKEY_THOROUGH");
    let count = if asked.is_some() { 1000 } else { 12 };
    let seconds = asked.and_then(|text| text.to_str()?.parse().ok()).unwrap_or(u64::MAX);
    #[expect(clippy::disallowed_methods, reason = "how much is tried is a matter of time")]
    let begun = Instant::now();
    (0..count).take_while(move |round| *round < 12 || begun.elapsed().as_secs() < seconds)
}

/// Sixty-four devices of one account ask at once for the last slot or place, each round those of another account. Exactly one
/// is granted, and it is the one that has it afterwards.
async fn exactly_one(policy: &str, is_refused: (u16, &str)) {
    let world = World::new().await;
    let devices: Vec<_> = (0..64).map(|_| key()).collect();
    let first = key();
    for round in rounds() {
        let token = world.token(|claims| {
            claims["sub"] = format!("viewer {round}").into();
            (claims["content_id"], claims["policy_id"]) = ("movies/rights".into(), policy.into());
        });
        let ask = |device| {
            let body = world.signed(&token, device, NOW, as_it_is);
            world.post(Some(&token), body)
        };
        ask(&first).await.license();
        let asked = devices.iter().enumerate().map(|(number, device)| {
            let answer = ask(device);
            async move { (number, answer.await) }
        });
        let replies = futures_all(asked).await;
        let (granted, others): (Vec<_>, Vec<_>) =
            replies.into_iter().partition(|(_, reply)| reply.status == 200);
        assert_eq!((granted.len(), others.len()), (1, 63), "round {round}");
        for (_, reply) in &others {
            reply.refuses(is_refused.0, is_refused.1);
        }
        // Only a device that was granted a license has a place or slot.
        let winner = granted[0].0;
        ask(&devices[winner]).await.license();
        ask(&devices[(winner + 1) % 64]).await.refuses(is_refused.0, is_refused.1);
        ask(&first).await.license();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_the_last_slot_exactly_one_has_it() {
    exactly_one("streams", (409, "concurrency-limit")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_the_last_place_exactly_one_has_it() {
    exactly_one("places", (403, "device-limit")).await;
}

/// One request, sixty-four times at once, and its renewal as often: one license, one slot, one step of the counter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_many_times_is_one_license_and_one_renewal() {
    let world = World::new().await;
    let token = world.rights("last-stream", NOW);
    let body = world.signed(&token, &world.device, NOW, as_it_is);
    let replies = futures_all((0..64).map(|_| world.post(Some(&token), body.clone()))).await;
    let license = replies[0].license();
    for reply in replies {
        assert_eq!(reply.license()["jti"], license["jti"]);
    }
    let body = world.signed(&token, &world.device, NOW, |claims| {
        claims.as_object_mut().unwrap().remove("content_id");
        (claims["request_type"], claims["license_id"]) = ("RENEWAL".into(), license["jti"].clone());
    });
    for reply in futures_all((0..64).map(|_| world.post(Some(&token), body.clone()))).await {
        let renewed = reply.license();
        assert_eq!((&renewed["jti"], renewed["counter"].as_u64()), (&license["jti"], Some(1)));
    }
    let next = world.renew("last-stream", &world.device, &license, NOW).await.license();
    assert_eq!(next["counter"], 2);
}
