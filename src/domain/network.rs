//! Ranges of addresses, as configuration names them.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses in CIDR notation, `10.0.0.0/8` or `2001:db8::/32`; an address alone is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// Its first address as a number; IPv4 has its place in IPv6 (RFC 4291 section 2.5.5.2).
    first: u128,
    /// Which bits are given.
    mask: u128,
    is_v4: bool,
}

/// The text is no range of addresses.
#[derive(Debug, thiserror::Error)]
pub enum InvalidNetwork {
    /// Not an address, or no number of bits that it has.
    #[error("{0:?} is no range of addresses; write it like \"10.0.0.0/8\" or \"2001:db8::/32\"")]
    Form(String),
    /// The address has bits behind the prefix.
    #[error("{text:?} has bits behind its prefix; write \"{meant}\" if you mean that range")]
    Bits {
        /// What was written.
        text: String,
        /// The range that the address is in.
        meant: String,
    },
}

impl Network {
    /// How many bits are given, those before an IPv4 address in its IPv6 form included. Of two networks that an address is in,
    /// the one with more bits is the narrower one.
    #[must_use]
    pub const fn bits(&self) -> u32 {
        self.mask.leading_ones()
    }

    /// Whether an address is in it. An IPv4 address is the same in its IPv6 form.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.is_v4 && number(address) & self.mask == self.first
    }
}

/// An address as a number: IPv4 in its IPv6 form.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The leading bits of an IPv4 address in its IPv6 form.
const MAPPED_BITS: u32 = 96;

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let form = || InvalidNetwork::Form(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => {
                let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
                (address, Some(is_number.then_some(bits).ok_or_else(form)?))
            }
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| form())?;
        let offset = if written.is_ipv4() { MAPPED_BITS } else { 0 };
        let bits = match bits {
            Some(bits) => bits.parse::<u32>().map_err(|_| form())?.saturating_add(offset),
            None => 128,
        };
        if bits > 128 {
            return Err(form());
        }
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        let (all, first) = (number(written), number(written) & mask);
        if all != first {
            let shown = if written.is_ipv4() {
                Ipv6Addr::from_bits(first).to_canonical()
            } else {
                Ipv6Addr::from_bits(first).into()
            };
            let meant = format!("{shown}/{}", bits - offset);
            return Err(InvalidNetwork::Bits { text: text.to_owned(), meant });
        }
        let is_v4 = bits >= MAPPED_BITS && Ipv6Addr::from_bits(first).to_ipv4_mapped().is_some();
        Ok(Self { first, mask, is_v4 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_strictly() {
        let has = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.0"));
        assert!(has("0.0.0.0/0", "9.9.9.9") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("::/0", "2001:db8::1") && !has("::/0", "9.9.9.9"));
        assert!(has("::ffff:10.0.0.0/104", "10.1.1.1") && has("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(has("192.0.2.1", "192.0.2.1") && !has("192.0.2.1", "192.0.2.2"));
        assert!(has("2001:db8::1/128", "2001:db8::1"));
        for text in ["", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "x", "10.0.0.0/+8", "/8"]
        {
            assert!(matches!(text.parse::<Network>(), Err(InvalidNetwork::Form(_))), "{text}");
        }
        let said = "10.0.0.1/8".parse::<Network>().unwrap_err().to_string();
        assert!(said.contains("\"10.0.0.0/8\""), "{said}");
    }
}
