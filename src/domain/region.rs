//! Countries and their subdivisions.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A country (ISO 3166-1 alpha-2, `US`), or a subdivision of one (ISO 3166-2, `US-CA`), in capital letters. It is not
/// checked whether ISO has assigned the code, because the assignments change more often than the software.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Region(String);

/// The text is not a region code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a region is two capital letters (ISO 3166-1, 'US'), or with a subdivision of up to three (ISO 3166-2, 'US-CA')"
)]
pub struct InvalidRegion;

impl Region {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the code may stand for a country. `EU`, `AP`, `XX` and `ZZ` never do (ISO 3166-1 reserves them): databases write
    /// them where they know no country.
    #[must_use]
    pub fn is_country(&self) -> bool {
        !["AP", "EU", "XX", "ZZ"].contains(&self.0.get(..2).unwrap_or_default())
    }

    /// Whether `other` lies in this region: `US` contains `US` and `US-CA`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self == other || other.0.strip_prefix(&self.0).is_some_and(|rest| rest.starts_with('-'))
    }

    /// Whether a viewer in one of the two regions may also be in the other: `US` and `US-CA` overlap, `US-CA` and
    /// `US-NY` do not.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }
}

impl FromStr for Region {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, InvalidRegion> {
        let (country, subdivision) = match text.split_once('-') {
            Some((country, subdivision)) => (country, Some(subdivision)),
            None => (text, None),
        };
        let alphanumeric = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let fits = country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && subdivision
                .is_none_or(|text| (1..=3).contains(&text.len()) && text.bytes().all(alphanumeric));
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidRegion) }
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidRegion;

    fn try_from(text: String) -> Result<Self, InvalidRegion> {
        text.parse()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(text: &str) -> Region {
        text.parse().unwrap()
    }

    #[test]
    fn codes_are_capitals() {
        for wrong in ["", "U", "us", "USA", "US-", "US-cal", "US-CALI", "U1", "US-CA-1", "US "] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong:?}");
        }
        assert_eq!(region("GB-SCT").as_str(), "GB-SCT");
        assert_eq!(region("FR-75").as_str(), "FR-75");
    }

    #[test]
    fn a_country_contains_its_subdivisions() {
        assert!(region("US").contains(&region("US-CA")));
        assert!(!region("US-CA").contains(&region("US")));
        assert!(region("US-CA").overlaps(&region("US")));
        assert!(!region("US-CA").overlaps(&region("US-C")));
        assert!(!region("US").overlaps(&region("CA")));
    }
}
