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
}

impl Default for RetentionTable {
    fn default() -> Self {
        Self { facts: Duration::from_secs(30 * 86_400) }
    }
}

impl RetentionTable {
    /// For the sweep under these policies: a removed device is remembered for as long as its place may be taken.
    pub(crate) fn under(self, policies: &Policies) -> Retention {
        let cooldowns = policies.values().filter_map(|policy| policy.device.cooldown);
        let longest = cooldowns.chain([self.facts]).max().unwrap_or(self.facts);
        Retention { facts_secs: self.facts.as_secs(), devices_secs: longest.as_secs() }
    }
}
