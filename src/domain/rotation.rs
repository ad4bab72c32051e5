//! Rotating key-encryption keys: what is left to be done, as a plan.
//!
//! The plan is a function of what is stored. So a rotation that was stopped anywhere is continued by
//! planning again, and planning after all was done gives nothing to do.

use std::collections::BTreeSet;

/// A stored secret, by its place in the caller's list, and the generation that it is wrapped under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedUnder {
    /// Which secret.
    pub secret: usize,
    /// Under which generation.
    pub generation: u32,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wrap this secret under the primary generation.
    Rewrap {
        /// Which secret.
        secret: usize,
    },
    /// Drop this generation: nothing is wrapped under it.
    Retire {
        /// Which generation.
        generation: u32,
    },
}

/// What is left to be done so that everything is wrapped under `primary` and nothing else is kept: first
/// every rewrap, then the retirement of each generation under which **nothing is wrapped now**.
///
/// Every step may be carried out whatever became of the others: a retirement never counts on a rewrap, so a generation
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
