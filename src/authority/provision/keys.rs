//! Content keys: storing, generating, rotating, retiring.

use std::collections::BTreeSet;
use std::slice;

use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::provision::contents;
use crate::authority::provision::refusal::{Provisioned, Refusal, Stopped};
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::{Keyring, PRIMARY};
use crate::authority::vault::open::Vault;
use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::random;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::batch::{Batch, Committed};
use crate::store::record::content::ContentRecord;
use crate::store::record::kek;
use crate::store::record::key::{KeyRecord, KeyState};
use crate::store::record::title;

/// A content key to be stored, and what it is for.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// Its identifier.
    pub kid: KeyId,
    /// Its content.
    pub content: &'a ContentId,
    /// What it encrypts, if that is known.
    pub track: Option<TrackType>,
    /// The key.
    pub key: ContentKey,
}

impl<'a> NewKey<'a> {
    /// A random content key with a new, random KID (a UUID of version 4, RFC 9562 section 5.4).
    ///
    /// # Errors
    /// That there is no randomness.
    pub fn generate(content: &'a ContentId, track: Option<TrackType>) -> Result<Self, Fault> {
        let kid = uuid::Builder::from_random_bytes(random::bytes()?).into_uuid();
        let kid = KeyId::from_bytes(kid.into_bytes());
        let key = on_clean_stack(|| ContentKey::try_init(|key| random::fill(key)))?;
        Ok(Self { kid, content, track, key })
    }
}

/// Stores a content key.
///
/// # Errors
/// [`Refusal`]; a KID with another key, content or track type is refused.
pub async fn import(vault: &Vault, new: NewKey<'_>, now: UnixTime) -> Result<Provisioned, Stopped> {
    let store = vault.store();
    let mut attempts = Attempts::default();
    loop {
        let batch = batch_of(vault, &[], slice::from_ref(&new), now).await?;
        if attempts.commit(&*store, batch).await? {
            return Ok(Provisioned::Done);
        }
        // The KID is there, or something changed meanwhile and it is tried again.
        if let Some(there) = title::key(&*store, new.kid).await? {
            return compare(&vault.keyring(), &there, &new);
        }
    }
}

/// What became of many keys.
#[derive(Debug)]
pub struct Imported {
    /// How many are new.
    pub stored: usize,
    /// How many were there.
    pub already: usize,
    /// Why the one after these was refused; the rest was not tried.
    pub stopped: Option<Stopped>,
}

/// Stores many content keys, in order, up to the first that is refused. Contents that are missing are added under
/// `policies`, unless there are none.
pub async fn import_many(
    vault: &Vault,
    policies: &[String],
    new: Vec<NewKey<'_>>,
    now: UnixTime,
) -> Imported {
    let mut imported = Imported { stored: 0, already: 0, stopped: None };
    let kids: BTreeSet<_> = new.iter().map(|new| new.kid).collect();
    // All at once, where they are all new.
    if kids.len() == new.len()
        && let Ok(batch) = batch_of(vault, policies, &new, now).await
        && let Ok(Committed::Done) = vault.store().commit(batch).await
    {
        imported.stored = new.len();
        return imported;
    }
    for new in new {
        if !policies.is_empty() {
            match contents::add(vault, new.content, policies, now).await {
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

/// One batch that stores all of these keys, or none.
async fn batch_of(
    vault: &Vault,
    policies: &[String],
    new: &[NewKey<'_>],
    now: UnixTime,
) -> Result<Batch, Stopped> {
    let (store, keyring) = (vault.store(), vault.keyring());
    let kek = kek::kek(&*store, keyring.primary()).await?;
    let kek = kek.ok_or(Fault::Incomplete(PRIMARY))?;
    // A rotation that is quicker makes this a conflict, and the keys are wrapped again.
    let mut batch = Batch::default().expect_record(&kek);
    let contents: BTreeSet<_> = new.iter().map(|new| new.content).collect();
    for content_id in contents {
        batch = match title::content(&*store, content_id).await? {
            Some(content) => batch.expect_record(&content),
            None if policies.is_empty() => {
                return Err(Refusal::NoContent(content_id.clone()).into());
            }
            None => batch.add_record(&ContentRecord {
                content_id: content_id.clone(),
                policies: policies.to_vec(),
                created_at: now.as_secs(),
            })?,
        };
    }
    for NewKey { kid, content, track, key } in new {
        batch = batch.add_key(&KeyRecord {
            kid: *kid,
            content_id: (*content).clone(),
            track_type: *track,
            state: KeyState::Active,
            wrapped: keyring.wrap_content_key(*kid, content, *track, key)?,
            created_at: now.as_secs(),
        })?;
    }
    Ok(batch)
}

/// What it means that the KID is there.
fn compare(keyring: &Keyring, there: &KeyRecord, new: &NewKey<'_>) -> Result<Provisioned, Stopped> {
    let kid = there.kid;
    if there.content_id != *new.content {
        return Err(Refusal::OtherContent(kid, there.content_id.clone()).into());
    }
    if there.track_type != new.track {
        return Err(Refusal::OtherTrack(kid).into());
    }
    if !keyring.is_key(there, &new.key)? {
        return Err(Refusal::OtherKey(kid).into());
    }
    match there.state {
        KeyState::Active => Ok(Provisioned::Already),
        KeyState::Retired => Err(Refusal::Retired(kid).into()),
    }
}

/// Makes a new key for the named track type, or for each that the content has active keys of: **all of them or none**.
/// The older ones stay: films that were packaged with them go on playing until they are retired. Returns the new KIDs.
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
        let tracks: BTreeSet<_> = active.map(|key| key.track_type).collect();
        let wanted = tracks.into_iter().filter(|other| track.is_none() || *other == track);
        let new: Vec<_> =
            wanted.map(|track| NewKey::generate(content_id, track)).collect::<Result<_, _>>()?;
        if new.is_empty() {
            return Err(Refusal::NothingToRotate(content_id.clone()).into());
        }
        let batch = batch_of(vault, &[], &new, now).await?;
        if attempts.commit(&*store, batch).await? {
            return Ok(new.iter().map(|new| new.kid).collect());
        }
    }
}

/// Retires a key: it is kept, and never given out again.
///
/// # Errors
/// [`Refusal::NoKey`], or a failure.
pub async fn retire(vault: &Vault, kid: KeyId) -> Result<Provisioned, Stopped> {
    let store = vault.store();
    let mut attempts = Attempts::default();
    loop {
        let there = title::key(&*store, kid).await?.ok_or(Refusal::NoKey(kid))?;
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
