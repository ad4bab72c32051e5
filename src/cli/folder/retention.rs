//! `[retention]` of `reelkey.toml`: how long facts about licenses, slots and removed devices are kept after they ended.

use serde::Deserialize;

use crate::authority::in_force::Policies;
use crate::authority::registry::sweep::Retention;
use crate::domain::duration::Duration;

/// `[retention]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetentionTable {
    facts: Duration,
    /// The pause between two sweeps.
    every: Duration,
}

impl Default for RetentionTable {
    fn default() -> Self {
        Self { facts: Duration::from_secs(30 * 86_400), every: Duration::from_secs(600) }
    }
}

impl RetentionTable {
    /// For the sweep under these policies, whose rules may need a fact for longer.
    pub(crate) fn under(self, policies: &Policies) -> Retention {
        Retention::under(self.facts, policies.values())
    }

    /// The pause between two sweeps, and before the first one: at least a second.
    pub(crate) fn every(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.every.as_secs().max(1))
    }
}
