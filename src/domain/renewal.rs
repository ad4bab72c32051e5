//! Renewals: the license that is renewed, and when the next renewal is due.

use crate::domain::past::{License, LicenseId};
use crate::domain::request::Asker;

/// A license that a request is about: one that it renews, or that an earlier sending of the same request was granted.
#[derive(Clone, Debug)]
pub(super) struct Renewed {
    /// As it was before.
    pub(super) license: License,
    /// Whether this request is a renewal of it.
    pub(super) is_renewal: bool,
}

impl Renewed {
    /// The counter of the license that answers this request. A renewal that comes again has the same.
    pub(super) fn counter_for(&self, asker: Option<&Asker>) -> u64 {
        let request = asker.map(|asker| asker.request);
        match self.is_renewal {
            true if self.license.renewed_by == request => self.license.counter,
            true => self.license.counter.saturating_add(1),
            false => 0,
        }
    }
}

/// When the first renewal is due, in seconds after the license began: 3/4 to 1 of the policy's delay and at most half of the
/// license's life, so that the players of a premiere do not all ask in the same second. Every license and every renewal of it
/// has a part of its own, the same on every node.
#[must_use]
pub fn delay(policy_secs: u64, life_secs: u64, id: LicenseId, counter: u64) -> u64 {
    let longest = policy_secs.min(life_secs / 2);
    let spread = longest / 4;
    if longest == 0 {
        return 0;
    }
    let earlier = u64::try_from((u128::from(mixed(id, counter)) * (u128::from(spread) + 1)) >> 64);
    (longest - earlier.unwrap_or(0).min(spread)).max(1)
}

/// A number that looks random. The ID is: it is part of an HMAC. The counter changes all of it (the finalizer of
/// SplitMix64).
fn mixed(id: LicenseId, counter: u64) -> u64 {
    let half = id.as_bytes().first_chunk().map_or(0, |half| u64::from_be_bytes(*half));
    let mut mixed = half.wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
