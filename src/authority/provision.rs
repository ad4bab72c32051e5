//! Titles and their keys: adding, importing, generating, retiring, removing. Repeating what is done already changes
//! nothing and says so; contradicting it is refused and changes nothing.

use std::collections::BTreeSet;
use std::slice;

use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::keyring::{self, Keyring};
use crate::authority::vault::Vault;
use crate::crypto::random::{self, RandomnessFailed};
use crate::crypto::wrap::WrapFailed;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::{self, ContentRecord, KeyRecord, KeyState};
use crate::store::{self, Batch, Committed};

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioned {
    /// It is done, and on disk.
    Done,
    /// It was done before.
    Already,
}

/// A change was refused or failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The title is there with other policies.
    #[error("{0} exists with other policies")]
    OtherPolicies(ContentId),
    /// There is no such title.
    #[error("there is no content {0}; add it first with `reelkey content add`")]
    NoContent(ContentId),
    /// There is no such key.
    #[error("there is no key {0}")]
    NoKey(KeyId),
    /// The title has keys that are given out.
    #[error("{content} has {active} active keys; retire them first with `reelkey key retire`")]
    ActiveKeys {
        /// Which title.
        content: ContentId,
        /// How many.
        active: usize,
    },
    /// The KID belongs to another title.
    #[error("key {0} belongs to {1}; a KID belongs to one content")]
    OtherContent(KeyId, ContentId),
    /// The KID has another track type.
    #[error("key {0} exists with another track type")]
    OtherTrack(KeyId),
    /// The KID has another key.
    #[error("key {0} exists with another value; to replace a key, use a new KID")]
    OtherKey(KeyId),
    /// The same key was retired.
    #[error("key {0} is retired and stays so; use a new KID")]
    Retired(KeyId),
    /// A stored key does not open.
    #[error(transparent)]
    Keyring(#[from] keyring::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapFailed),
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
}

/// Adds a title under these policies, the first for tokens that name none.
///
/// # Errors
/// [`Error::OtherPolicies`], or a failure of the store.
pub async fn add_content(
    vault: &Vault,
    content_id: &ContentId,
    policies: &[String],
    now: UnixTime,
) -> Result<Provisioned, Error> {
    let record = ContentRecord {
        content_id: content_id.clone(),
        policies: policies.to_vec(),
        created_at: now.as_secs(),
    };
    let store = vault.store();
    if store.commit(Batch::default().add_record(&record)?).await? == Committed::Done {
        return Ok(Provisioned::Done);
    }
    match record::content(&*store, content_id).await? {
        Some(there) if there.policies == policies => Ok(Provisioned::Already),
        _ => Err(Error::OtherPolicies(content_id.clone())),
    }
}

/// A content key to be stored, and what it is for.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// Its identifier.
    pub kid: KeyId,
    /// Its title.
    pub content: &'a ContentId,
    /// What it encrypts, if that is known.
    pub track: Option<TrackType>,
    /// The key.
    pub key: ContentKey,
}

/// Removes a title whose keys are all retired, and them with it. Answers how many those were, or `None` where
/// there is no such title.
///
/// # Errors
/// [`Error::ActiveKeys`], or a failure of the store.
pub async fn remove_content(vault: &Vault, content_id: &ContentId) -> Result<Option<usize>, Error> {
    let store = vault.store();
    loop {
        let Some(content) = record::content(&*store, content_id).await? else { return Ok(None) };
        let keys = record::keys_of(&*store, content_id).await?;
        let active = keys.iter().filter(|key| key.state == KeyState::Active).count();
        if active > 0 {
            return Err(Error::ActiveKeys { content: content_id.clone(), active });
        }
        let mut batch = Batch::default().remove_record(&content)?;
        for key in &keys {
            batch = batch.remove_key(key)?;
        }
        // A key that comes in meanwhile expects the title to be there, so one of the two is too late.
        if store.commit(batch).await? == Committed::Done {
            return Ok(Some(keys.len()));
        }
    }
}

/// Stores a content key.
///
/// # Errors
/// [`Error`]; a KID with another key, title or track type is refused.
pub async fn import_key(
    vault: &Vault,
    new: NewKey<'_>,
    now: UnixTime,
) -> Result<Provisioned, Error> {
    loop {
        let new = slice::from_ref(&new);
        if commit_keys(vault, &[], new, now).await? == Committed::Done {
            return Ok(Provisioned::Done);
        }
        // The KID is there, or something changed meanwhile and it is tried again.
        for new in new {
            if let Some(there) = record::key(&*vault.store(), new.kid).await? {
                return compare(&vault.keyring(), &there, new);
            }
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
    pub refused: Option<Error>,
}

/// Stores many content keys, in order, up to the first that is refused. Titles that are missing are added under
/// `policies`, unless there are none.
pub async fn import_keys(
    vault: &Vault,
    policies: &[String],
    new: Vec<NewKey<'_>>,
    now: UnixTime,
) -> Imported {
    let mut imported = Imported { stored: 0, already: 0, refused: None };
    let kids: BTreeSet<_> = new.iter().map(|new| new.kid).collect();
    // All at once, where they are all new.
    if kids.len() == new.len()
        && let Ok(Committed::Done) = commit_keys(vault, policies, &new, now).await
    {
        imported.stored = new.len();
        return imported;
    }
    for new in new {
        if !policies.is_empty() {
            match add_content(vault, new.content, policies, now).await {
                Ok(_) | Err(Error::OtherPolicies(_)) => {}
                Err(error) => return Imported { refused: Some(error), ..imported },
            }
        }
        match import_key(vault, new, now).await {
            Ok(Provisioned::Done) => imported.stored += 1,
            Ok(Provisioned::Already) => imported.already += 1,
            Err(error) => return Imported { refused: Some(error), ..imported },
        }
    }
    imported
}

/// Stores keys in one batch, if none of them is there.
async fn commit_keys(
    vault: &Vault,
    policies: &[String],
    new: &[NewKey<'_>],
    now: UnixTime,
) -> Result<Committed, Error> {
    let (store, keyring) = (vault.store(), vault.keyring());
    let kek = record::kek(&*store, keyring.primary()).await?;
    let kek = kek.ok_or(keyring::Error::Incomplete(keyring::PRIMARY))?;
    // A rotation that is quicker makes this a conflict, and the keys are wrapped again.
    let mut batch = Batch::default().expect_record(&kek)?;
    let contents: BTreeSet<_> = new.iter().map(|new| new.content).collect();
    for content_id in contents {
        batch = match record::content(&*store, content_id).await? {
            Some(content) => batch.expect_record(&content)?,
            None if policies.is_empty() => return Err(Error::NoContent(content_id.clone())),
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
    Ok(store.commit(batch).await?)
}

/// What it means that the KID is there.
fn compare(keyring: &Keyring, there: &KeyRecord, new: &NewKey<'_>) -> Result<Provisioned, Error> {
    let kid = there.kid;
    if there.content_id != *new.content {
        return Err(Error::OtherContent(kid, there.content_id.clone()));
    }
    if there.track_type != new.track {
        return Err(Error::OtherTrack(kid));
    }
    if !keyring.is_key(there, &new.key)? {
        return Err(Error::OtherKey(kid));
    }
    match there.state {
        KeyState::Active => Ok(Provisioned::Already),
        KeyState::Retired => Err(Error::Retired(kid)),
    }
}

/// Retires a key: it is kept, and never given out again.
///
/// # Errors
/// [`Error::NoKey`], or a failure of the store.
pub async fn retire_key(vault: &Vault, kid: KeyId) -> Result<Provisioned, Error> {
    let store = vault.store();
    loop {
        let there = record::key(&*store, kid).await?.ok_or(Error::NoKey(kid))?;
        if there.state == KeyState::Retired {
            return Ok(Provisioned::Already);
        }
        let retired = KeyRecord { state: KeyState::Retired, ..there.clone() };
        let batch = Batch::default().replace_record(&there, &retired)?;
        // Somebody else may have changed it meanwhile; then what is there now decides.
        if store.commit(batch).await? == Committed::Done {
            return Ok(Provisioned::Done);
        }
    }
}

/// Makes a content key with a new, random KID (a UUID of version 4, RFC 9562 section 5.4).
///
/// # Errors
/// [`Error`].
pub async fn generate_key(
    vault: &Vault,
    content: &ContentId,
    track: Option<TrackType>,
    now: UnixTime,
) -> Result<KeyId, Error> {
    let kid = uuid::Builder::from_random_bytes(random::bytes()?).into_uuid();
    let kid = KeyId::from_bytes(kid.into_bytes());
    let key = ContentKey::try_init(|key| random::fill(key))?;
    import_key(vault, NewKey { kid, content, track, key }, now).await?;
    Ok(kid)
}
