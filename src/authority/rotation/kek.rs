//! Rotating the KEK. Each step is one batch that expects the state on which it was planned. If another task changed
//! that state first, the batch changes nothing and the step is planned again.

use std::collections::BTreeSet;

use reelkey_client::time::UnixTime;

use crate::authority::commit::Attempts;
use crate::authority::stop::{Remedy, Stop};
use crate::authority::vault::fault::Fault;
use crate::authority::vault::keyring::{Keyring, PRIMARY};
use crate::authority::vault::open::{Vault, header_of};
use crate::domain::rotation::{Step, WrappedUnder, plan};
use crate::store::batch::{Batch, Committed};
use crate::store::record::kek::KekRecord;
use crate::store::record::secret::{Secret, secrets};
use crate::store::record::stored::{self, Stored};

/// How many secrets one batch moves.
const AT_ONCE: usize = 256;

/// Why a generation is not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The generation does not exist.
    #[error("there is no key-encryption key of generation {0}")]
    NoGeneration(u32),
    /// The generation is primary.
    #[error("generation {0} is primary")]
    Primary(u32),
    /// Some secrets are wrapped under the generation.
    #[error("{count} secrets are wrapped under generation {generation}")]
    InUse {
        /// The generation.
        generation: u32,
        /// The number of secrets.
        count: usize,
    },
}

impl Remedy for Refusal {
    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NoGeneration(_) => "see `reelkey kek list`".into(),
            Self::Primary(_) => "run `reelkey kek rotate` and `reelkey kek rewrap` first".into(),
            Self::InUse { .. } => "run `reelkey kek rewrap` first".into(),
        })
    }
}

/// A KEK, and how many secrets it wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Its number, counted from 1.
    pub generation: u32,
    /// Whether new secrets are wrapped under it.
    pub primary: bool,
    /// The number of secrets that it wraps.
    pub secrets: usize,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
}

/// Every generation of the KEK.
///
/// # Errors
/// [`Fault`].
pub async fn generations(vault: &Vault) -> Result<Vec<Generation>, Fault> {
    let wrapped = WrappedSecrets::read(vault).await?;
    let of = |kek: &Stored<KekRecord>| Generation {
        generation: kek.generation,
        primary: kek.primary,
        secrets: wrapped.count_under(kek.generation),
        created_at: kek.created_at,
    };
    Ok(wrapped.keks.iter().map(of).collect())
}

/// Makes a new primary KEK. Existing secrets stay wrapped under the older ones.
///
/// # Errors
/// [`Fault`].
pub async fn rotate(vault: &Vault, now: UnixTime) -> Result<u32, Fault> {
    let root = vault.root_key().await?;
    let store = vault.store();
    let mut attempts = Attempts::default();
    let generation = loop {
        let keks = stored::all::<KekRecord>(&*store).await?;
        let store_id = header_of(&*store).await?.store_id;
        let old = keks.iter().find(|kek| kek.primary).ok_or(Fault::Incomplete(PRIMARY))?;
        let generation = next_generation(&keks)?;
        let (new, _) = Keyring::make_kek(&root, &store_id, generation, now.as_secs())?;
        let demoted = KekRecord { primary: false, ..KekRecord::clone(old) };
        let batch = Batch::default().replace_record(old, &demoted)?.add_record(&new)?;
        if attempts.commit(&*store, batch).await? {
            break generation;
        }
    };
    vault.reopen(&root).await?;
    Ok(generation)
}

/// The generation after the newest one.
pub(super) fn next_generation(keks: &[Stored<KekRecord>]) -> Result<u32, Fault> {
    let newest = keks.iter().map(|kek| kek.generation).max().unwrap_or(0);
    newest.checked_add(1).ok_or(Fault::Incomplete("generation that is free"))
}

/// The progress of a rewrap.
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
/// [`Fault`].
pub async fn rewrap(vault: &Vault, limit: usize) -> Result<Rewrapped, Fault> {
    let wrapped = WrappedSecrets::read(vault).await?;
    let keyring = vault.keyring();
    let is_rewrap = |step: Step| match step {
        Step::Rewrap { secret } => wrapped.secrets.get(secret),
        Step::Retire { .. } => None,
    };
    let rewraps: Vec<&Secret> = wrapped.plan()?.into_iter().filter_map(is_rewrap).collect();
    let mut done = 0;
    for some in rewraps.get(..limit).unwrap_or(&rewraps).chunks(AT_ONCE) {
        let mut batch = Batch::default().expect_record(wrapped.primary()?);
        for secret in some {
            batch = secret.replace_in(batch, keyring.rewrap(secret)?)?;
        }
        if vault.store().commit(batch).await? == Committed::Done {
            done += some.len();
        }
    }
    Ok(Rewrapped { done, left: rewraps.len() - done })
}

/// Removes the generation `wanted`, or every generation that wraps no secret. Returns the removed generations.
///
/// # Errors
/// [`Refusal`], or a failure.
pub async fn retire(vault: &Vault, wanted: Option<u32>) -> Result<Vec<u32>, Stop<Refusal>> {
    let wrapped = WrappedSecrets::read(vault).await?;
    let is_retirement = |step: Step| match step {
        Step::Retire { generation } => Some(generation),
        Step::Rewrap { .. } => None,
    };
    let mut planned: Vec<u32> = wrapped.plan()?.into_iter().filter_map(is_retirement).collect();
    if let Some(generation) = wanted {
        wrapped.judge_retirement(generation, &planned).map_err(Stop::Refused)?;
        planned.retain(|planned| *planned == generation);
    }
    // Read before anything is removed: without the root key, the other KEKs could not be opened again afterwards.
    let root = vault.root_key().await?;
    let mut dropped = Vec::new();
    for kek in wrapped.keks.iter().filter(|kek| planned.contains(&kek.generation)) {
        // No new secret can come under it, because a writer expects the primary KEK to be unchanged.
        if vault.store().commit(Batch::default().remove_record(kek)).await? == Committed::Done {
            dropped.push(kek.generation);
        }
    }
    if !dropped.is_empty() {
        vault.reopen(&root).await?;
    }
    Ok(dropped)
}

/// Everything that is wrapped under a KEK, as it was when it was read.
struct WrappedSecrets {
    keks: Vec<Stored<KekRecord>>,
    secrets: Vec<Secret>,
}

impl WrappedSecrets {
    async fn read(vault: &Vault) -> Result<Self, Fault> {
        let store = vault.store();
        let secrets = secrets(&*store).await?;
        Ok(Self { keks: stored::all(&*store).await?, secrets })
    }

    fn plan(&self) -> Result<Vec<Step>, Fault> {
        let under = self.secrets.iter().map(|secret| secret.wrapped().kek).enumerate();
        let under = under.map(|(secret, generation)| WrappedUnder { secret, generation });
        let generations: BTreeSet<u32> = self.keks.iter().map(|kek| kek.generation).collect();
        Ok(plan(&under.collect::<Vec<_>>(), &generations, self.primary()?.generation))
    }

    fn primary(&self) -> Result<&Stored<KekRecord>, Fault> {
        self.keks.iter().find(|kek| kek.primary).ok_or(Fault::Incomplete(PRIMARY))
    }

    fn count_under(&self, generation: u32) -> usize {
        self.secrets.iter().filter(|secret| secret.wrapped().kek == generation).count()
    }

    /// Checks that a generation can be removed.
    fn judge_retirement(&self, generation: u32, planned: &[u32]) -> Result<(), Refusal> {
        match self.keks.iter().find(|kek| kek.generation == generation) {
            None => Err(Refusal::NoGeneration(generation)),
            Some(kek) if kek.primary => Err(Refusal::Primary(generation)),
            Some(_) if planned.contains(&generation) => Ok(()),
            Some(_) => Err(Refusal::InUse { generation, count: self.count_under(generation) }),
        }
    }
}
