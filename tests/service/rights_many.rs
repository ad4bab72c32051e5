//! An account of which much is remembered is decided on as one of which little is.

use reelkey_client::exchange::device::DeviceKey;

use crate::world::{NOW, Reply, World, key};

const DAY: u64 = 24 * 3_600;

/// How many rentals the account has. Some read everything of it at once, some only a part, and some end just there.
const RENTALS: [usize; 8] = [0, 1, 28, 29, 30, 31, 32, 90];

impl World {
    /// Rents, or plays on.
    async fn rent(&self, number: usize, device: &DeviceKey, now: u64) -> Reply {
        self.set_clock(now);
        let token = self.token(|claims| {
            (claims["iat"], claims["exp"]) = (now.into(), (now + 3_600).into());
            claims["content_id"] = "movies/rights".into();
            (claims["policy_id"], claims["entitlement_id"]) =
                ("film".into(), format!("rental-{number}").into());
        });
        let body = self.signed(&token, device, now, |_| {});
        self.post(Some(&token), body).await
    }
}

#[tokio::test]
async fn rules_hold_however_much_is_remembered_of_an_account() {
    let [one, two, three] = [key(), key(), key()];
    for rentals in RENTALS {
        let world = World::new().await;
        for number in 0..rentals {
            let device = if number % 2 == 0 { &one } else { &two };
            world.rent(number, device, NOW).await.license();
        }
        world.play("places", &one, NOW, |_| {}).await.license();
        world.play("places", &two, NOW, |_| {}).await.license();
        world.play("places", &three, NOW, |_| {}).await.refuses(403, "device-limit");
        world.play("streams", &one, NOW, |_| {}).await.license();
        let license = world.play("streams", &two, NOW, |_| {}).await.license();
        world.play("streams", &three, NOW, |_| {}).await.refuses(409, "concurrency-limit");
        let renewed = world.renew("streams", &two, &license, NOW + 60).await.license();
        assert_eq!((&renewed["jti"], &renewed["counter"]), (&license["jti"], &1.into()));
        for number in 0..rentals {
            world.rent(number, &two, NOW + 31 * DAY).await.refuses(403, "playback-expired");
        }
        world.rent(rentals, &two, NOW + 31 * DAY).await.license();
        world.play("places", &three, NOW + 31 * DAY, |_| {}).await.refuses(403, "device-limit");
    }
}
