//! Windows, one second before, at and after their ends.

use reelkey_client::time::UnixTime;

use crate::account::{Account, DAY, HOUR, NOW, end, kept, new, renewal, time};

const FILM: &str = "rental_duration = \"30d\"\nplayback_duration = \"48h\"\ncan_persist = true\n\
                    can_renew = true\n[persistent]\nlicense_duration = \"7d\"";

/// A moment after which nothing is granted any more: the last license ends with it, and says why.
#[track_caller]
fn ends_at(account: &Account, until: u64, rule: &str, reason: &str) {
    for (at, expected) in [(until - 601, until - 1), (until - 600, until), (until - 1, until)] {
        let terms = account.clone().grant(new(at, 1, 200));
        let because = if expected < until { "license_duration" } else { rule };
        assert_eq!(end(&terms), (expected, because), "{at}");
    }
    account.refuse(new(until, 1, 201), reason);
    account.refuse(new(until + 1, 1, 202), reason);
}

#[test]
fn a_rental_has_thirty_days_to_start_and_two_to_finish() {
    let mut account = Account::under(FILM);
    // Kept and not played: the rental runs, playback has not begun.
    account.grant(kept(NOW, 2, 1));
    let rental = NOW + 30 * DAY;
    account.clone().grant(new(rental - 1, 1, 2));
    account.refuse(new(rental, 1, 2), "rental-expired");
    account.refuse(new(rental + 1, 1, 2), "rental-expired");
    let begun = rental - 1;
    assert_eq!(end(&account.grant(new(begun, 1, 3))), (begun + 600, "license_duration"));
    // The rental's end has passed, and does not count any more.
    account.clone().grant(new(rental + HOUR, 1, 4));
    ends_at(&account, begun + 48 * HOUR, "playback_duration", "playback-expired");
    // To keep it, it counts always.
    account.refuse(kept(rental, 2, 5), "rental-expired");
}

#[test]
fn a_rental_without_a_viewing_time_counts_always() {
    let mut account = Account::under("rental_duration = \"30d\"");
    assert_eq!(end(&account.grant(new(NOW, 1, 1))), (NOW + 600, "license_duration"));
    ends_at(&account, NOW + 30 * DAY, "rental_duration", "rental-expired");
    let mut short = Account::under("rental_duration = \"1s\"");
    assert_eq!(end(&short.grant(new(NOW, 1, 1))), (NOW + 1, "rental_duration"));
    short.refuse(new(NOW + 1, 1, 2), "rental-expired");
}

#[test]
fn viewing_begins_with_the_first_license_for_playing_now() {
    let mut account = Account::under("playback_duration = \"48h\"");
    account.grant(new(NOW, 1, 1));
    ends_at(&account, NOW + 48 * HOUR, "playback_duration", "playback-expired");
}

#[test]
fn a_duration_of_zero_is_no_rule() {
    let rules = "rental_duration = \"0s\"\nplayback_duration = \"0d\"";
    let mut account = Account::under(rules);
    for at in [NOW, NOW + 1, NOW + 40 * DAY] {
        assert_eq!(end(&account.grant(new(at, 1, 1))), (at + 600, "license_duration"));
    }
    assert!(account.usage.is_none() && account.devices.is_empty() && account.licenses.is_empty());
}

#[test]
fn a_kept_license_lives_as_long_as_its_own_table_says_and_no_longer_than_the_rental() {
    let mut account = Account::under(FILM);
    let first = account.grant(kept(NOW, 1, 1));
    assert_eq!(end(&first), (NOW + 7 * DAY, "persistent.license_duration"));
    assert_eq!(first.allowed.license_duration, 7 * DAY);
    let late = renewal(NOW + 7 * DAY - 1, 1, 1, 2);
    let late = crate::account::Ask { keeps: true, ..late };
    assert_eq!(account.grant(late).expires, time(NOW + 14 * DAY - 1));
    // A device of its own each, so that none of them is a second license.
    let rental = NOW + 30 * DAY;
    let at = rental - 7 * DAY - 1;
    let at_end = account.clone().grant(kept(at, 2, 3));
    assert_eq!(end(&at_end), (rental - 1, "persistent.license_duration"));
    let at_end = account.clone().grant(kept(at + 1, 2, 3));
    assert_eq!(end(&at_end), (rental, "rental_duration"), "of two equal ends the fixed one");
    assert_eq!(end(&account.clone().grant(kept(rental - 1, 2, 3))), (rental, "rental_duration"));
    account.refuse(kept(rental, 2, 3), "rental-expired");
}

#[test]
fn a_second_kept_license_of_a_device_begins_the_viewing_time() {
    let mut account = Account::under(FILM);
    account.grant(kept(NOW, 1, 1));
    // Another device, or the same request again, is no second one.
    account.grant(kept(NOW + 60, 1, 1));
    account.grant(kept(NOW + HOUR, 2, 2));
    assert_eq!(account.usage.as_ref().unwrap().played_at, None);
    let second = NOW + 2 * HOUR;
    let terms = account.grant(kept(second, 1, 3));
    assert_eq!(end(&terms), (second + 48 * HOUR, "playback_duration"));
    assert_eq!(account.usage.as_ref().unwrap().played_at, Some(time(second)));
    account.clone().grant(kept(second + 48 * HOUR - 1, 2, 4));
    account.refuse(kept(second + 48 * HOUR, 2, 4), "playback-expired");
}

#[test]
fn a_license_that_came_back_unplayed_does_not_count() {
    let mut account = Account::under(FILM);
    account.grant(kept(NOW, 1, 1));
    account.release(1, NOW + HOUR, None, NOW + HOUR).unwrap();
    account.grant(kept(NOW + 2 * HOUR, 1, 2));
    assert_eq!(account.usage.as_ref().unwrap().played_at, None);
    // One that was played does, from its first play on.
    let second = NOW + 2 * HOUR;
    let played = second + 60;
    account.release(2, played + HOUR, Some(60), played + HOUR).unwrap();
    assert_eq!(account.usage.as_ref().unwrap().played_at, Some(time(played)));
    let terms = account.clone().grant(kept(played + 48 * HOUR - 1, 1, 3));
    assert_eq!(end(&terms), (played + 48 * HOUR, "playback_duration"));
    account.refuse(kept(played + 48 * HOUR, 1, 3), "playback-expired");
}

#[test]
fn a_first_play_is_reported_with_a_renewal_and_not_later_than_now() {
    let mut account = Account::under(FILM);
    account.grant(kept(NOW, 1, 1));
    let at = NOW + 10 * HOUR;
    let ask = |first_play| crate::account::Ask {
        keeps: true,
        first_play: Some(first_play),
        ..renewal(at, 1, 1, 2)
    };
    account.refuse(ask(10 * HOUR + 1), "bad-request");
    account.refuse(ask(u64::MAX), "bad-request");
    let now = account.clone().grant(ask(10 * HOUR));
    assert_eq!(end(&now), (at + 48 * HOUR, "playback_duration"));
    let before = account.grant(ask(HOUR));
    assert_eq!(end(&before), (NOW + 49 * HOUR, "playback_duration"));
    // The earliest report counts, and the event says when it was played.
    let events = &account.license(1).events;
    assert_eq!(events.last().unwrap().at, time(NOW + HOUR));
    assert_eq!(account.license(1).updated_at, time(at));
    account.release(1, at, Some(2 * HOUR), at).unwrap();
    assert_eq!(account.usage.as_ref().unwrap().played_at, Some(time(NOW + HOUR)));
}

#[test]
fn fixed_ends_count_to_the_second_also_on_a_leap_day() {
    // 2028-02-29T00:00:00Z and 2028-03-01T00:00:00Z.
    let (day, next) = (1_835_395_200, 1_835_481_600);
    ends_at(
        &Account::under("available_until = 2028-02-29T00:00:00Z"),
        day,
        "available_until",
        "no-longer-available",
    );
    let mut from = Account::under("available_from = 2028-02-29T00:00:00Z");
    from.refuse(new(day - 1, 1, 1), "not-yet-available");
    from.grant(new(day, 1, 1));
    let capped = |until: u64| {
        let mut account = Account::under("");
        account.token.license_not_after = Some(UnixTime::from_secs(until));
        account
    };
    ends_at(&capped(next), next, "license_not_after", "no-longer-available");
    capped(0).refuse(new(NOW, 1, 1), "no-longer-available");

    let mut account = Account::under(
        "[region]\nevidence = \"token\"\n[[region.blackout]]\ncountries = [\"CA\"]\n\
         from = 2028-02-29T00:00:00Z\nuntil = 2028-03-01T00:00:00Z",
    );
    account.token.region = Some("CA".parse().unwrap());
    for (at, expected, rule) in [
        (day - 601, day - 1, "license_duration"),
        (day - 600, day, "region.blackout"),
        (day - 1, day, "region.blackout"),
        (next, next + 600, "license_duration"),
    ] {
        assert_eq!(end(&account.grant(new(at, 1, 1))), (expected, rule));
    }
    account.refuse(new(day, 1, 1), "blackout");
    account.refuse(new(next - 1, 1, 1), "blackout");
    account.token.region = Some("US".parse().unwrap());
    assert_eq!(account.grant(new(day - 1, 1, 1)).expires, time(day + 599));
}

#[test]
fn a_right_that_was_withdrawn_is_refused_whatever_the_policy_remembers() {
    for rules in ["", "rental_duration = \"30d\"", FILM] {
        let mut account = Account::under(rules);
        account.grant(new(NOW, 1, 1));
        let usage =
            reelkey::domain::past::Usage::none("movies/bunny".parse().unwrap(), String::new());
        account.usage = Some(reelkey::domain::past::Usage { barred: true, ..usage });
        account.refuse(new(NOW, 1, 2), "license-revoked");
    }
}
