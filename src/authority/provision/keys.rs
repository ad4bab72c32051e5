//! Storing, generating, rotating and retiring content keys.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::provision::contents;
use crate::authority::provision::periods::{self, Derived};
use crate::authority::provision::refusal::{Provisioned, Refusal, Stopped};
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::{Keyring, PRIMARY};
use crate::authority::vault::open::Vault;
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::{random, wrap};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::batch::{Batch, Committed};
use crate::store::record::content::ContentRecord;
use crate::store::record::kek;
use crate::store::record::key::{KeyRecord, KeyState};
use crate::store::record::title;

/// A content key that is to be stored.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// Its KID.
    pub kid: KeyId,
    /// Its content ID.
    pub content: &'a ContentId,
    /// The track type that it encrypts, if known.
    pub track: Option<TrackType>,
    /// The crypto period that it is for, if it changes with time.
    pub period: Option<u32>,
    /// The key itself.
    pub key: ContentKey,
}

impl<'a> NewKey<'a> {
    /// A random content key with a new, random KID (a UUID of version 4, RFC 9562 section 5.4).
    ///
    /// # Errors
    /// The operating system gave no randomness.
    pub fn generate(
        content: &'a ContentId,
        track: Option<TrackType>,
        period: Option<u32>,
    ) -> Result<Self, Fault> {
        let kid = uuid::Builder::from_random_bytes(random::bytes()?).into_uuid();
        let kid = KeyId::from_bytes(kid.into_bytes());
        let key = on_clean_stack(|| ContentKey::try_init(|key| random::fill(key)))?;
        Ok(Self { kid, content, track, period, key })
    }
}

/// Stores a content key.
///
/// # Errors
/// [`Refusal`], for example if the KID exists with another key, content or track type. Or a failure.
pub async fn import(vault: &Vault, new: NewKey<'_>, now: UnixTime) -> Result<Provisioned, Stopped> {
    let store = vault.store();
    if let Some((content, derived)) = periods::key(vault, new.kid).await? {
        return compare_derived(vault, &content, derived, &new);
    }
    let mut attempts = Attempts::default();
    loop {
        let batch = batch_of(vault, &[], slice::from_ref(&new), now).await?;
        if attempts.commit(&*store, batch).await? {
            return Ok(Provisioned::Done);
        }
        // Either the KID exists, or something else changed meanwhile. In the second case, try again.
        if let Some(there) = title::key(&*store, new.kid).await? {
            return compare(&vault.keyring(), &there, &new);
        }
    }
}

/// The result of storing many keys.
#[derive(Debug)]
pub struct Imported {
    /// How many keys are new.
    pub stored: usize,
    /// How many keys existed already.
    pub already: usize,
    /// Why the next key was not stored. The keys after it were not tried.
    pub stopped: Option<Stopped>,
}

/// Stores many content keys, in order. Stops at the first that is refused. Missing contents are added with `policies`,
/// unless that list is empty.
pub async fn import_many(
    vault: &Vault,
    policies: &[String],
    new: Vec<NewKey<'_>>,
    now: UnixTime,
) -> Imported {
    let mut imported = Imported { stored: 0, already: 0, stopped: None };
    let kids: BTreeSet<_> = new.iter().map(|new| new.kid).collect();
    let seed = vault.period_seed();
    // If all keys are new, one batch stores them all.
    if kids.len() == new.len()
        && kids.iter().all(|kid| seed.read_kid(*kid).is_none())
        && let Ok(batch) = batch_of(vault, policies, &new, now).await
        && let Ok(Committed::Done) = vault.store().commit(batch).await
    {
        imported.stored = new.len();
        return imported;
    }
    for new in new {
        if !policies.is_empty() {
            match contents::add(vault, new.content, policies, None, now).await {
                Ok(_) | Err(Stop::Refused(Refusal::OtherPolicies(_))) => {}
                Err(stopped) => return Imported { stopped: Some(stopped), ..imported },
            }
        }
        match import(vault, new, now).await {
            Ok(Provisioned::Done) => imported.stored += 1,
            Ok(Provisioned::Already) => imported.already += 1,
            Err(stopped) => return Imported { stopped: Some(stopped), ..imported },
        }
    }
    imported
}

/// Makes one batch that stores all of these keys or none.
async fn batch_of(
    vault: &Vault,
    policies: &[String],
    new: &[NewKey<'_>],
    now: UnixTime,
) -> Result<Batch, Stopped> {
    let store = vault.store();
    let mut batch = Batch::default();
    let contents: BTreeSet<_> = new.iter().map(|new| new.content).collect();
    for content_id in contents {
        batch = match title::content(&*store, content_id).await? {
            Some(content) => batch.expect_record(&content),
            None if policies.is_empty() => {
                return Err(contents::no_content(vault, content_id).await?.into());
            }
            None => {
                let content = ContentRecord::new(content_id.clone(), policies, now.as_secs());
                batch.add_record(&content)?
            }
        };
    }
    Ok(add_to(batch, vault, new, KeyState::Active, now).await?)
}

/// Adds keys to a batch that expects their contents, or adds them. If a rotation replaces the primary KEK first, the batch
/// conflicts.
///
/// # Errors
/// [`Fault`].
pub(in crate::authority) async fn add_to(
    batch: Batch,
    vault: &Vault,
    new: &[NewKey<'_>],
    state: KeyState,
    now: UnixTime,
) -> Result<Batch, Fault> {
    let (store, keyring) = (vault.store(), vault.keyring());
    let kek = kek::kek(&*store, keyring.primary()).await?;
    let kek = kek.ok_or(Fault::Incomplete(PRIMARY))?;
    let mut batch = batch.expect_record(&kek);
    for NewKey { kid, content, track, period, key } in new {
        if !vault.additions().are_counted(content, now) {
            count_additions(vault, content, now).await?;
        }
        batch = batch.add_key(&KeyRecord {
            kid: *kid,
            content_id: (*content).clone(),
            track_type: *track,
            crypto_period_index: *period,
            state,
            wrapped: keyring.wrap_content_key(*kid, content, *track, key)?,
            created_at: now.as_secs(),
            nth_in_second: vault.additions().next(content, now),
        })?;
    }
    Ok(batch)
}

/// Counts the keys that a content has been given in this second.
async fn count_additions(vault: &Vault, content: &ContentId, now: UnixTime) -> Result<(), Fault> {
    let title = title::title(&*vault.store(), content).await?;
    let keys = title.iter().flat_map(|title| &title.keys);
    let same_second = keys.filter(|key| key.created_at == now.as_secs());
    let next = same_second.map(|key| key.nth_in_second.saturating_add(1)).max();
    vault.additions().count(content, now, next.unwrap_or_default());
    Ok(())
}

/// Compares an existing key with a new one of the same KID.
fn compare(keyring: &Keyring, there: &KeyRecord, new: &NewKey<'_>) -> Result<Provisioned, Stopped> {
    let kid = there.kid;
    if there.content_id != *new.content {
        return Err(Refusal::OtherContent(kid, there.content_id.clone()).into());
    }
    if there.track_type != new.track {
        return Err(Refusal::OtherTrack(kid).into());
    }
    if there.crypto_period_index != new.period {
        return Err(Refusal::OtherPeriod(kid).into());
    }
    if !keyring.is_key(there, &new.key)? {
        return Err(Refusal::OtherKey(kid).into());
    }
    match there.state {
        KeyState::Active => Ok(Provisioned::Already),
        KeyState::Retired => Err(Refusal::Retired(kid).into()),
    }
}

/// Compares the derived key of a crypto period with a new one of the same KID.
fn compare_derived(
    vault: &Vault,
    content: &ContentRecord,
    derived: Derived,
    new: &NewKey<'_>,
) -> Result<Provisioned, Stopped> {
    let (kid, content) = (new.kid, &content.content_id);
    if content != new.content {
        return Err(Refusal::OtherContent(kid, content.clone()).into());
    }
    if derived.track != new.track {
        return Err(Refusal::OtherTrack(kid).into());
    }
    if new.period != Some(derived.period) {
        return Err(Refusal::OtherPeriod(kid).into());
    }
    let key = derived.content_key(vault.period_seed(), content)?;
    match wrap::is_same(&key, &new.key) {
        true => Ok(Provisioned::Already),
        false => Err(Refusal::OtherKey(kid).into()),
    }
}

/// Makes a new key for the named track type, or for each track type of which the content has active keys: **all of
/// them or none**. A track type whose keys have crypto periods gets the key of the next period. The older keys
/// stay active, so films that were packaged with them still play until the keys are retired. Returns the new KIDs.
///
/// # Errors
/// [`Refusal::NoContent`], [`Refusal::NothingToRotate`], or a failure.
pub async fn rotate(
    vault: &Vault,
    content_id: &ContentId,
    track: Option<TrackType>,
    now: UnixTime,
) -> Result<Vec<KeyId>, Stopped> {
    let store = vault.store();
    let mut attempts = Attempts::default();
    loop {
        let title = contents::title(vault, content_id).await?;
        let active = title.keys.iter().filter(|key| key.state == KeyState::Active);
        let mut newest: BTreeMap<_, Option<u32>> = BTreeMap::new();
        for key in active.filter(|key| track.is_none() || key.track_type == track) {
            let period = newest.entry(key.track_type).or_default();
            *period = (*period).max(key.crypto_period_index);
        }
        let next = |period: Option<u32>| match period {
            Some(u32::MAX) => Err(Refusal::NoNextPeriod(content_id.clone())),
            period => Ok(period.map(|index| index.saturating_add(1))),
        };
        let new = newest
            .into_iter()
            .map(|(track, period)| Ok(NewKey::generate(content_id, track, next(period)?)?));
        let new: Vec<_> = new.collect::<Result<_, Stopped>>()?;
        if new.is_empty() {
            return Err(Refusal::NothingToRotate(content_id.clone()).into());
        }
        let batch = batch_of(vault, &[], &new, now).await?;
        if attempts.commit(&*store, batch).await? {
            return Ok(new.iter().map(|new| new.kid).collect());
        }
    }
}

/// Retires a key: it is kept, but never granted again.
///
/// # Errors
/// [`Refusal::NoKey`], or a failure.
pub async fn retire(vault: &Vault, kid: KeyId, now: UnixTime) -> Result<Provisioned, Stopped> {
    let store = vault.store();
    let mut attempts = Attempts::default();
    loop {
        let Some(there) = title::key(&*store, kid).await? else {
            let batch = retire_derived(vault, kid, now).await?;
            match attempts.commit(&*store, batch).await? {
                true => return Ok(Provisioned::Done),
                false => continue,
            }
        };
        if there.state == KeyState::Retired {
            return Ok(Provisioned::Already);
        }
        let retired = KeyRecord { state: KeyState::Retired, ..KeyRecord::clone(&there) };
        let batch = Batch::default().replace_record(&there, &retired)?;
        if attempts.commit(&*store, batch).await? {
            return Ok(Provisioned::Done);
        }
    }
}

/// A batch that retires the derived key of a crypto period: it gets a record, which comes before the derived key.
async fn retire_derived(vault: &Vault, kid: KeyId, now: UnixTime) -> Result<Batch, Stopped> {
    let (content, derived) = periods::key(vault, kid).await?.ok_or(Refusal::NoKey(kid))?;
    let key = derived.content_key(vault.period_seed(), &content.content_id)?;
    let new = NewKey {
        kid,
        content: &content.content_id,
        track: derived.track,
        period: Some(derived.period),
        key,
    };
    let batch = Batch::default().expect_record(&content);
    Ok(add_to(batch, vault, slice::from_ref(&new), KeyState::Retired, now).await?)
}
