//! The operator's operation on the root key.

use serde::{Deserialize, Serialize};

use crate::authority::operation::order::{Desk, Gate, Operation};
use crate::authority::rotation::root::{self, Refusal};
use crate::authority::stop::Stop;

/// Makes a new root key, and wraps every secret again under a new KEK.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateRoot {}

/// The root key was replaced.
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
