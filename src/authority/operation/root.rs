//! What an operator does to the root key.

use serde::{Deserialize, Serialize};

use crate::authority::operation::order::{Desk, Gate, Operation};
use crate::authority::rotation::root::{self, Refusal};
use crate::authority::stop::Stop;

/// Make a new root key, and wrap everything anew from it down.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateRoot {}

/// The root key is another one.
#[derive(Debug, Serialize, Deserialize)]
pub struct RootRotated {
    /// How many secrets were moved.
    pub secrets: usize,
}

impl Operation for RotateRoot {
    const NAME: &'static str = "root/rotate";
    const GATE: Gate = Gate::Exclusive;
    type Outcome = RootRotated;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<RootRotated, Stop<Refusal>> {
        Ok(RootRotated { secrets: root::rotate(desk.vault, desk.now).await? })
    }
}
