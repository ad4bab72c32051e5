//! What an operator asks about what is in force.

use std::collections::BTreeMap;
use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::authority::operation::order::{Desk, Operation};
use crate::authority::stop::Stop;

/// Show of which files and entries the things in force were made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowInForce {}

impl Operation for ShowInForce {
    const NAME: &'static str = "in-force/show";
    /// A fingerprint of each, by name.
    type Outcome = BTreeMap<String, String>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<BTreeMap<String, String>, Stop<Infallible>> {
        Ok(BTreeMap::clone(&desk.in_force.load().made_of))
    }
}
