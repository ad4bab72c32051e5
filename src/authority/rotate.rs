//! Rotating the KEK and the signing key, while licenses are granted.
//!
//! *Rotate* makes a new generation for what is written from now on, *rewrap* moves what is there to it,
//! *retire* drops a generation that a scan has shown unused. Each step is one batch that expects what it
//! was planned on, so a step that is overtaken changes nothing and is planned again.

use std::collections::BTreeSet;

use reelkey_client::time::UnixTime;

use crate::authority::keyring::{self, Keyring};
use crate::authority::vault::{self, Vault};
use crate::crypto::random::RandomnessFailed;
use crate::crypto::sign::{self, SigningKey};
use crate::crypto::wrap::WrapFailed;
use crate::domain::rotation::{Step, WrappedUnder, plan, unused};
use crate::store::record::{self, KekRecord, KeyRecord, NamingKeyRecord, SignerRecord};
use crate::store::{self, Batch, Committed};

/// How long a new signing key is published before it signs: the `max-age` of the JWK Set.
pub const PUBLISHED_SECS_BEFORE: u64 = 300;

/// How many secrets one batch moves.
const AT_ONCE: usize = 256;

/// A rotation was refused or failed. What was done stays done; running it again continues.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] vault::Error),
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
    /// The signing key could not be made.
    #[error(transparent)]
    Signer(#[from] sign::Error),
    /// Somebody else rotated at the same time.
    #[error("another rotation was quicker; run the command again")]
    Overtaken,
    /// There is no such generation.
    #[error("there is no key-encryption key of generation {0}")]
    NoGeneration(u32),
    /// The primary generation cannot be dropped.
    #[error("generation {0} is primary; run `reelkey kek rotate` and `reelkey kek rewrap` first")]
    Primary(u32),
    /// Something is wrapped under it.
    #[error(
        "{count} secrets are wrapped under generation {generation}; run `reelkey kek rewrap` first"
    )]
    InUse {
        /// Which.
        generation: u32,
        /// How many.
        count: usize,
    },
}

/// A KEK, and how much is wrapped under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// From 1.
    pub generation: u32,
    /// Whether new secrets are wrapped under it.
    pub primary: bool,
    /// How many are.
    pub secrets: usize,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

/// Every generation of the KEK.
///
/// # Errors
/// [`Error::Store`].
pub async fn generations(vault: &Vault) -> Result<Vec<Generation>, Error> {
    let stored = Stored::read(vault).await?;
    let of = |kek: &KekRecord| Generation {
        generation: kek.generation,
        primary: kek.primary,
        secrets: stored.under().iter().filter(|one| one.generation == kek.generation).count(),
        created_at: kek.created_at,
    };
    Ok(stored.keks.iter().map(of).collect())
}

/// Makes a new primary KEK. What is there stays under the old ones.
///
/// # Errors
/// [`Error`].
pub async fn rotate_kek(vault: &Vault, now: UnixTime) -> Result<u32, Error> {
    let root = vault.root_key().await?;
    let keks: Vec<KekRecord> = record::all(&*vault.store()).await?;
    let header =
        record::header(&*vault.store()).await?.ok_or(keyring::Error::Incomplete("header"))?;
    let old =
        keks.iter().find(|kek| kek.primary).ok_or(keyring::Error::Incomplete(keyring::PRIMARY))?;
    let newest = keks.iter().map(|kek| kek.generation).max().unwrap_or(0);
    let generation = newest.checked_add(1).ok_or(keyring::Error::Incomplete(keyring::PRIMARY))?;

    let (new, _) = Keyring::make_kek(&root, &header.store_id, generation, now.as_secs())?;
    let demoted = KekRecord { primary: false, ..old.clone() };
    let batch = Batch::default().replace_record(old, &demoted)?.add_record(&new)?;
    if vault.store().commit(batch).await? == Committed::Conflict {
        return Err(Error::Overtaken);
    }
    vault.reopen(&root).await?;
    Ok(generation)
}

/// How far a rewrap has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    /// How many secrets were moved now.
    pub done: usize,
    /// How many are left.
    pub left: usize,
}

/// Moves at most `limit` secrets to the primary KEK.
///
/// # Errors
/// [`Error`].
pub async fn rewrap(vault: &Vault, limit: usize) -> Result<Rewrapped, Error> {
    let stored = Stored::read(vault).await?;
    let keyring = vault.keyring();
    let steps = plan(&stored.under(), &stored.generations(), keyring.primary());
    let rewraps: Vec<_> = steps
        .into_iter()
        .filter_map(|step| match step {
            Step::Rewrap { secret } => Some(secret),
            Step::Retire { .. } => None,
        })
        .collect();
    let mut done = 0;
    for some in rewraps.get(..limit).unwrap_or(&rewraps).chunks(AT_ONCE) {
        let mut batch = Batch::default().expect_record(stored.primary()?)?;
        for secret in some.iter().filter_map(|secret| stored.secrets.get(*secret)) {
            batch = secret.rewrapped(batch, &keyring)?;
        }
        if vault.store().commit(batch).await? == Committed::Done {
            done += some.len();
        }
    }
    Ok(Rewrapped { done, left: rewraps.len() - done })
}

/// Drops a generation that nothing is wrapped under, or every such one.
///
/// # Errors
/// [`Error::Primary`], [`Error::InUse`], or a failure.
pub async fn retire_kek(vault: &Vault, wanted: Option<u32>) -> Result<Vec<u32>, Error> {
    let stored = Stored::read(vault).await?;
    let (under, all) = (stored.under(), stored.generations());
    let primary = stored.primary()?.generation;
    let droppable = unused(&under, &all, primary);
    if let Some(generation) = wanted {
        if !all.contains(&generation) {
            return Err(Error::NoGeneration(generation));
        }
        if generation == primary {
            return Err(Error::Primary(generation));
        }
        if !droppable.contains(&generation) {
            let count = under.iter().filter(|one| one.generation == generation).count();
            return Err(Error::InUse { generation, count });
        }
    }
    // Before anything is dropped: without it the rest could not be opened afterwards.
    let root = vault.root_key().await?;
    let mut dropped = Vec::new();
    for kek in &stored.keks {
        let is_wanted = wanted.is_none_or(|wanted| wanted == kek.generation);
        if !is_wanted || !droppable.contains(&kek.generation) {
            continue;
        }
        // Nothing new can come under it: a writer expects the primary KEK to be as it was.
        if vault.store().commit(Batch::default().remove_record(kek)?).await? == Committed::Done {
            dropped.push(kek.generation);
        }
    }
    if !dropped.is_empty() {
        vault.reopen(&root).await?;
    }
    Ok(dropped)
}

/// Makes a new signing key. It signs once every player may have it, or at once where the old one leaked.
///
/// # Errors
/// [`Error`].
pub async fn rotate_signer(
    vault: &Vault,
    at_once: bool,
    now: UnixTime,
) -> Result<SignerRecord, Error> {
    let pkcs8 = SigningKey::generate_pkcs8()?;
    let kid = SigningKey::from_pkcs8(&pkcs8)?.public_key().thumbprint().to_string();
    let stored = Stored::read(vault).await?;
    let delay = if at_once { 0 } else { PUBLISHED_SECS_BEFORE };
    let record = SignerRecord {
        wrapped: vault.keyring().wrap_signer(&kid, &pkcs8)?,
        kid,
        created_at: now.as_secs(),
        signs_from: now.saturating_add(delay).as_secs(),
        number: stored.signers().map(|signer| signer.number).max().unwrap_or(0).saturating_add(1),
    };
    let batch = Batch::default().add_record(&record)?.expect_record(stored.primary()?)?;
    match vault.store().commit(batch).await? {
        Committed::Done => Ok(record),
        Committed::Conflict => Err(Error::Overtaken),
    }
}

/// Everything that is wrapped under a KEK, as it was a moment ago.
struct Stored {
    keks: Vec<KekRecord>,
    secrets: Vec<Secret>,
}

enum Secret {
    Key(KeyRecord),
    Signer(SignerRecord),
    NamingKey(NamingKeyRecord),
}

impl Stored {
    async fn read(vault: &Vault) -> Result<Self, Error> {
        let store = &*vault.store();
        let mut secrets = Vec::new();
        secrets.extend(record::naming_key(store).await?.map(Secret::NamingKey));
        secrets.extend(record::all(store).await?.into_iter().map(Secret::Signer));
        secrets.extend(record::all(store).await?.into_iter().map(Secret::Key));
        Ok(Self { keks: record::all(store).await?, secrets })
    }

    fn under(&self) -> Vec<WrappedUnder> {
        let under = |(secret, one): (usize, &Secret)| WrappedUnder {
            secret,
            generation: match one {
                Secret::Key(record) => record.wrapped.kek,
                Secret::Signer(record) => record.wrapped.kek,
                Secret::NamingKey(record) => record.wrapped.kek,
            },
        };
        self.secrets.iter().enumerate().map(under).collect()
    }

    fn signers(&self) -> impl Iterator<Item = &SignerRecord> {
        self.secrets.iter().filter_map(|secret| match secret {
            Secret::Signer(record) => Some(record),
            Secret::Key(_) | Secret::NamingKey(_) => None,
        })
    }

    fn generations(&self) -> BTreeSet<u32> {
        self.keks.iter().map(|kek| kek.generation).collect()
    }

    fn primary(&self) -> Result<&KekRecord, Error> {
        let primary = self.keks.iter().find(|kek| kek.primary);
        Ok(primary.ok_or(keyring::Error::Incomplete(keyring::PRIMARY))?)
    }
}

impl Secret {
    /// Adds to the batch that it is put under the primary KEK, if it is still as it was read.
    fn rewrapped(&self, batch: Batch, keyring: &Keyring) -> Result<Batch, Error> {
        Ok(match self {
            Self::Key(old) => batch.replace_record(old, &keyring.rewrap_key(old)?)?,
            Self::Signer(old) => batch.replace_record(old, &keyring.rewrap_signer(old)?)?,
            Self::NamingKey(old) => batch.replace_record(old, &keyring.rewrap_naming_key(old)?)?,
        })
    }
}
