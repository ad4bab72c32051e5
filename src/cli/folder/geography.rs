//! `[region_groups]`, `[networks]` and `[geoip]` of `reelkey.toml`: where regions, the operator's networks and all other
//! addresses are.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::authority::atlas::asked::Atlas;
use crate::authority::atlas::database::{Database, Unusable};
use crate::cli::folder::anchors;
use crate::cli::folder::limits::Range;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;
use crate::domain::region::Region;

/// The longest database that is read. The largest that are sold have a few hundred megabytes.
const DATABASE_BYTES_MAX: u64 = 1 << 30;

/// The longest name of a group.
const GROUP_NAME_MAX: usize = 64;

/// `[region_groups]`: the regions of each group.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, Vec<Region>>")]
pub(crate) struct RegionGroups(pub(crate) BTreeMap<String, Vec<Region>>);

/// A group that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoGroup {
    #[error("the name of a group has 1 to {GROUP_NAME_MAX} of A-Z a-z 0-9 - _, not {0:?}")]
    Name(String),
    #[error("the group {0} is empty; name a region, or remove the line")]
    Empty(String),
    #[error("{1} of the group {0} is no country; a group holds regions, not groups")]
    NoCountry(String, Region),
}

impl TryFrom<BTreeMap<String, Vec<Region>>> for RegionGroups {
    type Error = NoGroup;

    fn try_from(groups: BTreeMap<String, Vec<Region>>) -> Result<Self, NoGroup> {
        let may_be_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        for (name, regions) in &groups {
            let fits = (1..=GROUP_NAME_MAX).contains(&name.len());
            if !fits || !name.bytes().all(may_be_in_name) {
                return Err(NoGroup::Name(name.clone()));
            }
            if regions.is_empty() {
                return Err(NoGroup::Empty(name.clone()));
            }
            if let Some(region) = regions.iter().find(|region| !region.is_country()) {
                return Err(NoGroup::NoCountry(name.clone(), region.clone()));
            }
        }
        Ok(Self(groups))
    }
}

/// `[networks]`: the region of each.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "BTreeMap<Range, Region>")]
pub(crate) struct NetworksTable(BTreeMap<Range, Region>);

/// Something that is no region of a network.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no country, so it is no region of a network; write its country, such as \"DE\"")]
pub(crate) struct NoRegion(Region);

impl TryFrom<BTreeMap<Range, Region>> for NetworksTable {
    type Error = NoRegion;

    fn try_from(networks: BTreeMap<Range, Region>) -> Result<Self, NoRegion> {
        match networks.values().find(|region| !region.is_country()) {
            Some(region) => Err(NoRegion(region.clone())),
            None => Ok(Self(networks)),
        }
    }
}

impl NetworksTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `[geoip]`: databases in MaxMind's format. A relative name is a file in the data folder; an absolute one may be anywhere
/// where only the data folder's owner and root can write.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GeoIpTable {
    country: Option<PathBuf>,
    anonymous: Option<PathBuf>,
}

impl GeoIpTable {
    pub(crate) fn has_countries(&self) -> bool {
        self.country.is_some()
    }

    pub(crate) fn has_anonymous(&self) -> bool {
        self.anonymous.is_some()
    }

    /// The files that are named, each with its field.
    pub(crate) fn files(&self, folder: &Folder) -> Vec<(&'static str, PathBuf)> {
        let named = [("country", &self.country), ("anonymous", &self.anonymous)];
        let named = named.into_iter().filter_map(|(field, file)| Some((field, file.as_ref()?)));
        named.map(|(field, file)| (field, folder.root().join(file))).collect()
    }

    /// Reads the databases, each from its first to its last record.
    pub(crate) fn atlas(
        &self,
        folder: &Folder,
        networks: &NetworksTable,
    ) -> Result<Atlas, Failure> {
        let country = read(folder, "country", self.country.as_deref(), Database::of_countries)?;
        let anonymous =
            read(folder, "anonymous", self.anonymous.as_deref(), Database::of_anonymous)?;
        let networks = networks.0.iter().map(|(range, region)| (range.0, region.clone()));
        Ok(Atlas::new(networks.collect(), country, anonymous))
    }
}

fn read(
    folder: &Folder,
    field: &str,
    named: Option<&Path>,
    parse: impl FnOnce(Vec<u8>) -> Result<Database, Unusable>,
) -> Result<Option<Database>, Failure> {
    let Some(named) = named else { return Ok(None) };
    let path = match named.is_absolute() {
        true => named.to_owned(),
        false => folder.inside(named)?,
    };
    anchors::check_files(folder, [named])?;
    let during =
        |failure: Failure| failure.during(format_args!("[geoip] {field}: {}", path.display()));
    let failed = |error: io::Error| during(Failure::from(error));
    let length = fs::metadata(&path).map_err(failed)?.len();
    if length > DATABASE_BYTES_MAX {
        let what =
            format_args!("the file has {length} bytes, at most {DATABASE_BYTES_MAX} are read");
        return Err(during(Failure::new(what)));
    }
    let bytes = fs::read(&path).map_err(failed)?;
    parse(bytes).map(Some).map_err(|unusable| {
        let remedy = remedy(&unusable);
        during(Failure::new(unusable)).remedy(remedy)
    })
}

fn remedy(unusable: &Unusable) -> &'static str {
    match unusable {
        Unusable::Damaged(_) => {
            "put a whole copy there: write it aside and rename it, so that no half-written one is read"
        }
        Unusable::NoCountries(_) => "name a database of countries or cities",
        Unusable::NoAnonymous(_) => "name a database of anonymous addresses",
    }
}
