//! Rotating the root key and every key below it. Afterwards the old root key opens nothing in the data folder.
//!
//! A store's log keeps overwritten data. So all secrets move to a fresh store, wrapped under one new KEK:
//!
//! 1. the next root key is written beside the current one;
//! 2. the successor store is filled, and every secret in it is opened with the next root key alone;
//! 3. the successor replaces the store: **this is the moment of the change**;
//! 4. the next root key replaces the current one;
//! 5. the old store is deleted when nobody reads it any more.
//!
//! If the process is killed before step 3, the next start undoes the rotation. If it is killed later, the next start
//! [finishes](Vault::open) it. Licenses are granted all the time. Writers wait.

use std::time::Duration;

use reelkey_client::time::UnixTime;

use crate::authority::rotation::kek::next_generation;
use crate::authority::stop::{Remedy, Stop};
use crate::authority::vault::census::{Census, census};
use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::Keyring;
use crate::authority::vault::open::{Vault, header_of};
use crate::authority::vault::root_key_file;
use crate::crypto::root_key::RootKey;
use crate::crypto::wrap::Kek;
use crate::store::batch::Batch;
use crate::store::engine::Store;
use crate::store::open::{OpenStore, Successor};
use crate::store::pages::Pages;
use crate::store::record::header::Header;
use crate::store::record::kek::KekRecord;
use crate::store::record::secret::Kind;
use crate::store::record::stored;

/// How often to check whether the old store still has readers, and the pause between two checks.
const READERS_TRIES: u32 = 1000;
const READERS_PAUSE: Duration = Duration::from_millis(10);

/// Why the root key is not rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An earlier rotation was interrupted. The current store may need its next root key, which still exists.
    #[error("an earlier rotation of the root key was cut short")]
    Pending,
}

impl Remedy for Refusal {
    fn remedy(&self) -> Option<String> {
        let Self::Pending = self;
        Some("restart the service, which finishes or undoes it, and run the command again".into())
    }
}

/// Rotates the root key, and returns the number of moved secrets.
///
/// # Errors
/// [`Refusal`], or a failure. After [`Fault::CutShort`] both root keys exist, and the next start decides which one is
/// in force. After any other failure the old root key is in force.
pub async fn rotate(vault: &Vault, now: UnixTime) -> Result<usize, Stop<Refusal>> {
    let old = vault.engine();
    let _rotation = old.meter().rotation();
    let file = vault.root_key_file();
    if root_key_file::read_next(file)?.is_some() {
        return Err(Stop::Refused(Refusal::Pending));
    }
    vault.root_key().await?;
    let root = RootKey::generate()?;
    root_key_file::write_next(file, &root)?;
    let fresh = match prepare(vault, &old, &root, now).await {
        Ok(fresh) => fresh,
        Err(fault) => {
            // If this cannot be undone now, the next start undoes it.
            root_key_file::remove_next(file).ok();
            old.forget_predecessors().ok();
            return Err(fault.into());
        }
    };
    // From here on, both root keys exist after any failure, and the next start chooses between them.
    let secrets = fresh.secrets;
    take_over(vault, old, fresh).await.map_err(|cause| Fault::CutShort(cause.into()))?;
    Ok(secrets)
}

/// Replaces the old store and the old root key by the fresh store and the next root key.
async fn take_over(vault: &Vault, old: OpenStore, fresh: Fresh) -> Result<(), Fault> {
    let store = fresh.store.finish()?;
    drop(vault.take_over(store.clone(), fresh.keyring));
    root_key_file::promote_next(vault.root_key_file())?;
    for _ in 0..READERS_TRIES {
        if !old.has_other_readers() {
            break;
        }
        tokio::time::sleep(READERS_PAUSE).await;
    }
    drop(old);
    Ok(store.forget_predecessors()?)
}

/// A filled successor that has not yet replaced the store.
struct Fresh {
    store: Successor,
    keyring: Keyring,
    /// The number of secrets in it.
    secrets: usize,
}

/// Fills a successor, and opens every secret in it with the next root key alone.
async fn prepare(
    vault: &Vault,
    old: &OpenStore,
    root: &RootKey,
    now: UnixTime,
) -> Result<Fresh, Fault> {
    let from = &*old.store();
    let before = header_of(from).await?;
    let root_key_check = root.check_value(&before.store_id);
    let epoch = before.epoch.saturating_add(1);
    let header = Header { root_key_check, epoch, ..Header::clone(&before) };
    let (kek_record, kek) = first_kek(from, root, &header, now).await?;
    let mut keyring = Keyring::new(&header, kek);
    keyring.remember(&vault.keyring());

    let store = old.successor()?;
    let batch = Batch::default().add_record(&header)?.add_record(&kek_record)?;
    store.store().commit(batch).await?;
    let all = copy(from, store.store(), &keyring).await?;
    let keyring = Keyring::open(root, store.store()).await?;
    let Census { records: copied, secrets, .. } = census(store.store(), &keyring).await?;
    if copied != all {
        return Err(Fault::NotCopied { copied, all });
    }
    Ok(Fresh { store, keyring, secrets })
}

/// Makes the successor's only KEK. Its generation is a new number, so the records of each store find their own KEK.
async fn first_kek(
    from: &dyn Store,
    root: &RootKey,
    header: &Header,
    now: UnixTime,
) -> Result<(KekRecord, Kek), Fault> {
    let generation = next_generation(&stored::all(from).await?)?;
    Ok(Keyring::make_kek(root, &header.store_id, generation, now.as_secs())?)
}

/// Copies every record except the header and the KEKs, wraps each secret again, and returns the number of records.
async fn copy(from: &dyn Store, to: &dyn Store, keyring: &Keyring) -> Result<usize, Fault> {
    let mut copied = 0;
    let mut pages = Pages::of(from, b"");
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(copied);
        }
        let mut batch = Batch::default();
        for (key, value) in page {
            batch = match Kind::read(&key, &value)? {
                Kind::Own => continue,
                Kind::Secret(secret) => secret.add_to(batch, keyring.rewrap(&secret)?)?,
                Kind::Content(_) | Kind::Kid(_) | Kind::Number(_) => batch.put(key, value),
            };
            copied += 1;
        }
        to.commit(batch).await?;
    }
}
