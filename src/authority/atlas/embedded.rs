//! IPv4 addresses inside IPv6 addresses: who sends through a translator or a tunnel is where the IPv4 address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Of an IPv6 address the IPv4 address that it embeds, if it does; any other address as it is.
///
/// Tunnels and the well-known prefix may embed only addresses that are reachable from everywhere (RFC 3056 section 2, RFC 4380
/// section 5.2.4, RFC 6052 section 3.1): with another one, somebody pretends to be in a private network.
pub(super) fn looked_up(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => embedded(address).map_or_else(|| address.into(), IpAddr::V4),
        address => address,
    }
}

fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let at = |shift: u32| {
        let bits = (bits >> shift) & u128::from(u32::MAX);
        u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
    };
    let [first, second, third, fourth, fifth, sixth, ..] = address.segments();
    let tunnelled = match [first, second, third] {
        // 6to4, RFC 3056 section 2.
        [0x2002, ..] => at(80),
        // Teredo, RFC 4380 section 4: the address of the client is written with every bit inverted.
        [0x2001, 0, _] => at(0).map(|address| Ipv4Addr::from_bits(!address.to_bits())),
        // NAT64 under the well-known prefix 64:ff9b::/96, RFC 6052 section 2.1.
        [0x64, 0xff9b, 0] if [fourth, fifth, sixth] == [0; 3] => at(0),
        // IPv4-compatible, RFC 4291 section 2.5.5.1.
        [0, 0, 0] if [fourth, fifth, sixth] == [0; 3] => at(0),
        // NAT64 under the local prefix, RFC 8215, where it is used with 96 bits; of a shorter prefix nobody knows the length.
        [0x64, 0xff9b, 1] if [fifth, sixth] == [0; 2] => {
            return at(0).filter(|address| !address.is_unspecified());
        }
        _ => None,
    };
    tunnelled.filter(|address| is_reachable(*address))
}

/// Whether the address can be reached from everywhere (RFC 6890 section 2.2.2), as far as it matters here.
fn is_reachable(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_reserved = first == 0 || first >= 224;
    !(is_shared
        || is_reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_embedded_address_is_found_in_every_form() {
        for (text, expected) in [
            ("81.2.69.142", "81.2.69.142"),
            ("::ffff:81.2.69.142", "81.2.69.142"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::81.2.69.142", "81.2.69.142"),
            ("2002:5102:458e::1", "81.2.69.142"),
            ("2002:5102:458e:ffff:ffff:ffff:ffff:ffff", "81.2.69.142"),
            ("64:ff9b::81.2.69.142", "81.2.69.142"),
            ("64:ff9b:1::81.2.69.142", "81.2.69.142"),
            ("64:ff9b:1:7::81.2.69.142", "81.2.69.142"),
            ("64:ff9b:1::10.0.0.1", "10.0.0.1"),
            ("2001:0:4136:e378:8000:63bf:aefd:ba71", "81.2.69.142"),
        ] {
            assert_eq!(looked_up(text.parse().unwrap()).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_embeds_nothing_is_itself() {
        for text in [
            "2a02:d300::1",
            "::",
            "::1",
            "64:ff9b::1:81.2.69.142",
            "64:ff9b:2::81.2.69.142",
            "64:ff9b:1:5102:45:8e00::",
            "64:ff9b:1::",
            "2001:1::81.2.69.142",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(looked_up(address), address);
        }
    }

    #[test]
    fn a_tunnel_leads_into_no_private_network() {
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.0.1",
            "0.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            let private: Ipv4Addr = private.parse().unwrap();
            let bits = u128::from(private.to_bits());
            for tunnel in [
                (0x2002 << 112) | (bits << 80) | 1,
                (0x2001 << 112) | u128::from(!private.to_bits()),
                (0x0064_ff9b << 96) | bits,
                bits,
            ] {
                let tunnel = IpAddr::from(Ipv6Addr::from_bits(tunnel));
                assert_eq!(looked_up(tunnel), tunnel, "{tunnel} has {private}");
            }
        }
    }
}
