//! A database that says where addresses are, or which of them are anonymous, in MaxMind's format (MaxMind DB File Format
//! Specification 2.0).
//!
//! Two shapes of countries are read: `country.iso_code` with `subdivisions[].iso_code`, and `country_code` where the former is
//! not there. Deliberately absent: everything else that such a database has.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader, WithinOptions};
use reelkey_client::time::UnixTime;
use serde::Deserialize;

use crate::domain::region::Region;

/// The most subdivisions of one record that are read: no country has more levels with codes.
const SUBDIVISIONS_MAX: usize = 4;

/// A database, in memory.
pub struct Database {
    reader: Reader<Vec<u8>>,
}

/// Why a file is no database that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is not in the format, or a part of it is damaged.
    #[error("the database is damaged or in another format ({0})")]
    Damaged(#[from] MaxMindDbError),
    /// It is a database of something else.
    #[error(
        "no record of the database (type {0:?}) names a country, by country.iso_code or country_code"
    )]
    NoCountries(String),
    /// It is a database of something else.
    #[error(
        "the database (type {0:?}) cannot tell which addresses are anonymous: no record has is_anonymous, is_anonymous_vpn, \
         is_tor_exit_node or is_hosting_provider"
    )]
    NoAnonymous(String),
}

/// What a record may say of an address that hides who uses it.
#[derive(Deserialize)]
struct Flags {
    is_anonymous: Option<bool>,
    is_anonymous_vpn: Option<bool>,
    is_tor_exit_node: Option<bool>,
    is_hosting_provider: Option<bool>,
}

impl Flags {
    const fn all(&self) -> [Option<bool>; 4] {
        [self.is_anonymous, self.is_anonymous_vpn, self.is_tor_exit_node, self.is_hosting_provider]
    }
}

impl Database {
    /// Reads a database of countries. Every record is looked at.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn of_countries(file: Vec<u8>) -> Result<Self, Unusable> {
        let database = Self { reader: Reader::from_source(file)? };
        let of_country = |found: &LookupResult<'_, _>| Ok(!regions(found)?.is_empty());
        match database.holds(of_country)? {
            true => Ok(database),
            false => Err(Unusable::NoCountries(database.kind())),
        }
    }

    /// Reads a database of anonymous addresses. Every record is looked at.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn of_anonymous(file: Vec<u8>) -> Result<Self, Unusable> {
        let database = Self { reader: Reader::from_source(file)? };
        let tells = |found: &LookupResult<'_, _>| {
            let flags = found.decode::<Flags>()?;
            Ok(flags.is_some_and(|flags| flags.all().iter().any(Option::is_some)))
        };
        match database.holds(tells)? {
            true => Ok(database),
            false => Err(Unusable::NoAnonymous(database.kind())),
        }
    }

    /// When it was built.
    #[must_use]
    pub fn built(&self) -> UnixTime {
        UnixTime::from_secs(self.reader.metadata().build_epoch)
    }

    /// What it says that it is: `GeoLite2-Country`.
    #[must_use]
    pub fn kind(&self) -> String {
        self.reader.metadata().database_type.clone()
    }

    /// The regions of an address, the widest first, all true at once. None if it does not know.
    pub(super) fn regions(&self, address: IpAddr) -> Vec<Region> {
        self.found(address).and_then(|found| regions(&found).ok()).unwrap_or_default()
    }

    /// What the database has of an address. A database of IPv4 knows nothing of IPv6, which its reader calls an error; no other
    /// error is left, because every record was read before.
    fn found(&self, address: IpAddr) -> Option<LookupResult<'_, Vec<u8>>> {
        let found = self.reader.lookup(address).ok()?;
        match address {
            // Some databases have IPv4 in its mapped form only.
            IpAddr::V4(address) if !found.has_data() => {
                self.reader.lookup(address.to_ipv6_mapped().into()).ok()
            }
            _ => Some(found),
        }
    }

    /// Whether an address is known to hide who uses it.
    pub(super) fn is_anonymous(&self, address: IpAddr) -> bool {
        let flags = self.found(address).map(|found| found.decode::<Flags>());
        match flags {
            Some(Ok(flags)) => flags.is_some_and(|flags| flags.all().contains(&Some(true))),
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// Whether at least one record is as `wanted`. Every record is asked once, so that a damaged one is found.
    fn holds(
        &self,
        wanted: impl Fn(&LookupResult<'_, Vec<u8>>) -> Result<bool, MaxMindDbError>,
    ) -> Result<bool, MaxMindDbError> {
        let (mut seen, mut is_there) = (HashSet::new(), false);
        for found in self.reader.networks(WithinOptions::default())? {
            let found = found?;
            if found.offset().is_some_and(|offset| seen.insert(offset)) {
                is_there |= wanted(&found)?;
            }
        }
        Ok(is_there)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({:?}, {})", self.kind(), self.built())
    }
}

/// The regions that a record names, the widest first.
fn regions(found: &LookupResult<'_, Vec<u8>>) -> Result<Vec<Region>, MaxMindDbError> {
    use PathElement::{Index, Key};
    let nested = text(found, &[Key("country"), Key("iso_code")])?;
    let code = match nested {
        Some(code) => Some(code),
        None => text(found, &[Key("country_code")])?,
    };
    let Some(country) = code.and_then(|code| code.parse::<Region>().ok()) else {
        return Ok(Vec::new());
    };
    if !country.is_country() {
        return Ok(Vec::new());
    }
    let mut regions = Vec::new();
    for number in 0..SUBDIVISIONS_MAX {
        let code = text(found, &[Key("subdivisions"), Index(number), Key("iso_code")])?;
        let Some(code) = code else { break };
        // A code that is none of ISO 3166-2 is no narrower region than the country.
        regions.extend(format!("{country}-{code}").parse::<Region>());
    }
    Ok(if regions.is_empty() { vec![country] } else { regions })
}

/// The text at a place of a record; `None` if there is something else, or nothing.
fn text<'a>(
    found: &LookupResult<'a, Vec<u8>>,
    path: &[PathElement<'_>],
) -> Result<Option<&'a str>, MaxMindDbError> {
    match found.decode_path(path) {
        Err(MaxMindDbError::Decoding { .. }) => Ok(None),
        text => text,
    }
}
