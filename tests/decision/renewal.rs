//! When a renewal is due.

use reelkey::domain::past::LicenseId;
use reelkey::domain::renewal::delay;

use crate::account::{Account, NOW, id, new, renewal};

/// The ID of a license, as random as a hash makes it.
fn random(number: u64) -> LicenseId {
    let digest = reelkey::crypto::digest::sha256(&number.to_be_bytes());
    LicenseId::from_bytes(*digest.first_chunk().unwrap())
}

#[test]
fn it_is_three_quarters_to_all_of_the_delay_and_at_most_half_of_the_life() {
    for (policy, life, least, most) in [
        (240, 600, 180, 240),
        (300, 600, 225, 300),
        (301, 600, 225, 300),
        (599, 600, 225, 300),
        (240, 100, 38, 50),
        (1, 2, 1, 1),
        (1, 1, 0, 0),
        (240, 1, 0, 0),
        (0, 600, 0, 0),
        (240, 0, 0, 0),
        (u64::MAX, u64::MAX, u64::MAX / 8 * 3, u64::MAX / 2),
    ] {
        for number in 0..1000 {
            let delay = delay(policy, life, random(number), number % 7);
            assert!((least..=most).contains(&delay), "{policy} {life}: {delay}");
        }
    }
}

#[test]
fn it_is_the_same_on_every_node_and_another_for_every_renewal() {
    let all: std::collections::BTreeSet<_> =
        (0..100).map(|counter| delay(86_400, 864_000, id(1), counter)).collect();
    assert!(all.len() > 95, "{}", all.len());
    assert_eq!(delay(86_400, 864_000, id(1), 7), delay(86_400, 864_000, id(1), 7));
}

/// The players of a premiere do not all ask in the same second.
#[test]
fn of_a_million_licenses_as_many_are_due_in_every_second() {
    for counter in [0, 1] {
        // 61 seconds, 180 to 240.
        let mut seconds = [0_u32; 61];
        for number in 0..1_000_000 {
            let second = delay(240, 600, random(number), counter) - 180;
            *seconds.get_mut(usize::try_from(second).unwrap()).unwrap() += 1;
        }
        let (least, most) = (seconds.iter().min().unwrap(), seconds.iter().max().unwrap());
        println!("counter {counter}: {least} to {most} in a second; {seconds:?}");
        // 16,393 in each, and six standard deviations of 127.
        assert!(seconds.iter().all(|count| count.abs_diff(16_393) < 762), "{seconds:?}");
    }
}

#[test]
fn there_is_none_where_renewing_cannot_move_the_end() {
    let rules = "can_renew = true\nrenewal_delay = \"4m\"\n";
    let mut account = Account::under(rules);
    let terms = account.grant(new(NOW, 1, 1));
    assert_eq!(terms.allowed.renewal_delay, delay(240, 600, id(1), 0));
    assert!((180..=240).contains(&terms.allowed.renewal_delay));
    let terms = account.grant(renewal(NOW, 1, 1, 2));
    assert_eq!(terms.allowed.renewal_delay, delay(240, 600, id(1), 1));
    for (rental, expected) in [(601, true), (600, false), (599, false)] {
        let mut account = Account::under(&format!("{rules}rental_duration = \"{rental}s\""));
        let terms = account.grant(new(NOW, 1, 1));
        assert_eq!(terms.allowed.renewal_delay > 0, expected, "{rental}");
        assert_eq!(terms.allowed.rental_duration, rental);
    }
    let terms = Account::under("").grant(new(NOW, 1, 1));
    assert_eq!((terms.allowed.can_renew, terms.allowed.renewal_delay), (false, 0));
    assert_eq!(Account::under("can_renew = true").grant(new(NOW, 1, 1)).allowed.renewal_delay, 0);
}
