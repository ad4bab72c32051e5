//! The derived keys of a content with crypto periods: which there are, and where a KID belongs.
//!
//! Nothing is written for a period. A content's record says for which track types packagers have asked, and every period of
//! these has a key. A key that was retired has a record of its own, which comes first.

use std::collections::{BTreeMap, BTreeSet};

use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::vault::fault::Fault;
use crate::authority::vault::open::Vault;
use crate::crypto::period::{PeriodKey, PeriodSeed};
use crate::crypto::random;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::engine::Store;
use crate::store::error::Error;
use crate::store::record::content::{ContentRecord, CryptoPeriods};
use crate::store::record::stored::Stored;
use crate::store::record::title;

/// The key of one track type in one crypto period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Its KID.
    pub kid: KeyId,
    /// The track type; `None` for a key for all tracks.
    pub track: Option<TrackType>,
    /// The index of the crypto period.
    pub period: u32,
    key: PeriodKey,
}

impl Derived {
    /// The key of this track type and period. The content must have crypto periods.
    #[must_use]
    pub fn of(
        seed: &PeriodSeed,
        content: &ContentRecord,
        track: Option<TrackType>,
        period: u32,
    ) -> Option<Self> {
        let number = content.crypto_periods.as_ref()?.number;
        let key = PeriodKey { number, track: TrackType::number(track), period };
        Some(Self { kid: seed.kid(key), track, period, key })
    }

    /// The key that has this KID, if it is one of this content and a packager has asked for its track type.
    #[must_use]
    pub fn by_kid(seed: &PeriodSeed, content: &ContentRecord, kid: KeyId) -> Option<Self> {
        let periods = content.crypto_periods.as_ref()?;
        let key = seed.read_kid(kid).filter(|key| key.number == periods.number)?;
        let track = periods.tracks.iter().find(|track| TrackType::number(**track) == key.track)?;
        Some(Self { kid, track: *track, period: key.period, key })
    }

    /// The content key.
    ///
    /// # Errors
    /// [`Fault::NotDerived`].
    pub fn content_key(&self, seed: &PeriodSeed, content: &ContentId) -> Result<ContentKey, Fault> {
        Ok(seed.key(content.as_str(), self.key)?)
    }
}

/// Crypto periods for a content that has none, with a random number. Two contents with the same number conflict.
///
/// # Errors
/// The operating system gave no randomness.
pub fn new(seconds: Option<u32>) -> Result<CryptoPeriods, Fault> {
    let number = u32::from_be_bytes(random::bytes()?);
    Ok(CryptoPeriods { number, seconds, asked_seconds: None, tracks: BTreeSet::new() })
}

/// The crypto period of this moment, where periods are counted by the clock.
#[must_use]
pub fn current(content: &ContentRecord, now: UnixTime) -> Option<u32> {
    let periods = content.crypto_periods.as_ref()?;
    let seconds = periods.seconds.or(periods.asked_seconds)?;
    u32::try_from(now.as_secs().checked_div(seconds.into())?).ok()
}

/// The keys that a license of this content may contain: those of the current and the next period, where periods are counted
/// by the clock, and those that are named.
#[must_use]
pub fn wanted(
    seed: &PeriodSeed,
    content: &ContentRecord,
    kids: &BTreeSet<KeyId>,
    now: UnixTime,
) -> Vec<Derived> {
    let named = kids.iter().filter_map(|kid| Derived::by_kid(seed, content, *kid));
    let tracks = content.crypto_periods.iter().flat_map(|periods| &periods.tracks);
    let around = current(content, now).into_iter().flat_map(|now| [Some(now), now.checked_add(1)]);
    let around: Vec<_> = around.flatten().collect();
    let of_time = tracks
        .flat_map(|track| around.iter().filter_map(|at| Derived::of(seed, content, *track, *at)));
    let by_kid: BTreeMap<_, _> = named.chain(of_time).map(|key| (key.kid, key)).collect();
    by_kid.into_values().collect()
}

/// Finds the contents that have the keys with these KIDs, stored or derived: **one read**. Unknown KIDs are left out.
///
/// # Errors
/// [`Error`].
pub async fn contents_of(
    store: &dyn Store,
    seed: &PeriodSeed,
    kids: &BTreeSet<KeyId>,
) -> Result<BTreeMap<KeyId, ContentId>, Error> {
    let derived: BTreeMap<_, _> =
        kids.iter().filter_map(|kid| Some((*kid, seed.read_kid(*kid)?.number))).collect();
    let numbers: BTreeSet<_> = derived.values().copied().collect();
    let (mut by_kid, by_number) = title::find(store, kids, &numbers).await?;
    for (kid, number) in derived {
        if let Some(content) = by_number.get(&number) {
            by_kid.entry(kid).or_insert_with(|| content.clone());
        }
    }
    Ok(by_kid)
}

/// The derived key with this KID and its content, as it was read: two reads. `None` if there is none, also if it has a record
/// of its own.
///
/// # Errors
/// [`Fault`].
pub async fn key(
    vault: &Vault,
    kid: KeyId,
) -> Result<Option<(Stored<ContentRecord>, Derived)>, Fault> {
    let (store, seed) = (vault.store(), vault.period_seed());
    let contents = contents_of(&*store, seed, &BTreeSet::from([kid])).await?;
    let Some(content) = contents.get(&kid) else { return Ok(None) };
    let Some(content) = title::content(&*store, content).await? else { return Ok(None) };
    let derived = Derived::by_kid(seed, &content, kid);
    Ok(derived.map(|derived| (content, derived)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(seconds: Option<u32>) -> ContentRecord {
        let tracks = BTreeSet::from([Some(TrackType::Audio), Some(TrackType::Hd)]);
        let crypto_periods =
            Some(CryptoPeriods { number: 7, seconds, asked_seconds: None, tracks });
        let content = ContentRecord::new("live/news".parse().unwrap(), &["open".into()], 1);
        ContentRecord { crypto_periods, ..content }
    }

    #[test]
    fn a_license_has_the_current_and_the_next_period_and_the_named_keys() {
        let seed = PeriodSeed::new(&[1; 32]).unwrap();
        let content = content(Some(10));
        let periods = |kids: &BTreeSet<KeyId>, now| {
            let wanted = wanted(&seed, &content, kids, UnixTime::from_secs(now));
            wanted.iter().map(|key| key.period).collect::<BTreeSet<_>>()
        };
        assert_eq!(periods(&BTreeSet::new(), 999), BTreeSet::from([99, 100]));
        assert_eq!(periods(&BTreeSet::new(), 1000), BTreeSet::from([100, 101]));
        let old = Derived::of(&seed, &content, Some(TrackType::Hd), 3).unwrap();
        assert_eq!(periods(&BTreeSet::from([old.kid]), 1000), BTreeSet::from([3, 100, 101]));
        // The last period of all has no next one, and after it there is none.
        let last = u64::from(u32::MAX) * 10;
        assert_eq!(periods(&BTreeSet::new(), last), BTreeSet::from([u32::MAX]));
        assert_eq!(periods(&BTreeSet::new(), last + 10), BTreeSet::new());
    }

    #[test]
    fn only_what_packagers_asked_for_is_known() {
        let seed = PeriodSeed::new(&[1; 32]).unwrap();
        let content = content(None);
        let uhd = Derived::of(&seed, &content, Some(TrackType::Uhd1), 3).unwrap();
        assert_eq!(Derived::by_kid(&seed, &content, uhd.kid), None);
        let hd = Derived::of(&seed, &content, Some(TrackType::Hd), 3).unwrap();
        assert_eq!(Derived::by_kid(&seed, &content, hd.kid), Some(hd));
        let mut other = content.clone();
        other.crypto_periods.as_mut().unwrap().number = 8;
        assert_eq!(Derived::by_kid(&seed, &other, hd.kid), None);
        assert!(wanted(&seed, &content, &BTreeSet::new(), UnixTime::from_secs(9)).is_empty());
    }
}
