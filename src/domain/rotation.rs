//! The plan for a rotation of the KEK: which steps are left.
//!
//! The plan is a function of what is stored. So an interrupted rotation continues with a new plan, and after a
//! complete rotation the plan is empty.

use std::collections::BTreeSet;

/// A stored secret, by its position in the caller's list, and the generation that wraps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedUnder {
    /// The position of the secret.
    pub secret: usize,
    /// The generation that wraps it.
    pub generation: u32,
}

/// One step of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wrap this secret under the primary generation.
    Rewrap {
        /// The position of the secret.
        secret: usize,
    },
    /// Remove this generation: no secret is wrapped under it.
    Retire {
        /// The generation.
        generation: u32,
    },
}

/// The steps that are left until everything is wrapped under `primary` and no other generation is kept. First come all
/// rewraps, then the retirement of each generation that **wraps nothing now**.
///
/// Each step is safe whatever happened to the others. No retirement relies on a rewrap of the same plan: a generation
/// that becomes unused by this plan is retired by the next one.
#[must_use]
pub fn plan(secrets: &[WrappedUnder], generations: &BTreeSet<u32>, primary: u32) -> Vec<Step> {
    let rewraps = secrets
        .iter()
        .filter(|secret| secret.generation != primary)
        .map(|secret| Step::Rewrap { secret: secret.secret });
    let used: BTreeSet<u32> = secrets.iter().map(|secret| secret.generation).collect();
    let retirements = generations
        .difference(&used)
        .filter(|generation| **generation != primary)
        .map(|generation| Step::Retire { generation: *generation });
    rewraps.chain(retirements).collect()
}
