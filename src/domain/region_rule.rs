//! The rule of a policy about regions. Deliberately absent: who is where (`whereabouts`).

use reelkey_client::time::UnixTime;
use serde::Serialize;

use crate::domain::region::Region;

/// Where the content may be watched.
#[derive(Clone, Debug, Default)]
pub struct RegionRule {
    /// The evidence of the viewer's region.
    pub evidence: Evidence,
    /// Whether addresses are refused that are known to hide who uses them.
    pub block_anonymous: bool,
    /// The allowed regions. An empty list allows every region.
    pub allowed: Vec<Region>,
    /// The blocked regions.
    pub blocked: Vec<Region>,
    /// Regions that are blocked for some time.
    pub blackouts: Vec<Blackout>,
}

/// The evidence of the viewer's region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The token.
    #[default]
    Token,
    /// The client's address.
    Ip,
    /// Both, and they must agree. The narrower of the two counts.
    TokenAndIp,
}

impl Evidence {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Ip => "ip",
            Self::TokenAndIp => "token-and-ip",
        }
    }
}

/// A period in which some regions are blocked.
#[derive(Clone, Debug)]
pub struct Blackout {
    /// The blocked regions.
    pub regions: Vec<Region>,
    /// The first moment of the period.
    pub from: UnixTime,
    /// The first moment after the period.
    pub until: UnixTime,
}

impl RegionRule {
    /// Whether the client's address has to be looked up.
    #[must_use]
    pub fn needs_address(&self) -> bool {
        self.evidence != Evidence::Token || self.block_anonymous
    }

    /// Whether a viewer who is in all of these regions at once may be in a blocked one. If the evidence is less precise than
    /// a block (`US`, and `US-CA` is blocked), the viewer may be in the blocked region, so the block applies.
    #[must_use]
    pub fn blocks(&self, regions: &[Region]) -> bool {
        self.blocked.iter().any(|one| regions.iter().any(|region| one.overlaps(region)))
    }

    /// Whether the lists allow a viewer who is in all of these regions at once, apart from blackouts. An allowed `US-CA` does
    /// not allow all of `US`. Without a region, nothing is allowed.
    #[must_use]
    pub fn allows(&self, regions: &[Region]) -> bool {
        let contains = |one: &Region| regions.iter().any(|region| one.contains(region));
        let allowed = self.allowed.is_empty() || self.allowed.iter().any(contains);
        allowed && !regions.is_empty() && !self.blocks(regions)
    }

    /// The blackouts that may apply to a viewer who is in all of these regions at once.
    pub fn blackouts<'a>(&'a self, regions: &'a [Region]) -> impl Iterator<Item = &'a Blackout> {
        let applies = |blackout: &&Blackout| {
            blackout.regions.iter().any(|one| regions.iter().any(|region| one.overlaps(region)))
        };
        self.blackouts.iter().filter(applies)
    }
}

impl Blackout {
    /// Whether `now` is within the blackout.
    #[must_use]
    pub fn covers(&self, now: UnixTime) -> bool {
        self.from <= now && now < self.until
    }
}
