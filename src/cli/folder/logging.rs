//! `[log]` of `reelkey.toml`: how much of clients' addresses the log has.

use serde::Deserialize;

use crate::domain::logged_address::LoggedAddress;

/// `[log]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogTable {
    #[serde(default)]
    addresses: Word,
}

impl LogTable {
    pub(crate) fn addresses(self) -> LoggedAddress {
        match self.addresses {
            Word::None => LoggedAddress::None,
            Word::Prefix => LoggedAddress::Prefix,
            Word::Whole => LoggedAddress::Whole,
        }
    }
}

/// A [`LoggedAddress`] in TOML.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    None,
    Prefix,
    #[default]
    Whole,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_logged_whole_unless_the_operator_says_otherwise() {
        let read = |text: &str| toml::from_str::<LogTable>(text).map(LogTable::addresses);
        assert_eq!(read("").unwrap(), LoggedAddress::Whole);
        assert_eq!(read("addresses = \"whole\"").unwrap(), LoggedAddress::Whole);
        assert_eq!(read("addresses = \"prefix\"").unwrap(), LoggedAddress::Prefix);
        assert_eq!(read("addresses = \"none\"").unwrap(), LoggedAddress::None);
        let said = read("addresses = \"some\"").unwrap_err().to_string();
        assert!(said.contains("`none`, `prefix`, `whole`"), "{said}");
    }
}
