//! Streams at once: who has a slot, and who stops whom.

use crate::account::{Account, Ask, NOW, jkt, kept, new, renewal, time};

const LIFE: u64 = 600;
const GRACE: u64 = 60;

fn under(mode: &str, limit: u16) -> Account {
    Account::under(&format!(
        "can_renew = true\n[concurrency]\nlimit = {limit}\nmode = \"{mode}\"\ngrace_period = \"60s\""
    ))
}

#[test]
fn a_slot_lives_as_long_as_the_license_and_the_grace_period() {
    let mut account = under("BLOCK_NEW", 1);
    account.grant(new(NOW, 1, 1));
    account.refuse(new(NOW, 2, 2), "concurrency-limit");
    account.refuse(new(NOW + LIFE + GRACE - 1, 2, 2), "concurrency-limit");
    account.clone().grant(new(NOW + LIFE + GRACE, 2, 2));
    account.grant(renewal(NOW + 300, 1, 1, 3));
    account.refuse(new(NOW + LIFE + GRACE, 2, 2), "concurrency-limit");
    account.clone().grant(new(NOW + 300 + LIFE + GRACE, 2, 2));
    let mut without = Account::under("[concurrency]\nlimit = 1\ngrace_period = \"0s\"");
    without.grant(new(NOW, 1, 1));
    without.refuse(new(NOW + LIFE - 1, 2, 2), "concurrency-limit");
    without.grant(new(NOW + LIFE, 2, 2));
}

#[test]
fn a_device_keeps_its_slot_whatever_it_asks_for() {
    let mut account = under("BLOCK_NEW", 2);
    account.grant(new(NOW, 1, 1));
    account.grant(new(NOW + 10, 1, 2));
    account.grant(new(NOW + 10, 1, 2));
    assert_eq!(account.playing(NOW + 10), [(0, 2)]);
    assert_eq!(account.slots.first().unwrap().since, time(NOW));
    // The first tab's end is not the end of the second's slot.
    account.release(1, NOW + 20, None, NOW + 20).unwrap();
    assert_eq!(account.playing(NOW + 20), [(0, 2)]);
    account.release(2, NOW + 30, None, NOW + 30).unwrap();
    assert_eq!(account.playing(NOW + 30), []);
    account.grant(new(NOW + 30, 2, 3));
    account.grant(new(NOW + 30, 3, 4));
    account.refuse(new(NOW + 30, 1, 5), "concurrency-limit");
    // What is kept takes none.
    account.policy.persistent_duration = Some(account.policy.license_duration);
    assert!(account.grant(kept(NOW + 30, 1, 6)).license.is_some());
    assert_eq!(account.playing(NOW + 30), [(0, 3), (1, 4)]);
}

#[test]
fn the_oldest_or_the_newest_session_is_stopped() {
    for (mode, stopped, stays) in [("STOP_OLDEST", 1, 2), ("STOP_NEWEST", 2, 1)] {
        let mut account = under(mode, 2);
        account.grant(new(NOW, 1, 1));
        account.grant(new(NOW + 10, 2, 2));
        // A renewal makes no session younger.
        account.grant(renewal(NOW + 20, 1, 1, 3));
        account.grant(new(NOW + 30, 3, 4));
        account.refuse(renewal(NOW + 40, stopped, stopped, 5), "concurrency-limit");
        account.grant(renewal(NOW + 40, stays, stays, 6));
        account.grant(renewal(NOW + 40, 3, 4, 7));
        // It takes a free one.
        account.release(4, NOW + 50, None, NOW + 50).unwrap();
        assert_eq!(
            account.grant(renewal(NOW + 50, stopped, stopped, 8)).counter,
            1 + u64::from(stopped == 1)
        );
    }
}

#[test]
fn a_device_that_was_just_stopped_stops_no_other() {
    let mut account = under("STOP_OLDEST", 1);
    account.grant(new(NOW, 1, 1));
    account.grant(new(NOW + 10, 2, 2));
    // Until the end of what it had.
    let until = NOW + LIFE + GRACE;
    account.refuse(new(NOW + 20, 1, 3), "concurrency-limit");
    account.refuse(new(until - 1, 1, 3), "concurrency-limit");
    account.clone().grant(new(until, 1, 3));
    // A third device may, and neither of the two that were stopped may then.
    account.grant(new(NOW + 30, 3, 4));
    account.refuse(new(NOW + 40, 1, 5), "concurrency-limit");
    account.refuse(new(NOW + 40, 2, 6), "concurrency-limit");
    account.grant(renewal(NOW + 50, 3, 4, 7));
    account.refuse(new(until - 1, 1, 8), "concurrency-limit");
    // A slot that became free and was taken again changes nothing about that.
    account.release(4, NOW + 60, None, NOW + 60).unwrap();
    account.grant(new(NOW + 60, 4, 9));
    account.refuse(new(NOW + 70, 1, 10), "concurrency-limit");
    account.refuse(new(NOW + 70, 2, 11), "concurrency-limit");
}

#[test]
fn an_account_says_which_session_ends() {
    for mode in ["BLOCK_NEW", "STOP_OLDEST"] {
        let mut account = under(mode, 2);
        account.grant(new(NOW, 1, 1));
        account.grant(new(NOW + 10, 2, 2));
        let end = |session, device, name| Ask {
            end_session: Some(session),
            ..new(NOW + 20, device, name)
        };
        account.refuse(end(99, 3, 3), "concurrency-limit");
        account.grant(end(2, 3, 3));
        assert_eq!(account.playing(NOW + 20), [(0, 1), (1, 3)]);
        account.refuse(renewal(NOW + 30, 2, 2, 4), "concurrency-limit");
        account.grant(renewal(NOW + 30, 1, 1, 5));
        // The account may say so for a device that was stopped, too.
        account.grant(end(3, 2, 6));
        assert_eq!(account.playing(NOW + 20), [(0, 1), (1, 6)]);
    }
}

#[test]
fn a_limit_that_is_lowered_counts_the_slots_below_it() {
    let mut account = under("BLOCK_NEW", 2);
    account.grant(new(NOW, 1, 1));
    account.grant(new(NOW, 2, 2));
    let rule = account.policy.concurrency.as_mut().unwrap();
    rule.limit = 1;
    account.grant(renewal(NOW + 10, 1, 1, 3));
    account.refuse(renewal(NOW + 10, 2, 2, 4), "concurrency-limit");
    account.release(1, NOW + 20, None, NOW + 20).unwrap();
    account.grant(renewal(NOW + 20, 2, 2, 5));
    assert!(account.slots.iter().any(|slot| slot.number == 0 && slot.device == jkt(2)));
}
