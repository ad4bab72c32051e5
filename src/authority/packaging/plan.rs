//! Which keys of a title answer a packager's order, and which have to be made first. It reads nothing and writes nothing.

use std::collections::{BTreeMap, BTreeSet};

use reelkey_client::key::KeyId;

use crate::authority::packaging::ask::{Order, Refused, Wanted};
use crate::authority::provision::periods::Derived;
use crate::crypto::period::PeriodSeed;
use crate::domain::track::TrackType;
use crate::store::record::content::ContentRecord;
use crate::store::record::key::{KeyRecord, KeyState};
use crate::store::record::stored::Stored;

/// A key that answers a part of an order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// The store has it.
    Stored(&'a Stored<KeyRecord>),
    /// It is derived.
    Derived(Derived),
}

/// How an order is answered.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// The keys, in the order of what is wanted. Complete where nothing is missing.
    pub(super) found: Vec<Found<'a>>,
    /// The keys to make first.
    pub(super) missing: BTreeSet<Wanted>,
    /// The track types that need crypto periods and have none yet.
    pub(super) new_tracks: BTreeSet<Option<TrackType>>,
}

/// Finds what answers the order among the keys of its title.
///
/// # Errors
/// [`Refused::OtherUse`] and [`Refused::Retired`].
pub(super) fn plan<'a>(
    order: &Order,
    content: &ContentRecord,
    keys: &'a [Stored<KeyRecord>],
    seed: &PeriodSeed,
) -> Result<Plan<'a>, Refused> {
    let mut plan = Plan::default();
    let newest = newest(keys);
    let by_kid: BTreeMap<_, _> = keys.iter().map(|key| (key.kid, key)).collect();
    for wanted in &order.wanted {
        let found = match (wanted.kid, wanted.period) {
            (Some(kid), _) => named(*wanted, kid, content, &by_kid, seed)?,
            (None, None) => newest.get(&(wanted.track, None)).map(|key| Found::Stored(key)),
            (None, Some(period)) => match newest.get(&(wanted.track, Some(period))) {
                Some(key) => Some(Found::Stored(key)),
                None => {
                    let derived = derived(*wanted, period, content, &by_kid, seed)?;
                    if derived.is_none() {
                        plan.new_tracks.insert(wanted.track);
                        continue;
                    }
                    derived
                }
            },
        };
        match found {
            Some(found) => plan.found.push(found),
            None => drop(plan.missing.insert(*wanted)),
        }
    }
    Ok(plan)
}

/// The newest active key of each track type and crypto period.
fn newest(
    keys: &[Stored<KeyRecord>],
) -> BTreeMap<(Option<TrackType>, Option<u32>), &Stored<KeyRecord>> {
    let mut newest: BTreeMap<_, &Stored<KeyRecord>> = BTreeMap::new();
    for key in keys.iter().filter(|key| key.state == KeyState::Active) {
        let use_of = (key.track_type, key.crypto_period_index);
        let age = |key: &KeyRecord| (key.created_at, key.nth_in_second, key.kid);
        newest
            .entry(use_of)
            .and_modify(|there| {
                if age(there) < age(key) {
                    *there = key;
                }
            })
            .or_insert(key);
    }
    newest
}

/// The key with the KID that the encoder chose.
fn named<'a>(
    wanted: Wanted,
    kid: KeyId,
    content: &ContentRecord,
    by_kid: &BTreeMap<KeyId, &'a Stored<KeyRecord>>,
    seed: &PeriodSeed,
) -> Result<Option<Found<'a>>, Refused> {
    let is_other = |track: Option<TrackType>, period: Option<u32>| {
        // Who names no track or period only wants the key back.
        (wanted.track.is_some() && track.is_some() && wanted.track != track)
            || (wanted.period.is_some() && period.is_some() && wanted.period != period)
    };
    if let Some(key) = by_kid.get(&kid) {
        return match key.state {
            KeyState::Retired => Err(Refused::Retired(kid)),
            KeyState::Active if is_other(key.track_type, key.crypto_period_index) => {
                Err(Refused::OtherUse(kid))
            }
            KeyState::Active => Ok(Some(Found::Stored(key))),
        };
    }
    // One of ours that comes back.
    match Derived::by_kid(seed, content, kid) {
        Some(key) if is_other(key.track, Some(key.period)) => Err(Refused::OtherUse(kid)),
        key => Ok(key.map(Found::Derived)),
    }
}

/// The derived key of a crypto period; `None` if no packager has asked for this track type yet.
fn derived<'a>(
    wanted: Wanted,
    period: u32,
    content: &ContentRecord,
    by_kid: &BTreeMap<KeyId, &'a Stored<KeyRecord>>,
    seed: &PeriodSeed,
) -> Result<Option<Found<'a>>, Refused> {
    let periods = content.crypto_periods.as_ref();
    if !periods.is_some_and(|periods| periods.tracks.contains(&wanted.track)) {
        return Ok(None);
    }
    let Some(key) = Derived::of(seed, content, wanted.track, period) else { return Ok(None) };
    // A derived key has a record if it was retired.
    match by_kid.get(&key.kid) {
        Some(record) if record.state == KeyState::Retired => Err(Refused::Retired(key.kid)),
        Some(_) | None => Ok(Some(Found::Derived(key))),
    }
}
