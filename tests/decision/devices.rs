//! The devices of an account and their places.

use reelkey::domain::past::DeviceStatus;
use reelkey::domain::registry::{Introduction, enroll};

use crate::account::{Account, DAY, HOUR, NOW, jkt, new, renewal, time};

const TWO: &str = "can_renew = true\n[device]\nlimit = 2\ncooldown = \"24h\"";
const IDLE: &str =
    "can_renew = true\n[device]\nlimit = 2\ncooldown = \"24h\"\nreplace = \"LONGEST_IDLE\"";

/// Devices 1 and 2 have the two places since [`NOW`].
fn full(rules: &str) -> Account {
    let mut account = Account::under(rules);
    account.grant(new(NOW, 1, 1));
    account.grant(new(NOW, 2, 2));
    assert_eq!((account.place(1), account.place(2)), (Some(0), Some(1)));
    account
}

#[test]
fn places_are_taken_in_order_and_kept() {
    let mut account = full(TWO);
    account.refuse(new(NOW, 3, 3), "device-limit");
    account.refuse(new(NOW + 400 * DAY, 3, 3), "device-limit");
    account.grant(new(NOW + DAY, 1, 4));
    assert_eq!(account.place(1), Some(0));
    let before = account.devices.clone();
    account.grant(new(NOW + DAY, 1, 5));
    assert_eq!(account.devices, before);
}

#[test]
fn a_removed_device_keeps_its_place_for_the_cooldown() {
    let mut account = full(TWO);
    let removed = NOW + HOUR;
    account.set_status(1, DeviceStatus::Removed, removed);
    account.refuse(new(removed, 3, 3), "device-limit");
    account.refuse(new(removed + DAY - 1, 3, 3), "device-limit");
    let mut back = account.clone();
    back.grant(new(removed + DAY - 1, 1, 4));
    assert_eq!(back.place(1), Some(0), "it may come back itself");
    account.grant(new(removed + DAY, 3, 3));
    assert_eq!((account.place(3), account.place(1)), (Some(0), None));
    account.refuse(new(removed + DAY, 1, 5), "device-limit");
    let mut without = full("[device]\nlimit = 2\ncooldown = \"0h\"");
    without.set_status(1, DeviceStatus::Removed, removed);
    without.grant(new(removed, 3, 3));
}

#[test]
fn what_a_device_had_before_it_was_removed_has_ended() {
    let mut account = full(TWO);
    account.grant(new(NOW + 10, 1, 3));
    account.set_status(1, DeviceStatus::Removed, NOW + 20);
    account.refuse(renewal(NOW + 30, 1, 1, 4), "license-expired");
    // The request that it was granted for does not bring it back, and neither does another one.
    account.refuse(new(NOW + 30, 1, 1), "license-expired");
    account.grant(new(NOW + 30, 1, 5));
    account.refuse(renewal(NOW + 40, 1, 1, 6), "license-expired");
    account.refuse(new(NOW + 40, 1, 3), "license-expired");
    assert_eq!(account.grant(renewal(NOW + 40, 1, 5, 7)).counter, 1);
    // Also where the account adds it again.
    account.set_status(1, DeviceStatus::Removed, NOW + 50);
    let new = Introduction { jkt: jkt(1), name: None, model: None };
    let again = enroll(account.devices.iter().find(|one| one.jkt == jkt(1)), &new, time(NOW + 60));
    *account.device(1) = again;
    account.refuse(renewal(NOW + 70, 1, 5, 8), "license-expired");
}

#[test]
fn a_clock_that_was_ahead_ends_no_license() {
    let mut account = Account::under(TWO);
    account.grant(new(NOW + 1000 * DAY, 1, 1));
    account.grant(new(NOW, 1, 2));
    assert_eq!(account.grant(renewal(NOW + 60, 1, 2, 3)).counter, 1);
}

#[test]
fn a_revoked_device_is_refused_and_keeps_its_place() {
    let mut account = full(IDLE);
    account.set_status(1, DeviceStatus::Revoked, NOW + 10);
    account.refuse(new(NOW + 20, 1, 3), "device-revoked");
    account.refuse(renewal(NOW + 20, 1, 1, 3), "device-revoked");
    account.set_status(2, DeviceStatus::Revoked, NOW + 10);
    account.refuse(new(NOW + 900 * DAY, 3, 3), "device-limit");
    account.set_status(1, DeviceStatus::Active, NOW + 30);
    account.grant(renewal(NOW + 40, 1, 1, 3));
    // Also under a policy that remembers nothing.
    let mut open = Account::under("");
    open.devices.clone_from(&account.devices);
    open.refuse(new(NOW + 40, 2, 4), "device-revoked");
    open.grant(new(NOW + 40, 1, 4));
}

#[test]
fn the_longest_idle_device_is_replaced_once_it_had_its_place_for_the_cooldown() {
    let mut account = full(IDLE);
    account.grant(new(NOW + HOUR, 1, 3));
    account.refuse(new(NOW + DAY - 1, 3, 4), "device-limit");
    account.grant(new(NOW + DAY, 3, 4));
    assert_eq!((account.place(3), account.place(2)), (Some(1), None));
    account.refuse(renewal(NOW + DAY, 2, 2, 5), "license-expired");
    // The device that was replaced replaces the next one: not the one that came last.
    account.grant(new(NOW + DAY, 2, 6));
    assert_eq!((account.place(2), account.place(1)), (Some(0), None));
    account.refuse(new(NOW + DAY, 1, 7), "device-limit");
    account.refuse(new(NOW + 2 * DAY - 1, 1, 7), "device-limit");
    account.grant(new(NOW + 2 * DAY, 1, 7));
}

#[test]
fn the_cooldown_counts_from_the_place_and_not_from_the_registration() {
    let rules = "[device]\nlimit = 1\ncooldown = \"24h\"\nreplace = \"LONGEST_IDLE\"";
    let mut account = Account::under(rules);
    for number in [1, 2] {
        let new = Introduction { jkt: jkt(number), name: None, model: None };
        account.devices.push(enroll(None, &new, time(NOW)));
    }
    let year = NOW + 365 * DAY;
    account.grant(new(year, 1, 1));
    account.refuse(new(year + 1, 2, 2), "device-limit");
    account.refuse(new(year + DAY - 1, 2, 2), "device-limit");
    account.grant(new(year + DAY, 2, 2));
    account.refuse(new(year + DAY, 1, 3), "device-limit");
}

#[test]
fn a_limit_that_is_lowered_grants_the_places_below_it() {
    let mut account = full("[device]\nlimit = 2");
    account.policy.device.limit = Some(1);
    account.grant(new(NOW + DAY, 1, 3));
    account.refuse(new(NOW + DAY, 2, 3), "device-limit");
    // A free place below the limit is there for the other one.
    account.set_status(1, DeviceStatus::Removed, NOW + DAY);
    account.grant(new(NOW + DAY, 2, 4));
    assert_eq!(account.place(2), Some(0));
    account.policy.device.limit = Some(2);
    account.grant(new(NOW + DAY, 3, 5));
    assert_eq!(account.place(3), Some(1));
}

#[test]
fn enrolled_devices_alone_are_granted_where_the_policy_says_so() {
    let mut account = Account::under("[device]\nregistration = \"enrolled\"");
    account.refuse(new(NOW, 1, 1), "device-not-enrolled");
    let new_one = Introduction { jkt: jkt(1), name: None, model: None };
    account.devices.push(enroll(None, &new_one, time(NOW)));
    account.grant(new(NOW, 1, 1));
    account.set_status(1, DeviceStatus::Removed, NOW + 1);
    account.refuse(new(NOW + 1, 1, 2), "device-not-enrolled");
}

#[test]
fn zero_is_no_limit() {
    let mut account = Account::under("can_renew = true\n[device]\nlimit = 0");
    for number in 1..100 {
        account.grant(new(NOW, number, number));
        assert_eq!(account.place(number), None);
    }
}
