//! The operator's operations on KEKs.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::authority::operation::order::{Desk, Gate, Operation};
use crate::authority::rotation::kek::{self, Generation, Refusal, Rewrapped};
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;

/// A KEK, as commands show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KekView {
    /// Its generation, counted from 1.
    pub generation: u32,
    /// Whether new secrets are wrapped under it.
    pub primary: bool,
    /// The number of secrets that it wraps.
    pub secrets: usize,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
}

async fn views(desk: &Desk<'_>) -> Result<Vec<KekView>, Fault> {
    let view = |kek: Generation| {
        let Generation { generation, primary, secrets, created_at } = kek;
        KekView { generation, primary, secrets, created_at }
    };
    Ok(kek::generations(desk.vault).await?.into_iter().map(view).collect())
}

/// Lists the generations of the KEK.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListKeks {}

impl Operation for ListKeks {
    const NAME: &'static str = "kek/list";
    /// The KEKs, ordered by generation.
    type Outcome = Vec<KekView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<KekView>, Stop<Infallible>> {
        Ok(views(desk).await?)
    }
}

/// Makes a new primary KEK.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKek {}

impl Operation for RotateKek {
    const NAME: &'static str = "kek/rotate";
    const GATE: Gate = Gate::Exclusive;
    /// All KEKs, ordered by generation.
    type Outcome = Vec<KekView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<KekView>, Stop<Infallible>> {
        kek::rotate(desk.vault, desk.now).await?;
        Ok(views(desk).await?)
    }
}

/// Moves some secrets to the primary KEK.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewrapKek {
    /// The most secrets to move.
    pub limit: usize,
}

/// Some secrets were moved.
#[derive(Debug, Serialize, Deserialize)]
pub struct KekRewrapped {
    /// How many secrets were moved.
    pub done: usize,
    /// How many secrets are left to move.
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

/// Removes KEKs that wrap no secret.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireKek {
    /// The generation to remove; if absent, every unused one.
    pub generation: Option<u32>,
}

impl Operation for RetireKek {
    const NAME: &'static str = "kek/retire";
    const GATE: Gate = Gate::Exclusive;
    /// The removed generations.
    type Outcome = Vec<u32>;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<u32>, Stop<Refusal>> {
        kek::retire(desk.vault, self.generation).await
    }
}
