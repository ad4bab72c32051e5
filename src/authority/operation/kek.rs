//! What an operator does to KEKs.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::authority::operation::order::{Desk, Gate, Operation};
use crate::authority::rotation::kek::{self, Generation, Refusal, Rewrapped};
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;

/// A KEK as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KekView {
    /// From 1.
    pub generation: u32,
    /// Whether new secrets are wrapped under it.
    pub primary: bool,
    /// How many are.
    pub secrets: usize,
    /// When it was made, seconds since 1970.
    pub created_at: u64,
}

async fn views(desk: &Desk<'_>) -> Result<Vec<KekView>, Fault> {
    let view = |kek: Generation| {
        let Generation { generation, primary, secrets, created_at } = kek;
        KekView { generation, primary, secrets, created_at }
    };
    Ok(kek::generations(desk.vault).await?.into_iter().map(view).collect())
}

/// List the generations of the KEK.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListKeks {}

impl Operation for ListKeks {
    const NAME: &'static str = "kek/list";
    /// In order.
    type Outcome = Vec<KekView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<KekView>, Stop<Infallible>> {
        Ok(views(desk).await?)
    }
}

/// Make a new primary KEK.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKek {}

impl Operation for RotateKek {
    const NAME: &'static str = "kek/rotate";
    const GATE: Gate = Gate::Exclusive;
    /// All generations, in order.
    type Outcome = Vec<KekView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<KekView>, Stop<Infallible>> {
        kek::rotate(desk.vault, desk.now).await?;
        Ok(views(desk).await?)
    }
}

/// Move some secrets to the primary KEK.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewrapKek {
    /// At most as many.
    pub limit: usize,
}

/// Some secrets were moved.
#[derive(Debug, Serialize, Deserialize)]
pub struct KekRewrapped {
    /// How many now.
    pub done: usize,
    /// How many are left.
    pub left: usize,
}

impl Operation for RewrapKek {
    const NAME: &'static str = "kek/rewrap";
    const GATE: Gate = Gate::Exclusive;
    type Outcome = KekRewrapped;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<KekRewrapped, Stop<Infallible>> {
        let Rewrapped { done, left } = kek::rewrap(desk.vault, self.limit).await?;
        Ok(KekRewrapped { done, left })
    }
}

/// Drop KEKs that nothing is wrapped under.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireKek {
    /// This generation; otherwise every one that is unused.
    pub generation: Option<u32>,
}

impl Operation for RetireKek {
    const NAME: &'static str = "kek/retire";
    const GATE: Gate = Gate::Exclusive;
    /// The generations that were dropped.
    type Outcome = Vec<u32>;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<u32>, Stop<Refusal>> {
        kek::retire(desk.vault, self.generation).await
    }
}
