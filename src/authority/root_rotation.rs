//! Rotating the root key, and with it everything below: afterwards the old one opens nothing that the data
//! folder holds.
//!
//! A store's log keeps what was overwritten, so the secrets move to a fresh store, wrapped under one new KEK:
//!
//! 1. the next root key is written beside the one in use;
//! 2. the successor is filled, and every secret in it opened with the next root key alone;
//! 3. the successor takes the store's place: **the instant of the change**;
//! 4. the next root key takes the name of the old one;
//! 5. the old store is deleted once nobody reads it any more.
//!
//! Killed before 3, the next start undoes it; after, it [finishes](Vault::open) it. Licenses are granted all
//! the time; writers wait.

use std::sync::Arc;
use std::time::Duration;

use reelkey_client::time::UnixTime;

use crate::authority::census::{Census, census};
use crate::authority::keyring::{self, Keyring};
use crate::authority::root_key_file;
use crate::authority::vault::{self, Vault};
use crate::crypto::random::RandomnessFailed;
use crate::crypto::root_key::RootKey;
use crate::crypto::wrap::{Kek, WrapFailed};
use crate::store::record::{self, AnyRecord, Header, KekRecord, PAGE};
use crate::store::{self, Batch, Entry, Store, Successor};

/// How often, and how far apart, it is looked whether the old store is read still.
const READERS_TRIES: u32 = 1000;
const READERS_PAUSE: Duration = Duration::from_millis(10);

/// The root key was not rotated, unless [`Error::Unfinished`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// A root key cannot be read or written.
    #[error(transparent)]
    RootKey(#[from] root_key_file::Error),
    /// A stored secret does not open.
    #[error(transparent)]
    Keyring(#[from] keyring::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A secret could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] WrapFailed),
    /// There is no randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
    /// What was moved is not what was there.
    #[error("{moved} of {all} records were moved, so nothing was changed; run `reelkey doctor`")]
    Incomplete {
        /// How many are in the successor.
        moved: usize,
        /// How many had to be.
        all: usize,
    },
    /// An earlier rotation was cut short.
    #[error(
        "an earlier rotation was cut short; restart the service, which finishes or undoes it, and try again"
    )]
    Pending,
    /// Both root keys are there, and the next start says which one is in force.
    #[error("the rotation was cut short; restart the service, which finishes or undoes it")]
    Unfinished(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Rotates the root key, and answers how many secrets were moved.
///
/// # Errors
/// [`Error`].
pub async fn rotate_root(vault: &Vault, now: UnixTime) -> Result<usize, Error> {
    let file = vault.root_key_file();
    // The store in force may need the next root key that is there: an earlier rotation was cut short.
    if root_key_file::read_next(file)?.is_some() {
        return Err(Error::Pending);
    }
    vault.root_key().await?;
    let root = RootKey::generate()?;
    root_key_file::write_next(file, &root)?;
    let (moved, successor, keyring) = match prepare(vault, &root, now).await {
        Ok(prepared) => prepared,
        Err(error) => {
            // What cannot be undone now is undone by the next start.
            root_key_file::remove_next(file).ok();
            vault.store().forget_predecessors().ok();
            return Err(error);
        }
    };
    // Whatever fails from here on, both root keys are there for the next start to choose from.
    let store = successor.finish().map_err(|error| Error::Unfinished(error.into()))?;
    let old = vault.take_over(Arc::clone(&store), keyring);
    root_key_file::promote_next(file).map_err(|error| Error::Unfinished(error.into()))?;
    for _ in 0..READERS_TRIES {
        if Arc::strong_count(&old) == 1 {
            break;
        }
        tokio::time::sleep(READERS_PAUSE).await;
    }
    drop(old);
    store.forget_predecessors().map_err(|error| Error::Unfinished(error.into()))?;
    Ok(moved)
}

/// Fills a successor, and answers how many secrets are in it and what opens them.
async fn prepare(
    vault: &Vault,
    root: &RootKey,
    now: UnixTime,
) -> Result<(usize, Box<dyn Successor>, Keyring), Error> {
    let store = vault.store();
    let old = record::header(&*store).await?.ok_or(keyring::Error::Incomplete("header"))?;
    let root_key_check = root.check_value(&old.store_id);
    let header = Header { root_key_check, epoch: old.epoch.saturating_add(1), ..old };
    let (kek_record, kek) = first_kek(vault, root, &header, now).await?;
    let mut keyring = Keyring::new(&header, kek);
    keyring.remember(&vault.keyring());

    let successor = store.successor()?;
    let batch = Batch::default().add_record(&header)?.add_record(&kek_record)?;
    successor.store().commit(batch).await?;
    let all = fill(&*store, successor.store(), &keyring).await?;
    let keyring = Keyring::open(root, successor.store()).await?;
    let Census { records: moved, secrets, .. } = census(successor.store(), &keyring).await?;
    if moved != all {
        return Err(Error::Incomplete { moved, all });
    }
    Ok((secrets, successor, keyring))
}

/// The successor's one KEK. Its generation is a new one, so a record of either store finds its own.
async fn first_kek(
    vault: &Vault,
    root: &RootKey,
    header: &Header,
    now: UnixTime,
) -> Result<(KekRecord, Kek), Error> {
    let keks: Vec<KekRecord> = record::all(&*vault.store()).await?;
    let newest = keks.iter().map(|kek| kek.generation).max().unwrap_or(0);
    let generation =
        newest.checked_add(1).ok_or(keyring::Error::Incomplete("generation that is free"))?;
    Ok(Keyring::make_kek(root, &header.store_id, generation, now.as_secs())?)
}

/// Moves every record but the header and the KEKs, and answers how many.
async fn fill(from: &dyn Store, to: &dyn Store, keyring: &Keyring) -> Result<usize, Error> {
    let mut moved = 0;
    let mut page: Vec<Entry> = from.scan(b"", None, PAGE).await?;
    while let Some((last, _)) = page.last() {
        let last = last.clone();
        let mut batch = Batch::default();
        for (key, value) in page {
            batch = match AnyRecord::read(&key, &value)? {
                AnyRecord::Header | AnyRecord::Kek => continue,
                AnyRecord::Key(old) => batch.add_record(&keyring.rewrap_key(&old)?)?,
                AnyRecord::Signer(old) => batch.add_record(&keyring.rewrap_signer(&old)?)?,
                AnyRecord::NamingKey(old) => batch.add_record(&keyring.rewrap_naming_key(&old)?)?,
                AnyRecord::Plain => batch.put(key, value),
            };
            moved += 1;
        }
        to.commit(batch).await?;
        page = from.scan(b"", Some(&last), PAGE).await?;
    }
    Ok(moved)
}
