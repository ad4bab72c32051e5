//! Streams at once and device places, as several devices of an account meet them.

use reelkey::authority::operation::kek::{RetireKek, RewrapKek, RotateKek};
use serde_json::{Value, json};

use crate::world::{NOW, World, key};

fn as_it_is(_: &mut Value) {}

/// A request of a device that introduces itself.
fn named(name: &str) -> impl Fn(&mut Value) {
    let name = name.to_owned();
    move |claims: &mut Value| {
        claims["device"] = json!({ "name": name, "model": "M1", "os": "any" });
    }
}

#[tokio::test]
async fn a_stream_too_many_is_told_which_others_play_and_may_end_one() {
    let world = World::new().await;
    let [one, two, three] = [key(), key(), key()];
    let first = world.play("streams", &one, NOW, named("Living room")).await.license();
    let second = world.play("streams", &two, NOW + 10, as_it_is).await.license();
    let refused = world.play("streams", &three, NOW + 20, as_it_is).await;
    refused.refuses(409, "concurrency-limit");
    let conflicts = refused.json()["conflicts"].clone();
    assert_eq!(
        conflicts,
        json!([
            { "session": first["jti"], "device": { "name": "Living room", "model": "M1" },
              "content_id": "movies/rights", "since": NOW },
            { "session": second["jti"], "device": {},
              "content_id": "movies/rights", "since": NOW + 10 },
        ])
    );
    let problem = reelkey_client::exchange::Problem::parse(refused.body.as_bytes()).unwrap();
    assert_eq!(problem.conflicts.len(), 2);
    assert_eq!(problem.conflicts[0].device.name.as_deref(), Some("Living room"));

    // The code of another account's session, or of none, ends nothing.
    let end = |session: &Value| {
        let session = session.clone();
        move |claims: &mut Value| claims["end_session"] = session.clone()
    };
    let nobody = json!("AAAAAAAAAAAAAAAAAAAAAA");
    world.play("streams", &three, NOW + 20, end(&nobody)).await.refuses(409, "concurrency-limit");
    let third =
        world.play("streams", &three, NOW + 20, end(&conflicts[0]["session"])).await.license();
    world.renew("streams", &one, &first, NOW + 30).await.refuses(409, "concurrency-limit");
    world.renew("streams", &two, &second, NOW + 30).await.license();

    // A release frees the slot at once, and the stopped one may go on.
    assert_eq!(world.release(&three, &third, NOW + 40).await.status, 200);
    let world = world.restarted().await;
    assert_eq!(world.renew("streams", &one, &first, NOW + 40).await.license()["counter"], 1);
    world.play("streams", &three, NOW + 40, as_it_is).await.refuses(409, "concurrency-limit");
    // One that has gone without a word keeps its slot to the end of its license and the grace period.
    let free = NOW + 30 + 600 + 60;
    world.play("streams", &three, free - 1, as_it_is).await.refuses(409, "concurrency-limit");
    world.play("streams", &three, free, as_it_is).await.license();
}

#[tokio::test]
async fn another_account_has_slots_and_places_of_its_own() {
    let world = World::new().await;
    for policy in ["streams", "places"] {
        let limit =
            if policy == "streams" { (409, "concurrency-limit") } else { (403, "device-limit") };
        let [one, two, three] = [key(), key(), key()];
        world.play(policy, &one, NOW, as_it_is).await.license();
        world.play(policy, &two, NOW, as_it_is).await.license();
        world.play(policy, &three, NOW, as_it_is).await.refuses(limit.0, limit.1);
        let token = world.token(|claims| {
            (claims["content_id"], claims["policy_id"]) = ("movies/rights".into(), policy.into());
            claims["sub"] = "bob".into();
        });
        let body = world.signed(&token, &three, NOW, as_it_is);
        assert_eq!(world.post(Some(&token), body).await.status, 200);
    }
}

#[tokio::test]
async fn the_stream_that_is_stopped_hears_of_it_at_its_next_renewal() {
    let world = World::new().await;
    let [one, two] = [key(), key()];
    let first = world.play("last-stream", &one, NOW, as_it_is).await.license();
    let second = world.play("last-stream", &two, NOW + 10, as_it_is).await.license();
    let stopped = world.renew("last-stream", &one, &first, NOW + 20).await;
    stopped.refuses(409, "concurrency-limit");
    assert_eq!(stopped.json()["conflicts"][0]["session"], second["jti"]);
    // Its player would ask for a new one: two players do not stop each other for ever.
    world.play("last-stream", &one, NOW + 20, as_it_is).await.refuses(409, "concurrency-limit");
    world.renew("last-stream", &two, &second, NOW + 300).await.license();
    world.play("last-stream", &one, NOW + 599, as_it_is).await.refuses(409, "concurrency-limit");
    world.play("last-stream", &one, NOW + 600, as_it_is).await.license();
}

#[tokio::test]
async fn a_place_is_kept_through_restarts_and_rotations() {
    let world = World::new().await;
    let [one, two, three] = [key(), key(), key()];
    let license = world.play("places", &one, NOW, as_it_is).await.license();
    world.play("places", &two, NOW, as_it_is).await.license();
    world.administer(RotateKek {}, NOW).await;
    world.administer(RewrapKek { limit: 1000 }, NOW).await;
    world.administer(RetireKek { generation: None }, NOW).await;
    let world = world.restarted().await;
    world.play("places", &three, NOW, as_it_is).await.refuses(403, "device-limit");
    world.renew("places", &one, &license, NOW).await.license();
    world.play("places", &two, NOW, as_it_is).await.license();
}
