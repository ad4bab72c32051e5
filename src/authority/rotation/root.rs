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

/// How often, and how far apart, one looks whether the old store is still read.
const READERS_TRIES: u32 = 1000;
const READERS_PAUSE: Duration = Duration::from_millis(10);

/// The root key is not rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An earlier rotation was cut short, and the store in force may need the next root key that is there.
    #[error("an earlier rotation of the root key was cut short")]
    Pending,
}

impl Remedy for Refusal {
    fn remedy(&self) -> Option<String> {
        let Self::Pending = self;
        Some("restart the service, which finishes or undoes it, and run the command again".into())
    }
}

/// Rotates the root key, and returns how many secrets were moved.
///
/// # Errors
/// [`Refusal`], or a failure: after [`Fault::CutShort`] both root keys are there, and the next start says which one is in
/// force; after any other, the old one is.
pub async fn rotate(vault: &Vault, now: UnixTime) -> Result<usize, Stop<Refusal>> {
    let old = vault.engine();
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
            // What cannot be undone now is undone by the next start.
            root_key_file::remove_next(file).ok();
            old.forget_predecessors().ok();
            return Err(fault.into());
        }
    };
    // Whatever fails from here on, both root keys are there for the next start to choose from.
    let secrets = fresh.secrets;
    take_over(vault, old, fresh).await.map_err(|cause| Fault::CutShort(cause.into()))?;
    Ok(secrets)
}

/// Lets the fresh store and the next root key take the place of the old ones.
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

/// A filled successor that has not taken its place yet.
struct Fresh {
    store: Successor,
    keyring: Keyring,
    /// How many secrets are in it.
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

/// The successor's one KEK. Its generation is a new one, so a record of either store finds its own.
async fn first_kek(
    from: &dyn Store,
    root: &RootKey,
    header: &Header,
    now: UnixTime,
) -> Result<(KekRecord, Kek), Fault> {
    let generation = next_generation(&stored::all(from).await?)?;
    Ok(Keyring::make_kek(root, &header.store_id, generation, now.as_secs())?)
}

/// Copies every record but the header and the KEKs, each secret wrapped anew, and returns how many.
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
                Kind::Content(_) | Kind::Kid(_) => batch.put(key, value),
            };
            copied += 1;
        }
        to.commit(batch).await?;
    }
}
