//! Executing what an operator asks for: by the running service, over its admin socket, or, where none runs, by
//! the command on the store itself. Both call [`execute`], so the answer is the same.

use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::time::UnixTime;

use crate::authority::census::census;
use crate::authority::operation::{
    ContentView, KekView, KeyView, Operation, Outcome, PlainKey, SignerView,
};
use crate::authority::provision::{self, NewKey, Provisioned};
use crate::authority::vault::{self, Vault};
use crate::authority::{root_rotation, rotate};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::{self, ContentRecord, KekRecord, KeyRecord, KeyState, SignerRecord};
use crate::store::{self};

/// An operation was refused or failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule of provisioning.
    #[error(transparent)]
    Provision(#[from] provision::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// A rotation.
    #[error(transparent)]
    Rotation(#[from] rotate::Error),
    /// A policy that is not loaded.
    #[error(
        "there is no policy {0:?}; see `reelkey policy list`, and restart the service for a new one"
    )]
    NoPolicy(String),
    /// A policy named twice.
    #[error("policy {0:?} is named twice")]
    RepeatedPolicy(String),
    /// A rotation of the root key.
    #[error(transparent)]
    Root(#[from] root_rotation::Error),
    /// The title has no key of that kind to rotate.
    #[error("{0} has no such key; make one with `reelkey key generate`")]
    NothingToRotate(ContentId),
    /// No such key.
    #[error("there is no key {0}")]
    NoKey(String),
    /// Not a key, or not a key ID.
    #[error("a key is 32 hexadecimal digits, a key ID that or a UUID")]
    Malformed,
}

/// Executes an operation. `policies` are the names of those that are loaded.
///
/// # Errors
/// [`Error`].
pub async fn execute(
    vault: &Vault,
    policies: &[String],
    operation: Operation,
    now: UnixTime,
) -> Result<Outcome, Error> {
    if operation.changes_what_wraps() {
        let _alone = vault.exclusive().await;
        execute_now(vault, policies, operation, now).await
    } else {
        let _with_others = vault.shared().await;
        execute_now(vault, policies, operation, now).await
    }
}

async fn execute_now(
    vault: &Vault,
    policies: &[String],
    operation: Operation,
    now: UnixTime,
) -> Result<Outcome, Error> {
    match operation {
        Operation::ContentAdd { content_id, policies: named } => {
            add_content(vault, policies, &content_id, &named, now).await
        }
        Operation::ContentRemove { content_id } => {
            let removed = provision::remove_content(vault, &content_id).await?;
            Ok(Outcome::ContentRemoved {
                changed: removed.is_some(),
                keys: removed.unwrap_or_default(),
            })
        }
        Operation::ContentList => list_contents(vault).await,
        Operation::ContentShow { content_id } => show_content(vault, &content_id).await,
        Operation::KeyGenerate { content_id, track_type } => {
            let kid = generate(vault, &content_id, track_type, now).await?;
            Ok(Outcome::KeyStored { key: find(vault, kid).await?, created: true })
        }
        Operation::KeyImport { kid, content_id, track_type, key } => {
            let kid = parse_kid(&kid)?;
            let key = ContentKey::parse_hex(&key).map_err(|_| Error::Malformed)?;
            let new = NewKey { kid, content: &content_id, track: track_type, key };
            let done = provision::import_key(vault, new, now).await?;
            let created = done == Provisioned::Done;
            Ok(Outcome::KeyStored { key: find(vault, kid).await?, created })
        }
        Operation::KeyImportMany { policies: named, keys } => {
            judge_policies(policies, &named)?;
            import_many(vault, &named, keys, now).await
        }
        Operation::KeyExport { content_id, after, limit } => {
            export(vault, content_id.as_ref(), after, limit).await
        }
        Operation::KeyList { content_id } => list_keys(vault, content_id).await,
        Operation::KeyShow { kid } => {
            Ok(Outcome::Keys { keys: vec![find(vault, parse_kid(&kid)?).await?] })
        }
        Operation::KeyRotate { content_id, track_type } => {
            rotate_keys(vault, &content_id, track_type, now).await
        }
        Operation::KeyRetire { kid } => {
            let kid = parse_kid(&kid)?;
            let done = provision::retire_key(vault, kid).await?;
            let changed = done == Provisioned::Done;
            Ok(Outcome::KeyRetired { key: find(vault, kid).await?, changed })
        }
        Operation::KekList => list_keks(vault).await,
        Operation::KekRotate => {
            rotate::rotate_kek(vault, now).await?;
            list_keks(vault).await
        }
        Operation::KekRewrap { limit } => {
            let rotate::Rewrapped { done, left } = rotate::rewrap(vault, limit).await?;
            Ok(Outcome::Rewrapped { done, left })
        }
        Operation::KekRetire { generation } => {
            let generations = rotate::retire_kek(vault, generation).await?;
            Ok(Outcome::KeksRetired { generations })
        }
        Operation::RootRotate => {
            Ok(Outcome::RootRotated { secrets: root_rotation::rotate_root(vault, now).await? })
        }
        Operation::StoreCheck => check(vault).await,
        Operation::SignerList => list_signers(vault).await,
        Operation::SignerRotate { at_once } => {
            rotate::rotate_signer(vault, at_once, now).await?;
            list_signers(vault).await
        }
    }
}

/// Whether every policy is loaded and named once.
fn judge_policies(loaded: &[String], named: &[String]) -> Result<(), Error> {
    for (at, name) in named.iter().enumerate() {
        if !loaded.contains(name) {
            return Err(Error::NoPolicy(name.clone()));
        }
        if named.iter().take(at).any(|other| other == name) {
            return Err(Error::RepeatedPolicy(name.clone()));
        }
    }
    Ok(())
}

async fn add_content(
    vault: &Vault,
    loaded: &[String],
    content_id: &ContentId,
    named: &[String],
    now: UnixTime,
) -> Result<Outcome, Error> {
    judge_policies(loaded, named)?;
    let done = provision::add_content(vault, content_id, named, now).await?;
    let record = content_record(vault, content_id).await?;
    let content = view_content(vault, &record).await?;
    Ok(Outcome::ContentAdded { content, created: done == Provisioned::Done })
}

async fn list_contents(vault: &Vault) -> Result<Outcome, Error> {
    let mut contents = Vec::new();
    for content in record::all::<ContentRecord>(&*vault.store()).await? {
        contents.push(view_content(vault, &content).await?);
    }
    Ok(Outcome::Contents { contents })
}

async fn show_content(vault: &Vault, content_id: &ContentId) -> Result<Outcome, Error> {
    let record = content_record(vault, content_id).await?;
    let keys = record::keys_of(&*vault.store(), content_id).await?;
    let content = view_content(vault, &record).await?;
    Ok(Outcome::Content { content, keys: keys.iter().map(view_key).collect() })
}

async fn list_keys(vault: &Vault, content_id: Option<ContentId>) -> Result<Outcome, Error> {
    let keys = match content_id {
        Some(content_id) => {
            content_record(vault, &content_id).await?;
            record::keys_of(&*vault.store(), &content_id).await?
        }
        None => record::all::<KeyRecord>(&*vault.store()).await?,
    };
    Ok(Outcome::Keys { keys: keys.iter().map(view_key).collect() })
}

async fn import_many(
    vault: &Vault,
    policies: &[String],
    keys: Vec<PlainKey>,
    now: UnixTime,
) -> Result<Outcome, Error> {
    let mut new = Vec::with_capacity(keys.len());
    let mut malformed = false;
    for line in &keys {
        let (kid, key) = (line.kid.parse(), ContentKey::parse_hex(&line.key));
        let (Ok(kid), Ok(key)) = (kid, key) else {
            malformed = true;
            break;
        };
        new.push(NewKey { kid, content: &line.content_id, track: line.track_type, key });
    }
    let imported = provision::import_keys(vault, policies, new, now).await;
    let refused = imported.refused.map(|error| error.to_string());
    let refused = refused.or_else(|| malformed.then(|| Error::Malformed.to_string()));
    Ok(Outcome::KeysImported { stored: imported.stored, already: imported.already, refused })
}

async fn export(
    vault: &Vault,
    content_id: Option<&ContentId>,
    after: Option<String>,
    limit: usize,
) -> Result<Outcome, Error> {
    let store = vault.store();
    let after = after.map(|kid| parse_kid(&kid)).transpose()?;
    let (records, next) = match content_id {
        Some(content_id) => {
            content_record(vault, content_id).await?;
            (record::keys_of(&*store, content_id).await?, None)
        }
        None => {
            let records = record::keys_after(&*store, after, limit).await?;
            let next = records.last().map(|record| record.kid.to_string());
            (records, next)
        }
    };
    let keyring = vault.keyring();
    let active = records.into_iter().filter(|record| record.state == KeyState::Active);
    let plain = |record: KeyRecord| {
        let key = keyring.content_key(&record).map_err(provision::Error::from)?.to_hex();
        let KeyRecord { kid, content_id, track_type, .. } = record;
        Ok(PlainKey { content_id, kid: kid.to_string(), track_type, key })
    };
    let keys = active.map(plain).collect::<Result<_, Error>>()?;
    tracing::warn!(
        content.id = content_id.map(tracing::field::display),
        "keys were exported in the clear"
    );
    Ok(Outcome::KeysExported { keys, next })
}

async fn generate(
    vault: &Vault,
    content_id: &ContentId,
    track: Option<TrackType>,
    now: UnixTime,
) -> Result<KeyId, Error> {
    Ok(provision::generate_key(vault, content_id, track, now).await?)
}

/// Makes a new key for the named track type, or for each that the title has active keys of. The older
/// ones stay: films that were packaged with them go on playing until they are retired.
async fn rotate_keys(
    vault: &Vault,
    content_id: &ContentId,
    track_type: Option<TrackType>,
    now: UnixTime,
) -> Result<Outcome, Error> {
    content_record(vault, content_id).await?;
    let keys = record::keys_of(&*vault.store(), content_id).await?;
    let active = keys.iter().filter(|key| key.state == KeyState::Active);
    let mut tracks: Vec<_> = active.map(|key| key.track_type).collect();
    tracks.retain(|track| track_type.is_none() || *track == track_type);
    tracks.sort_unstable();
    tracks.dedup();
    if tracks.is_empty() {
        return Err(Error::NothingToRotate(content_id.clone()));
    }
    let mut made = Vec::new();
    for track in tracks {
        let kid = generate(vault, content_id, track, now).await?;
        made.push(find(vault, kid).await?);
    }
    Ok(Outcome::Keys { keys: made })
}

async fn list_keks(vault: &Vault) -> Result<Outcome, Error> {
    let view = |kek: rotate::Generation| {
        let rotate::Generation { generation, primary, secrets, created_at } = kek;
        KekView { generation, primary, secrets, created_at }
    };
    let keks = rotate::generations(vault).await?.into_iter().map(view).collect();
    Ok(Outcome::Keks { keks })
}

/// Reads every record, opens every secret, and follows each title to its keys.
async fn check(vault: &Vault) -> Result<Outcome, Error> {
    let store = vault.store();
    let keks = record::all::<KekRecord>(&*store).await?.len();
    let census = census(&*store, &vault.keyring()).await.map_err(provision::Error::from)?;
    let contents = record::all::<ContentRecord>(&*store).await?;
    let mut listed = 0;
    for content in &contents {
        listed += record::keys_of(&*store, &content.content_id).await?.len();
    }
    match listed == census.keys {
        true => Ok(Outcome::StoreChecked { contents: contents.len(), keys: listed, keks }),
        false => Err(store::Error::Damaged("a key belongs to no title".into()).into()),
    }
}

async fn list_signers(vault: &Vault) -> Result<Outcome, Error> {
    let mut records = record::all::<SignerRecord>(&*vault.store()).await?;
    records.sort_by_key(SignerRecord::turn);
    let signers = records
        .into_iter()
        .map(|record| SignerView {
            kid: record.kid,
            signs_from: record.signs_from,
            kek: record.wrapped.kek,
        })
        .collect();
    Ok(Outcome::Signers { signers })
}

async fn content_record(vault: &Vault, content_id: &ContentId) -> Result<ContentRecord, Error> {
    let record = record::content(&*vault.store(), content_id).await?;
    record.ok_or_else(|| provision::Error::NoContent(content_id.clone()).into())
}

async fn find(vault: &Vault, kid: KeyId) -> Result<KeyView, Error> {
    let record = record::key(&*vault.store(), kid).await?;
    record.as_ref().map(view_key).ok_or_else(|| Error::NoKey(kid.to_string()))
}

async fn view_content(vault: &Vault, content: &ContentRecord) -> Result<ContentView, Error> {
    Ok(ContentView {
        content_id: content.content_id.to_string(),
        policies: content.policies.clone(),
        keys: record::keys_of(&*vault.store(), &content.content_id).await?.len(),
        created_at: content.created_at,
    })
}

fn view_key(key: &KeyRecord) -> KeyView {
    KeyView {
        kid: key.kid.to_string(),
        content_id: key.content_id.to_string(),
        track_type: key.track_type.map(|track| track.to_string()),
        state: match key.state {
            KeyState::Active => "active".into(),
            KeyState::Retired => "retired".into(),
        },
        kek: key.wrapped.kek,
        created_at: key.created_at,
    }
}

fn parse_kid(text: &str) -> Result<KeyId, Error> {
    text.parse().map_err(|_| Error::Malformed)
}
