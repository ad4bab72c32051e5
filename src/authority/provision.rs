//! Titles and their keys: adding, importing, generating. Repeating what is done already changes
//! nothing and says so; contradicting it is refused and changes nothing.

use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::keyring::{self, Keyring};
use crate::authority::vault::Vault;
use crate::crypto::random::{self, RandomnessFailed};
use crate::crypto::wrap::WrapFailed;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::{self, ContentRecord, KeyRecord, KeyState};
use crate::store::{self, Batch, Committed, Store};

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
    store: &dyn Store,
    content_id: &ContentId,
    policies: &[String],
    now: UnixTime,
) -> Result<Provisioned, Error> {
    let record = ContentRecord {
        content_id: content_id.clone(),
        policies: policies.to_vec(),
        created_at: now.as_secs(),
    };
    if store.commit(Batch::default().add_record(&record)?).await? == Committed::Done {
        return Ok(Provisioned::Done);
    }
    match record::content(store, content_id).await? {
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

/// Stores a content key.
///
/// # Errors
/// [`Error`]; a KID with another key, title or track type is refused.
pub async fn import_key(
    vault: &Vault,
    new: NewKey<'_>,
    now: UnixTime,
) -> Result<Provisioned, Error> {
    let NewKey { kid, content, track, key } = &new;
    let store = &*vault.store();
    if record::content(store, content).await?.is_none() {
        return Err(Error::NoContent((*content).clone()));
    }
    loop {
        let keyring = vault.keyring();
        let kek = record::kek(store, keyring.primary()).await?;
        let kek = kek.ok_or(keyring::Error::Incomplete(keyring::PRIMARY))?;
        let record = KeyRecord {
            kid: *kid,
            content_id: (*content).clone(),
            track_type: *track,
            state: KeyState::Active,
            wrapped: keyring.wrap_content_key(*kid, content, *track, key)?,
            created_at: now.as_secs(),
        };
        // A rotation that is quicker makes this a conflict, and the key is wrapped again.
        let batch = Batch::default().add_key(&record)?.expect_record(&kek)?;
        if store.commit(batch).await? == Committed::Done {
            return Ok(Provisioned::Done);
        }
        if let Some(there) = record::key(store, *kid).await? {
            return compare(&vault.keyring(), &there, &new);
        }
    }
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
pub async fn retire_key(store: &dyn Store, kid: KeyId) -> Result<Provisioned, Error> {
    loop {
        let there = record::key(store, kid).await?.ok_or(Error::NoKey(kid))?;
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
