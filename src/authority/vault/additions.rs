//! The order in which contents were given keys within one second: times of records are whole seconds.
//!
//! The keys that are there are counted in the first second of a process alone: another process may have added some just
//! before. Afterwards the store has one writer. Deliberately absent: several writers. Two keys that two of them add in the
//! same second may change places in a list.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reelkey_client::time::UnixTime;

use crate::domain::content::ContentId;

/// How many keys each content has been given in the current second.
#[derive(Debug, Default)]
pub(in crate::authority) struct Additions(Mutex<InSecond>);

#[derive(Debug, Default)]
struct InSecond {
    /// The first second in which a key was added, in seconds since 1970.
    first: Option<u64>,
    /// The current one.
    second: u64,
    /// For each content whose keys were counted: the position of its next key.
    next: BTreeMap<ContentId, u32>,
}

impl Additions {
    /// Whether it is known how many keys this content has been given in this second.
    pub(in crate::authority) fn are_counted(&self, content_id: &ContentId, now: UnixTime) -> bool {
        self.change(now, |this| {
            this.first != Some(now.as_secs()) || this.next.contains_key(content_id)
        })
    }

    /// The content has been given so many keys in this second.
    pub(in crate::authority) fn count(&self, content_id: &ContentId, now: UnixTime, keys: u32) {
        self.change(now, |this| {
            let there = this.next.entry(content_id.clone()).or_default();
            *there = keys.max(*there);
        });
    }

    /// The position of the next key among those that the content is given in this second, from 0.
    pub(in crate::authority) fn next(&self, content_id: &ContentId, now: UnixTime) -> u32 {
        self.change(now, |this| {
            let there = this.next.entry(content_id.clone()).or_default();
            let position = *there;
            *there = position.saturating_add(1);
            position
        })
    }

    fn change<T>(&self, now: UnixTime, of: impl FnOnce(&mut InSecond) -> T) -> T {
        let mut this = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.as_secs();
        if this.second != now {
            *this =
                InSecond { first: this.first.or(Some(now)), second: now, next: BTreeMap::new() };
        }
        of(&mut this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_numbered_anew_in_each_second() {
        let (additions, bunny) = (Additions::default(), "movies/bunny".parse().unwrap());
        let [now, later] = [1_800_000_000, 1_800_000_001].map(UnixTime::from_secs);
        assert!(!additions.are_counted(&bunny, now));
        // Two keys of this second were in the store already.
        additions.count(&bunny, now, 2);
        assert!(additions.are_counted(&bunny, now));
        assert_eq!([additions.next(&bunny, now), additions.next(&bunny, now)], [2, 3]);
        // Somebody counted before the last key was added.
        additions.count(&bunny, now, 3);
        assert_eq!(additions.next(&bunny, now), 4);
        // Later on, nobody else has added any.
        assert!(additions.are_counted(&bunny, later));
        assert_eq!(additions.next(&bunny, later), 0);
    }
}
