//! What policies are read in: the operator's groups of regions, and whether the service can tell anything by an address.

use std::collections::BTreeMap;

use crate::domain::policy::Evidence;
use crate::domain::policy_file::tables::RegionTable;
use crate::domain::policy_file::value::place;
use crate::domain::region::{InvalidRegion, Region};

/// What a policy is read in. By default there are no groups, and the service can tell everything.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `[region_groups]` of the configuration. No group is empty.
    pub groups: BTreeMap<String, Vec<Region>>,
    /// Why regions cannot be told by address, with a remedy; `None` if they can.
    pub no_address: Option<&'static str>,
    /// Why anonymous addresses cannot be told, with a remedy; `None` if they can.
    pub no_anonymous: Option<&'static str>,
}

impl Surroundings {
    /// Replaces the groups of a table by their regions, and refuses what the service cannot tell: an offset into the text and
    /// what is wrong there.
    pub(super) fn complete(&self, table: &mut RegionTable) -> Result<(), (usize, String)> {
        let blackouts = table.blackout.iter_mut();
        let blackouts = blackouts.map(|blackout| ("blackout.countries", &mut blackout.countries));
        let lists = [
            ("allowed_countries", &mut table.allowed_countries),
            ("blocked_countries", &mut table.blocked_countries),
        ];
        for (field, list) in lists.into_iter().chain(blackouts) {
            for (number, name) in list.written.iter().enumerate() {
                let regions = self.regions(name.get_ref());
                let regions = regions
                    .map_err(|why| (place(name), format!("region.{field}[{number}]: {why}")))?;
                list.regions.extend(regions);
            }
        }
        let evidence = &table.evidence;
        if let Some(why) = self.no_address
            && evidence.get_ref().0 != Evidence::Token
        {
            return Err((place(evidence), format!("region.evidence: {why}")));
        }
        let Some(block) = table.block_vpn_and_tor.as_ref().filter(|block| *block.get_ref()) else {
            return Ok(());
        };
        match self.no_anonymous {
            Some(why) => Err((place(block), format!("region.block_vpn_and_tor: {why}"))),
            None => Ok(()),
        }
    }

    /// The regions that a name in a list stands for. A group comes before a region of the same name.
    fn regions(&self, name: &str) -> Result<Vec<Region>, String> {
        if let Some(group) = self.groups.get(name) {
            return Ok(group.clone());
        }
        let define = format!(
            "if {name:?} is meant as a group, write {name} = [\"DE\", \"FR\"] under [region_groups] in reelkey.toml"
        );
        match name.parse::<Region>() {
            Ok(region) if region.is_country() => Ok(vec![region]),
            Ok(region) => Err(format!("{region} is no country; {define}")),
            Err(InvalidRegion) => Err(format!("{InvalidRegion}; {define}")),
        }
    }
}
