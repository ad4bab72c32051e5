//! The operator's operations on packagers. None of them carries a packager's secret: only its SHA-256.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authority::commit::Attempts;
use crate::authority::in_force::Snapshot;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::packager::{Packagers, Rights, SecretHash, SigningKey, rights_of};
use crate::authority::provision::contents;
use crate::authority::provision::refusal::Refusal as Provision;
use crate::authority::stop::{Remedy, Stop};
use crate::authority::vault::fault::Fault;
use crate::crypto::wrap::Wrapped;
use crate::domain::content::ContentPattern;
use crate::domain::nearest::nearest;
use crate::domain::packager::{PackagerName, Permission};
use crate::store::batch::Batch;
use crate::store::record::packager::PackagerRecord;
use crate::store::record::stored::{self, Record, Stored};

/// The most patterns of a packager, and the most policies.
const PATTERNS_MAX: usize = 16;
const POLICIES_MAX: usize = 8;

/// A packager, as commands show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagerView {
    /// Its name.
    pub name: PackagerName,
    /// The contents that it may ask for.
    pub content: Vec<ContentPattern>,
    /// What it may do.
    pub allow: BTreeSet<Permission>,
    /// The policies of the contents that it may add.
    pub policies: Vec<String>,
    /// How it signs requests: `aes` or `rsa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<String>,
    /// Whether it may show a client certificate instead of its secret.
    #[serde(default)]
    pub client_ca: bool,
    /// When it was added, in seconds since 1970.
    pub created_at: u64,
    /// When it was given its secret, in seconds since 1970.
    pub secret_changed_at: u64,
}

impl PackagerView {
    fn of(record: &PackagerRecord, rights: &Rights) -> Self {
        Self {
            name: record.name.clone(),
            content: rights.content.clone(),
            allow: rights.allow.clone(),
            policies: rights.policies.clone(),
            signing: rights.signing.as_ref().map(|key| key.kind().to_owned()),
            client_ca: rights.client_ca.is_some(),
            created_at: record.created_at,
            secret_changed_at: record.secret_changed_at,
        }
    }
}

/// An operation on a packager is refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no packager of this name.
    #[error("there is no packager {name}")]
    NoPackager {
        /// The name.
        name: PackagerName,
        /// The most similar name.
        nearest: Option<String>,
    },
    /// The packager exists with other rights.
    #[error("packager {0} exists with other rights or another secret")]
    Other(PackagerName),
    /// Another packager has the same secret.
    #[error("packager {0} has the same secret")]
    SameSecret(PackagerName),
    /// It would not fit into a record.
    #[error("a packager has at most {PATTERNS_MAX} patterns and {POLICIES_MAX} policies")]
    TooMany,
    /// A policy is not in force.
    #[error(transparent)]
    Policy(Provision),
}

impl Remedy for Refusal {
    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NoPackager { nearest: Some(nearest), .. } => format!("did you mean {nearest}?"),
            Self::NoPackager { nearest: None, .. } => "see `reelkey packager list`".into(),
            Self::Other(name) => format!(
                "remove it first with `reelkey packager remove {name}`; a new secret alone is \
                 `reelkey packager rotate-secret {name}`"
            ),
            Self::SameSecret(_) => "give each packager a secret of its own".into(),
            Self::TooMany => "use patterns such as movies/*, or several packagers".into(),
            Self::Policy(refusal) => return refusal.remedy(),
        })
    }
}

impl From<Refusal> for Stop<Refusal> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Adds a packager.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPackager {
    /// Its name.
    pub name: PackagerName,
    /// The contents that it may ask for.
    pub content: Vec<ContentPattern>,
    /// What it may do.
    pub allow: BTreeSet<Permission>,
    /// The policies of the contents that it may add.
    pub policies: Vec<String>,
    /// The hash of its secret.
    pub secret_sha256: SecretHash,
    /// Whether the secret was made for this operation. If the packager exists already, it is thrown away.
    pub is_secret_new: bool,
    /// The key by which it signs.
    pub signing: Option<SigningKey>,
    /// The certificate of the CA of its client certificates: DER in base64.
    pub client_ca: Option<String>,
}

/// The packager was added, or existed already.
#[derive(Debug, Serialize, Deserialize)]
pub struct PackagerAdded {
    /// The packager.
    pub packager: PackagerView,
    /// Whether it is new.
    pub created: bool,
}

impl Operation for AddPackager {
    const NAME: &'static str = "packager/add";
    type Outcome = PackagerAdded;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<PackagerAdded, Stop<Refusal>> {
        if self.content.len() > PATTERNS_MAX || self.policies.len() > POLICIES_MAX {
            return Err(Refusal::TooMany.into());
        }
        contents::judge_policies(&desk.in_force.load().policies, &self.policies)
            .map_err(Refusal::Policy)?;
        let rights = Rights {
            content: self.content,
            allow: self.allow,
            policies: self.policies,
            secret_sha256: self.secret_sha256,
            signing: self.signing,
            client_ca: self.client_ca,
        };
        let mut attempts = Attempts::default();
        loop {
            let there = all(desk).await?;
            if let Some((record, existing)) = there.iter().find(|(one, _)| one.name == self.name) {
                let is_same = existing.is_same(&rights, self.is_secret_new);
                return match is_same {
                    true => Ok(PackagerAdded {
                        packager: PackagerView::of(record, existing),
                        created: false,
                    }),
                    false => Err(Refusal::Other(self.name).into()),
                };
            }
            judge_secret(&there, &self.name, &rights.secret_sha256)?;
            let at = desk.now.as_secs();
            let wrapped = wrap(desk, &self.name, &rights)?;
            let name = self.name.clone();
            let record = PackagerRecord { name, wrapped, created_at: at, secret_changed_at: at };
            let batch = Batch::default().add_record(&record)?;
            if attempts.commit(&*desk.vault.store(), batch).await? {
                put_in_force(desk).await?;
                let packager = PackagerView::of(&record, &rights);
                return Ok(PackagerAdded { packager, created: true });
            }
        }
    }
}

/// Gives a packager another secret. The old one is refused from now on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotatePackagerSecret {
    /// Its name.
    pub name: PackagerName,
    /// The hash of the new secret.
    pub secret_sha256: SecretHash,
}

impl Operation for RotatePackagerSecret {
    const NAME: &'static str = "packager/rotate-secret";
    /// The packager.
    type Outcome = PackagerView;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<PackagerView, Stop<Refusal>> {
        let mut attempts = Attempts::default();
        loop {
            let there = all(desk).await?;
            let found = there.iter().find(|(record, _)| record.name == self.name);
            let (record, rights) = found.ok_or_else(|| no_packager(&self.name, &there))?;
            judge_secret(&there, &self.name, &self.secret_sha256)?;
            let rights = Rights { secret_sha256: self.secret_sha256.clone(), ..rights.clone() };
            let wrapped = wrap(desk, &self.name, &rights)?;
            let secret_changed_at = desk.now.as_secs();
            let changed =
                PackagerRecord { wrapped, secret_changed_at, ..PackagerRecord::clone(record) };
            let batch = Batch::default().replace_record(record, &changed)?;
            if attempts.commit(&*desk.vault.store(), batch).await? {
                put_in_force(desk).await?;
                return Ok(PackagerView::of(&changed, &rights));
            }
        }
    }
}

/// Removes a packager. Its secret is refused from now on; the keys that it was given stay.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovePackager {
    /// Its name.
    pub name: PackagerName,
}

/// The packager was removed, or did not exist.
#[derive(Debug, Serialize, Deserialize)]
pub struct PackagerRemoved {
    /// Whether it existed.
    pub changed: bool,
}

impl Operation for RemovePackager {
    const NAME: &'static str = "packager/remove";
    type Outcome = PackagerRemoved;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<PackagerRemoved, Stop<Infallible>> {
        let mut attempts = Attempts::default();
        loop {
            let store = desk.vault.store();
            let key = [PackagerRecord::PREFIX, self.name.as_str()].concat();
            let record = stored::read::<PackagerRecord>(&*store, key.as_bytes()).await?;
            let Some(record) = record else { return Ok(PackagerRemoved { changed: false }) };
            if attempts.commit(&*store, Batch::default().remove_record(&record)).await? {
                put_in_force(desk).await?;
                return Ok(PackagerRemoved { changed: true });
            }
        }
    }
}

/// Lists the packagers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPackagers {}

impl Operation for ListPackagers {
    const NAME: &'static str = "packager/list";
    /// The packagers, ordered by name.
    type Outcome = Vec<PackagerView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<PackagerView>, Stop<Infallible>> {
        let there = all(desk).await?;
        Ok(there.iter().map(|(record, rights)| PackagerView::of(record, rights)).collect())
    }
}

type There = Vec<(Stored<PackagerRecord>, Rights)>;

async fn all(desk: &Desk<'_>) -> Result<There, Fault> {
    let records = stored::all::<PackagerRecord>(&*desk.vault.store()).await?;
    let with_rights = records.into_iter().map(|record| {
        let rights = rights_of(desk.vault, &record)?;
        Ok((record, rights))
    });
    with_rights.collect()
}

fn no_packager(name: &PackagerName, there: &There) -> Refusal {
    let nearest = nearest(name.as_str(), there.iter().map(|(record, _)| record.name.as_str()));
    Refusal::NoPackager { name: name.clone(), nearest: nearest.map(str::to_owned) }
}

/// A bearer token is a secret alone, so no two packagers may have the same.
fn judge_secret(there: &There, name: &PackagerName, hash: &SecretHash) -> Result<(), Refusal> {
    let other =
        there.iter().find(|(record, rights)| record.name != *name && rights.secret_sha256 == *hash);
    other.map_or(Ok(()), |(record, _)| Err(Refusal::SameSecret(record.name.clone())))
}

fn wrap(desk: &Desk<'_>, name: &PackagerName, rights: &Rights) -> Result<Wrapped, Fault> {
    let rights = Zeroizing::new(serde_json::to_vec(rights)?);
    Ok(desk.vault.keyring().wrap_packager(name, &rights)?)
}

/// Puts in force what the store has now.
async fn put_in_force(desk: &Desk<'_>) -> Result<(), Fault> {
    let change = desk.in_force.change().await;
    let before = change.before();
    let packagers = Arc::new(Packagers::read(desk.vault, &before.packagers).await?);
    change.put(Snapshot { packagers, ..before });
    Ok(())
}
