//! Licenses that are renewed, given back and counted.

use reelkey::domain::past::{EventKind, LicenseState};
use reelkey::domain::registry::{restore, revoke};

use crate::account::{Account, Ask, DAY, HOUR, NOW, id, kept, new, renewal, time};

const RENEWED: &str =
    "can_renew = true\nrenewal_recovery_duration = \"10m\"\nrenewal_delay = \"4m\"";
const KEPT: &str = "can_renew = true\ncan_persist = true\n[persistent]\nlicense_duration = \"7d\"";

#[test]
fn a_license_is_renewed_until_its_end_and_the_recovery_time() {
    for (rules, last) in [("can_renew = true", 600), (RENEWED, 1200)] {
        let mut account = Account::under(rules);
        account.grant(new(NOW, 1, 1));
        for at in [NOW, NOW + 599, NOW + last - 1] {
            let terms = account.clone().grant(renewal(at, 1, 1, 2));
            assert_eq!((terms.license, terms.counter), (Some(id(1)), 1));
            assert_eq!(terms.expires, time(at + 600));
        }
        account.refuse(renewal(NOW + last, 1, 1, 2), "license-expired");
        account.refuse(renewal(NOW + last + 1, 1, 1, 2), "license-expired");
        // A renewal moves the end.
        account.grant(renewal(NOW + 500, 1, 1, 2));
        account.clone().grant(renewal(NOW + 500 + last - 1, 1, 1, 3));
        account.refuse(renewal(NOW + 500 + last, 1, 1, 3), "license-expired");
    }
    let mut once = Account::under("rental_duration = \"30d\"");
    once.grant(new(NOW, 1, 1));
    once.refuse(renewal(NOW + 1, 1, 1, 2), "renewal-not-allowed");
}

#[test]
fn a_renewal_counts_once_however_often_it_comes() {
    let mut account = Account::under(RENEWED);
    assert_eq!(account.grant(new(NOW, 1, 1)).counter, 0);
    for (name, counter) in [(2, 1), (2, 1), (3, 2), (3, 2), (3, 2), (4, 3)] {
        assert_eq!(account.grant(renewal(NOW + 60, 1, 1, name)).counter, counter);
    }
    // The first request again is the license as it was granted first, and takes nothing back.
    assert_eq!(account.grant(new(NOW + 61, 1, 1)).counter, 0);
    assert_eq!(account.license(1).counter, 3);
    assert_eq!(account.grant(renewal(NOW + 62, 1, 1, 5)).counter, 4);
    assert_eq!(account.license(1).events.len(), 1, "renewals are no events");
}

#[test]
fn another_device_or_session_type_or_license_is_no_renewal() {
    let mut account = Account::under(KEPT);
    account.grant(new(NOW, 1, 1));
    account.grant(new(NOW, 2, 2));
    account.refuse(renewal(NOW, 2, 1, 3), "not-authorized");
    account.refuse(renewal(NOW, 1, 99, 3), "not-authorized");
    account.refuse(Ask { keeps: true, ..renewal(NOW, 1, 1, 3) }, "bad-request");
    account.refuse(renewal(NOW, 3, 1, 3), "license-expired");
}

#[test]
fn after_a_release_the_license_is_over() {
    let mut account = Account::under(RENEWED);
    account.grant(new(NOW, 1, 1));
    // Signed ahead, before the license came.
    assert_eq!(account.release(1, NOW - 121, None, NOW + 10), Err("request-stale"));
    assert_eq!(account.release(1, 0, None, NOW + 10), Err("request-stale"));
    assert_eq!(account.clone().release(1, NOW + DAY, None, NOW + 10), Ok(()));
    assert_eq!(account.release(1, NOW - 120, None, NOW + 10), Ok(()));
    account.refuse(new(NOW + 20, 1, 1), "license-expired");
    account.refuse(renewal(NOW + 20, 1, 1, 2), "license-expired");
    let before = account.licenses.clone();
    assert_eq!(account.release(1, NOW - 120, None, NOW + 900 * DAY), Ok(()));
    assert_eq!(account.licenses, before);
    account.grant(new(NOW + 20, 1, 3));
}

#[test]
fn a_revoked_license_can_be_given_back_and_is_not_restored_then() {
    let mut account = Account::under(KEPT);
    account.grant(kept(NOW, 1, 1));
    let revoked = revoke(account.license(1), account.usage.as_ref(), None, time(NOW + 10));
    account.remember(revoked);
    account.refuse(Ask { keeps: true, ..renewal(NOW + 20, 1, 1, 2) }, "license-revoked");
    account.refuse(kept(NOW + 20, 1, 3), "license-revoked");
    let restored = restore(account.license(1), account.usage.as_ref(), time(NOW + 25));
    let mut alive = account.clone();
    alive.remember(restored);
    alive.grant(Ask { keeps: true, ..renewal(NOW + 26, 1, 1, 2) });

    assert_eq!(account.release(1, NOW, Some(15), NOW + 30), Ok(()));
    assert_eq!(account.license(1).state, LicenseState::Revoked);
    let before = account.licenses.clone();
    assert_eq!(account.release(1, NOW, Some(15), NOW + 40), Ok(()));
    assert_eq!(account.licenses, before, "a release that comes again changes nothing");
    let restored = restore(account.license(1), account.usage.as_ref(), time(NOW + 50));
    account.remember(restored);
    assert_eq!(account.license(1).state, LicenseState::Returned);
    account.refuse(Ask { keeps: true, ..renewal(NOW + 60, 1, 1, 4) }, "license-expired");
    account.grant(kept(NOW + 60, 1, 5));
    let kinds = account.license(1).events.iter().map(|event| event.kind);
    let expected = [
        EventKind::Issued,
        EventKind::Revoked,
        EventKind::FirstPlay,
        EventKind::Returned,
        EventKind::Restored,
    ];
    assert_eq!(kinds.collect::<Vec<_>>(), expected);
}

#[test]
fn of_thirty_two_live_licenses_the_oldest_for_playing_now_ends() {
    let mut account = Account::under(KEPT);
    account.grant(kept(NOW, 1, 100));
    for name in 1..=31 {
        account.grant(new(NOW + u64::from(name), 1, name));
    }
    let live = |account: &Account, now: u64| {
        account.licenses.iter().filter(|license| license.is_live(time(now))).count()
    };
    assert_eq!(live(&account, NOW + 40), 32);
    // The same request again, a renewal and another device end nothing.
    account.grant(new(NOW + 40, 1, 31));
    account.grant(renewal(NOW + 40, 1, 31, 101));
    account.grant(new(NOW + 40, 2, 102));
    assert_eq!(live(&account, NOW + 40), 33);
    account.grant(new(NOW + 40, 1, 32));
    assert_eq!(account.license(1).state, LicenseState::Ended);
    account.refuse(renewal(NOW + 41, 1, 1, 103), "license-expired");
    account.clone().grant(renewal(NOW + 41, 1, 2, 104));
    account.grant(Ask { keeps: true, ..renewal(NOW + 41, 1, 100, 105) });
    assert_eq!(live(&account, NOW + 41), 33);
    // Those that have ended do not count.
    account.grant(new(NOW + HOUR, 1, 33));
    assert_eq!(account.license(2).state, LicenseState::Active);
}

#[test]
fn a_device_keeps_thirty_one_licenses_and_none_of_them_is_ended_by_another() {
    let mut account = Account::under(KEPT);
    for name in 1..=31 {
        account.grant(kept(NOW + u64::from(name), 1, name));
    }
    account.refuse(kept(NOW + 40, 1, 32), "persistence-not-allowed");
    // What it has is given again and renewed, another device keeps its own, and there is room for playing now.
    account.grant(kept(NOW + 40, 1, 31));
    account.grant(Ask { keeps: true, ..renewal(NOW + 40, 1, 1, 101) });
    account.grant(kept(NOW + 40, 2, 102));
    for (name, ended) in [(103, None), (104, Some(103)), (105, Some(104))] {
        account.grant(new(NOW + u64::from(name), 1, name));
        if let Some(ended) = ended {
            assert_eq!(account.license(ended).state, LicenseState::Ended);
        }
    }
    let is_active = |name| account.license(name).state == LicenseState::Active;
    assert!((1..=31).all(is_active));
    // One that is given back or that ends makes room for another one.
    let mut returned = account.clone();
    assert_eq!(returned.release(1, NOW, None, NOW + 200), Ok(()));
    returned.grant(kept(NOW + 200, 1, 33));
    returned.refuse(kept(NOW + 200, 1, 34), "persistence-not-allowed");
    account.refuse(kept(NOW + 2 + 7 * DAY - 1, 1, 35), "persistence-not-allowed");
    account.grant(kept(NOW + 2 + 7 * DAY, 1, 35));
}
