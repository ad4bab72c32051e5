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

impl Plan<'_> {
    /// A key is to be made. A KID that the encoder chose has one use.
    fn miss(&mut self, wanted: Wanted) -> Result<(), Refused> {
        let chosen = wanted.kid.filter(|kid| {
            let mut others = self.missing.iter();
            others.any(|other| other.kid == Some(*kid) && *other != wanted)
        });
        self.missing.insert(wanted);
        chosen.map_or(Ok(()), |kid| Err(Refused::OtherUse(kid)))
    }
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
            None => plan.miss(*wanted)?,
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
        // An order that names no track, or no period, is for the key whatever its use is.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::content::CryptoPeriods;
    use crate::store::record::stored::Record;

    const HD: Option<TrackType> = Some(TrackType::Hd);
    const SD: Option<TrackType> = Some(TrackType::Sd);

    fn kid(number: u8) -> KeyId {
        KeyId::from_bytes([number; 16])
    }

    fn content() -> ContentRecord {
        let tracks = BTreeSet::from([HD]);
        let crypto_periods =
            Some(CryptoPeriods { number: 7, seconds: None, asked_seconds: None, tracks });
        let content = ContentRecord::new("live/news".parse().unwrap(), &["open".into()], 1);
        ContentRecord { crypto_periods, ..content }
    }

    fn key(number: u8, track: Option<TrackType>, period: Option<u32>) -> KeyRecord {
        // Nothing here is unwrapped; any wrapped secret will do.
        let wrapped = r#"{"kek":1,"salt":"AA","sealed":"AA"}"#;
        KeyRecord {
            kid: kid(number),
            content_id: "live/news".parse().unwrap(),
            track_type: track,
            crypto_period_index: period,
            state: KeyState::Active,
            wrapped: serde_json::from_str(wrapped).unwrap(),
            created_at: number.into(),
            nth_in_second: 0,
        }
    }

    fn stored(key: &KeyRecord) -> Stored<KeyRecord> {
        Stored::parse(&key.key(), serde_json::to_vec(key).unwrap()).unwrap()
    }

    /// What answers one wish: a KID, `missing`, `new track`, or the refusal.
    fn answer(wanted: Wanted, keys: &[KeyRecord]) -> String {
        let seed = PeriodSeed::new(&[1; 32]).unwrap();
        let content = content();
        let order = Order {
            content: content.content_id.clone(),
            wanted: vec![wanted],
            crypto_period_seconds: None,
        };
        let keys: Vec<_> = keys.iter().map(stored).collect();
        let plan = match plan(&order, &content, &keys, &seed) {
            Ok(plan) => plan,
            Err(refused) => return refused.to_string(),
        };
        match (&plan.found[..], plan.missing.len(), plan.new_tracks.len()) {
            ([Found::Stored(key)], 0, 0) => key.kid.to_string(),
            ([Found::Derived(key)], 0, 0) => format!("derived {}", key.period),
            ([], 1, 0) => "missing".into(),
            ([], 0, 1) => "new track".into(),
            other => format!("{other:?}"),
        }
    }

    const fn wish(track: Option<TrackType>, period: Option<u32>, kid: Option<KeyId>) -> Wanted {
        Wanted { track, period, kid }
    }

    #[test]
    fn the_newest_active_key_of_a_track_answers() {
        let retired = KeyRecord { state: KeyState::Retired, ..key(9, HD, None) };
        let keys =
            [key(1, HD, None), key(3, HD, None), key(2, HD, None), key(4, SD, None), retired];
        assert_eq!(answer(wish(HD, None, None), &keys), kid(3).to_string());
        assert_eq!(answer(wish(SD, None, None), &keys), kid(4).to_string());
        assert_eq!(answer(wish(None, None, None), &keys), "missing");
        // A key of a period is no key without one.
        assert_eq!(answer(wish(HD, None, None), &[key(1, HD, Some(3))]), "missing");
    }

    #[test]
    fn a_period_has_its_stored_key_or_a_derived_one() {
        assert_eq!(answer(wish(HD, Some(3), None), &[]), "derived 3");
        let keys = [key(1, HD, Some(3))];
        assert_eq!(answer(wish(HD, Some(3), None), &keys), kid(1).to_string());
        assert_eq!(answer(wish(HD, Some(4), None), &keys), "derived 4");
        assert_eq!(answer(wish(SD, Some(3), None), &keys), "new track");
    }

    #[test]
    fn a_derived_key_that_was_retired_is_never_given_again() {
        let seed = PeriodSeed::new(&[1; 32]).unwrap();
        let derived = Derived::of(&seed, &content(), HD, 3).unwrap();
        let tombstone =
            KeyRecord { kid: derived.kid, state: KeyState::Retired, ..key(1, HD, Some(3)) };
        let said = answer(wish(HD, Some(3), None), std::slice::from_ref(&tombstone));
        assert_eq!(said, Refused::Retired(derived.kid).to_string());
        let said = answer(wish(HD, Some(3), Some(derived.kid)), &[tombstone]);
        assert_eq!(said, Refused::Retired(derived.kid).to_string());
    }

    #[test]
    fn a_kid_of_the_encoder_is_one_key_for_one_use() {
        let chosen = |track, period, number| wish(track, period, Some(kid(number)));
        let keys = [key(1, HD, None)];
        assert_eq!(answer(chosen(HD, None, 1), &keys), kid(1).to_string());
        assert_eq!(answer(chosen(None, None, 1), &keys), kid(1).to_string());
        assert_eq!(answer(chosen(HD, None, 2), &keys), "missing");
        assert_eq!(answer(chosen(SD, None, 1), &keys), Refused::OtherUse(kid(1)).to_string());
        let of_period = [key(1, HD, Some(3))];
        let said = answer(chosen(HD, Some(4), 1), &of_period);
        assert_eq!(said, Refused::OtherUse(kid(1)).to_string());
    }

    #[test]
    fn a_derived_kid_comes_back_to_its_own_content_alone() {
        let seed = PeriodSeed::new(&[1; 32]).unwrap();
        let own = Derived::of(&seed, &content(), HD, 3).unwrap();
        assert_eq!(answer(wish(HD, Some(3), Some(own.kid)), &[]), "derived 3");
        let said = answer(wish(HD, Some(4), Some(own.kid)), &[]);
        assert_eq!(said, Refused::OtherUse(own.kid).to_string());
        let mut other = content();
        other.crypto_periods.as_mut().unwrap().number = 8;
        let foreign = Derived::of(&seed, &other, HD, 3).unwrap();
        assert_eq!(answer(wish(HD, Some(3), Some(foreign.kid)), &[]), "missing");
    }

    #[test]
    fn the_same_wish_twice_is_one_new_key() {
        let seed = PeriodSeed::new(&[1; 32]).unwrap();
        let wanted = vec![wish(SD, None, None), wish(SD, None, None), wish(HD, None, None)];
        let content = content();
        let order =
            Order { content: content.content_id.clone(), wanted, crypto_period_seconds: None };
        assert_eq!(plan(&order, &content, &[], &seed).unwrap().missing.len(), 2);
    }
}
