//! What `reelkey.toml` means for policies: groups of regions, and whether anything can be told by an address.
//!
//! Only these tables are read here, so that a policy can be judged beside a configuration that has another fault.

use std::fs;
use std::io;

use serde::Deserialize;

use crate::cli::folder::geography::{GeoIpTable, NetworksTable, RegionGroups};
use crate::cli::folder::limits::ProxiesTable;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;
use crate::domain::policy_file::Surroundings;

/// The tables that matter for policies.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tables {
    tls_terminated_by_proxy: bool,
    region_groups: RegionGroups,
    networks: NetworksTable,
    geoip: GeoIpTable,
    proxies: ProxiesTable,
}

const UNKNOWN_CLIENTS: &str = "every client would have the proxy's address, because tls_terminated_by_proxy = true names no \
    proxy that is trusted; write trusted = [\"10.0.0.0/8\"] with the proxy's address under [proxies] in reelkey.toml, or \
    evidence = \"token\"";

const UNKNOWN_REGIONS: &str = "nothing tells where an address is; write country = \"FILE\" under [geoip] in reelkey.toml, or \
    \"10.0.0.0/8\" = \"US\" under [networks], or evidence = \"token\"";

const UNKNOWN_ANONYMOUS: &str = "nothing tells which addresses are anonymous; write anonymous = \"FILE\" under [geoip] in \
    reelkey.toml, or remove the line";

const UNKNOWN_CLIENTS_ANONYMOUS: &str = "every client would have the proxy's address, because tls_terminated_by_proxy = true \
    names no proxy that is trusted; write trusted = [\"10.0.0.0/8\"] with the proxy's address under [proxies] in reelkey.toml, \
    or remove the line";

/// Reads what policies of this folder are read in. Without a configuration, there are no groups, and everything can be told.
pub(crate) fn read(folder: &Folder) -> Result<Surroundings, Failure> {
    Ok(tables(folder)?.map(surroundings).unwrap_or_default())
}

/// Reads the databases that the configuration names, to see that they can be read.
pub(crate) fn check_databases(folder: &Folder) -> Result<(), Failure> {
    match tables(folder)? {
        Some(tables) => tables.geoip.atlas(folder, &tables.networks).map(drop),
        None => Ok(()),
    }
}

/// Reads the tables; `None` without a configuration.
fn tables(folder: &Folder) -> Result<Option<Tables>, Failure> {
    let path = folder.config();
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| Failure::from(error).during(path.display()))?,
    };
    let tables = toml::from_str(&text).map(Some);
    tables.map_err(|error| Failure::new(error.to_string().trim_end()).during(path.display()))
}

fn surroundings(tables: Tables) -> Surroundings {
    let is_behind_stranger =
        tables.tls_terminated_by_proxy && tables.proxies.proxies().trusted.is_empty();
    let is_told = tables.geoip.has_countries() || !tables.networks.is_empty();
    Surroundings {
        no_address: match (is_behind_stranger, is_told) {
            (true, _) => Some(UNKNOWN_CLIENTS),
            (false, false) => Some(UNKNOWN_REGIONS),
            (false, true) => None,
        },
        no_anonymous: match (is_behind_stranger, tables.geoip.has_anonymous()) {
            (true, _) => Some(UNKNOWN_CLIENTS_ANONYMOUS),
            (false, false) => Some(UNKNOWN_ANONYMOUS),
            (false, true) => None,
        },
        groups: tables.region_groups.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy_file::parse_in;

    fn parse(text: &str) -> Result<Surroundings, toml::de::Error> {
        toml::from_str(text).map(surroundings)
    }

    const POLICY: &str = "can_play = true\nlicense_duration = \"10m\"\n[region]\n";

    fn said(config: &str, rule: &str) -> String {
        let surroundings = parse(config).unwrap();
        match parse_in("test", &format!("{POLICY}{rule}"), &surroundings) {
            Ok(policy) => format!("{:?}", policy.region.unwrap().allowed),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn evidence_by_address_needs_something_that_tells() {
        for evidence in ["ip", "token-and-ip"] {
            let rule = format!("evidence = \"{evidence}\"");
            let said = |config: &str| said(config, &rule);
            for (config, part) in [
                ("", "line 4: region.evidence: nothing tells where"),
                ("[geoip]\nanonymous = \"a.mmdb\"", "line 4: region.evidence: nothing tells where"),
                (
                    "tls_terminated_by_proxy = true\n[networks]\n\"10.0.0.0/8\" = \"US\"",
                    "line 4: region.evidence: every client would have the proxy's address",
                ),
            ] {
                let said = said(config);
                assert!(said.starts_with(part) && said.contains("; write "), "{said}");
            }
            for config in [
                "[networks]\n\"10.0.0.0/8\" = \"US\"",
                "[geoip]\ncountry = \"a.mmdb\"",
                "tls_terminated_by_proxy = true\n[proxies]\ntrusted = [\"10.0.0.1\"]\n[geoip]\ncountry = \"a.mmdb\"",
            ] {
                assert_eq!(said(config), "[]", "{config}");
            }
        }
        assert_eq!(said("tls_terminated_by_proxy = true", "evidence = \"token\""), "[]");
    }

    #[test]
    fn anonymous_addresses_need_a_database_that_tells() {
        let rule = "evidence = \"token\"\nblock_vpn_and_tor = true";
        let none = said("[geoip]\ncountry = \"a.mmdb\"", rule);
        assert!(
            none.starts_with("line 5: region.block_vpn_and_tor: nothing tells which"),
            "{none}"
        );
        let anonymous = "[geoip]\nanonymous = \"a.mmdb\"";
        assert_eq!(said(anonymous, rule), "[]");
        let stranger = said(&format!("tls_terminated_by_proxy = true\n{anonymous}"), rule);
        assert!(
            stranger.starts_with("line 5: region.block_vpn_and_tor: every client"),
            "{stranger}"
        );
        assert_eq!(said("", "evidence = \"token\"\nblock_vpn_and_tor = false"), "[]");
    }

    #[test]
    fn a_group_stands_for_its_regions_and_an_unknown_one_is_named() {
        let config =
            "[region_groups]\nEU = [\"DE\", \"FR\"]\nDACH-1 = [\"AT\", \"CH\"]\nUS = [\"US-CA\"]";
        let allowed = |names: &str| {
            said(config, &format!("evidence = \"token\"\nallowed_countries = [{names}]"))
        };
        assert_eq!(
            allowed("\"EU\", \"GB\", \"DACH-1\""),
            "[Region(\"DE\"), Region(\"FR\"), Region(\"GB\"), Region(\"AT\"), Region(\"CH\")]"
        );
        assert_eq!(allowed("\"US\""), "[Region(\"US-CA\")]", "a group comes first");
        let unknown = allowed("\"EU\", \"NORDICS\"");
        assert!(unknown.starts_with("line 5: region.allowed_countries[1]: "), "{unknown}");
        assert!(unknown.contains("write NORDICS = [") && unknown.contains("reelkey.toml"));
    }

    #[test]
    fn a_group_that_could_not_be_meant_is_refused() {
        for (groups, part) in [
            ("EU = []", "is empty"),
            ("EU = [\"de\"]", "a region is"),
            ("EU = [\"EU\"]", "no country"),
            ("\"\" = [\"DE\"]", "name of a group"),
            ("\"a b\" = [\"DE\"]", "name of a group"),
        ] {
            let Err(error) = parse(&format!("[region_groups]\n{groups}")) else {
                panic!("{groups} is read")
            };
            let said = error.to_string();
            assert!(said.contains(part) && said.contains("line "), "{said}");
        }
    }
}
