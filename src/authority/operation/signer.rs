//! The operator's operations on the keys that sign licenses.

use std::convert::Infallible;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::authority::in_force::Snapshot;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::rotation::signer;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::authority::vault::signers::{Signers, in_order};
use crate::store::record::signer::SignerRecord;
use crate::store::record::stored::{self, Stored};

/// A signing key, as commands show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerView {
    /// The thumbprint of its public key.
    pub kid: String,
    /// The time from which it signs, in seconds since 1970.
    pub signs_from: u64,
    /// The generation of the KEK that wraps it.
    pub kek: u32,
}

async fn views(desk: &Desk<'_>) -> Result<Vec<SignerView>, Fault> {
    let mut records = stored::all::<SignerRecord>(&*desk.vault.store()).await?;
    in_order(&mut records);
    let view = |record: Stored<SignerRecord>| SignerView {
        kid: record.kid.clone(),
        signs_from: record.signs_from,
        kek: record.wrapped.kek,
    };
    Ok(records.into_iter().map(view).collect())
}

/// Lists the signing keys.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSigners {}

impl Operation for ListSigners {
    const NAME: &'static str = "signer/list";
    /// The keys, in the order in which they sign.
    type Outcome = Vec<SignerView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<SignerView>, Stop<Infallible>> {
        Ok(views(desk).await?)
    }
}

/// Makes a new signing key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateSigner {
    /// Whether it signs at once, without the time in which it is only published.
    pub at_once: bool,
}

impl Operation for RotateSigner {
    const NAME: &'static str = "signer/rotate";
    /// All signing keys, in the order in which they sign.
    type Outcome = Vec<SignerView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<SignerView>, Stop<Infallible>> {
        signer::rotate(desk.vault, self.at_once, desk.now).await?;
        let change = desk.in_force.change().await;
        let signers = Arc::new(Signers::read(desk.vault).await?);
        let snapshot = Snapshot { signers, ..change.before() };
        change.put(snapshot);
        Ok(views(desk).await?)
    }
}
