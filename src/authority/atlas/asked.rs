//! Asking where an address is.

use std::net::IpAddr;

use crate::authority::atlas::database::Database;
use crate::authority::atlas::embedded;
use crate::domain::location::{Located, Source};
use crate::domain::network::Network;
use crate::domain::region::Region;

/// Everything that says where addresses are.
#[derive(Debug, Default)]
pub struct Atlas {
    /// The narrowest first.
    networks: Vec<(Network, Region)>,
    countries: Option<Database>,
    anonymous: Option<Database>,
}

impl Atlas {
    /// Of the operator's networks, a database of countries and one of anonymous addresses.
    #[must_use]
    pub fn new(
        mut networks: Vec<(Network, Region)>,
        countries: Option<Database>,
        anonymous: Option<Database>,
    ) -> Self {
        networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.bits()));
        Self { networks, countries, anonymous }
    }

    /// The database of countries.
    #[must_use]
    pub fn countries(&self) -> Option<&Database> {
        self.countries.as_ref()
    }

    /// The database of anonymous addresses.
    #[must_use]
    pub fn anonymous(&self) -> Option<&Database> {
        self.anonymous.as_ref()
    }

    /// What is known of an address. An IPv6 address that embeds an IPv4 address is where that one is.
    #[must_use]
    pub fn locate(&self, address: IpAddr) -> Located {
        let address = address.to_canonical();
        let looked_up = embedded::looked_up(address);
        let is_in = |address: IpAddr| {
            let mut networks = self.networks.iter();
            networks.find(|(network, _)| network.contains(address)).map(|(_, region)| region)
        };
        let is_anonymous = self.anonymous.as_ref().is_some_and(|database| {
            database.is_anonymous(looked_up)
                || (looked_up != address && database.is_anonymous(address))
        });
        if let Some(region) = is_in(address).or_else(|| is_in(looked_up)) {
            let (regions, source) = (vec![region.clone()], Some(Source::Network));
            return Located { regions, source, is_anonymous };
        }
        let regions = self.countries.as_ref().map(|database| database.regions(looked_up));
        let regions = regions.unwrap_or_default();
        let built = self.countries.as_ref().filter(|_| !regions.is_empty()).map(Database::built);
        Located { regions, source: built.map(|built| Source::Database { built }), is_anonymous }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_networks_the_longest_wins_whatever_their_order() {
        let network = |text: &str, region: &str| (text.parse().unwrap(), region.parse().unwrap());
        let mut networks = vec![
            network("10.0.0.0/8", "US"),
            network("10.1.0.0/16", "US-CA"),
            network("10.1.2.3", "DE"),
            network("2001:db8::/32", "FR"),
            network("2002::/16", "AT"),
        ];
        for _ in 0..networks.len() {
            networks.rotate_left(1);
            let atlas = Atlas::new(networks.clone(), None, None);
            for (address, region) in [
                ("10.2.0.1", "US"),
                ("10.1.0.1", "US-CA"),
                ("::ffff:10.1.0.1", "US-CA"),
                ("64:ff9b:1::10.1.2.3", "DE"),
                ("10.1.2.3", "DE"),
                ("2001:db8:9::1", "FR"),
                ("2002:a00:1::1", "AT"),
                ("11.0.0.1", ""),
                ("64:ff9b::10.1.2.3", ""),
            ] {
                let located = atlas.locate(address.parse().unwrap());
                let regions: Vec<_> = located.regions.iter().map(Region::as_str).collect();
                assert_eq!(regions.concat(), region, "{address}");
                assert_eq!(located.source, (!region.is_empty()).then_some(Source::Network));
                assert!(!located.is_anonymous);
            }
        }
    }
}
