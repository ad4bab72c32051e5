//! How much of a client's address the log may have.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How much of an address is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoggedAddress {
    /// Nothing.
    None,
    /// The network that it is in: the first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
    Prefix,
    /// All of it.
    #[default]
    Whole,
}

impl LoggedAddress {
    /// What may be written of `address`.
    #[must_use]
    pub fn of(self, address: IpAddr) -> Option<String> {
        match (self, address.to_canonical()) {
            (Self::None, _) => None,
            (Self::Whole, address) => Some(address.to_string()),
            (Self::Prefix, IpAddr::V4(address)) => {
                let first = Ipv4Addr::from_bits(address.to_bits() >> 8 << 8);
                Some(format!("{first}/24"))
            }
            (Self::Prefix, IpAddr::V6(address)) => {
                let first = Ipv6Addr::from_bits(address.to_bits() >> 80 << 80);
                Some(format!("{first}/48"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_far_as_it_may_be() {
        let of = |how: LoggedAddress, text: &str| how.of(text.parse().unwrap());
        for (text, prefix) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ] {
            assert_eq!(of(LoggedAddress::None, text), None);
            assert_eq!(of(LoggedAddress::Prefix, text).unwrap(), prefix);
        }
        assert_eq!(of(LoggedAddress::Whole, "::ffff:192.0.2.77").unwrap(), "192.0.2.77");
        assert_eq!(of(LoggedAddress::Whole, "2001:db8::3").unwrap(), "2001:db8::3");
    }
}
