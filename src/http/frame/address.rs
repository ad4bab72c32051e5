//! Finds the address of the client that sent a request. No other place does this.
//!
//! [`Proxies::client`] is a pure function of the connection's other end, the request's header fields and the
//! configuration. The header fields of a peer that is no trusted proxy are never looked at.
//!
//! One file because it is one function: half of it is the list of traps that its tests try.
//!
//! Deliberately absent: what the answer is used for, and any log line. Header fields are the client's text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::network::Network;

/// The other end of a player's connection, in the extensions of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The certificates that a client showed, its own first: DER. In the extensions of the requests of its connection. That it
/// holds the first one's key has been verified, and nothing else.
#[derive(Clone, Debug)]
pub struct ClientCertificates(pub Arc<[Vec<u8>]>);

/// The connection of a request has TLS. In the extensions of its requests.
#[derive(Clone, Copy, Debug)]
pub struct Secured;

/// The other end of an operator's connection, in the extensions of its requests, as the kernel noted it when the
/// connection was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPeer {
    /// The user's id.
    pub uid: u32,
    /// The process's id, where the system tells it. That process may have ended since.
    pub pid: Option<i32>,
}

/// The client that sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The client's address. An IPv4 address is never in its IPv6 form.
    Known(IpAddr),
    /// A trusted proxy did not name it, or not in a form that can be read.
    Unknown,
}

impl Client {
    /// The address, where it is known.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Unknown => None,
        }
    }

    /// What the client is counted as; `None` for this machine and for a client that nobody named.
    pub(crate) fn counted(self) -> Option<Neighbour> {
        match self {
            Self::Known(address) if !address.is_loopback() => Some(Neighbour::of(address)),
            _ => None,
        }
    }
}

/// What is counted as one client: an IPv4 address, or the /64 of an IPv6 address, which one household or one machine
/// has at its disposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Neighbour(IpAddr);

impl Neighbour {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
            address => Self(address),
        }
    }
}

/// The header field by which proxies name the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl FromStr for ProxyHeader {
    type Err = UnknownHeader;

    fn from_str(text: &str) -> Result<Self, UnknownHeader> {
        [("x-forwarded-for", Self::XForwardedFor), ("forwarded", Self::Forwarded)]
            .into_iter()
            .find_map(|(name, header)| text.eq_ignore_ascii_case(name).then_some(header))
            .ok_or(UnknownHeader)
    }
}

/// No header field that proxies are believed by.
#[derive(Debug, thiserror::Error)]
#[error("header is \"X-Forwarded-For\" or \"Forwarded\"")]
pub struct UnknownHeader;

/// Which proxies are believed when they name the client, and by which header field.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Where the proxies are.
    pub trusted: Vec<Network>,
    /// The field that they set. The other one is ignored.
    pub header: ProxyHeader,
}

impl Proxies {
    /// Whether what comes from this address is a proxy's word.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The client whose request came over a connection from `peer` with these `headers`.
    ///
    /// A trusted proxy appends the address that it was asked from. So the entries are walked from the right, over all
    /// instances of the field, and the first that is no trusted proxy is the client; what stands left of it is the
    /// client's own text. If every entry is a trusted proxy, the leftmost is the client. An entry that cannot be read
    /// ends the walk: nobody knows who is behind it.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return Client::Known(peer);
        }
        let mut client = Client::Unknown;
        for value in headers.get_all(self.header.name()).iter().rev() {
            for entry in self.header.entries(value).into_iter().rev() {
                match entry {
                    Some(address) if self.trusts(address) => client = Client::Known(address),
                    Some(address) => return Client::Known(address),
                    None => return Client::Unknown,
                }
            }
        }
        client
    }
}

impl ProxyHeader {
    fn name(self) -> HeaderName {
        HeaderName::from_static(match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        })
    }

    /// The addresses that one instance lists; `None` in place of one that cannot be read. Empty elements of a list
    /// count for nothing (RFC 9110 section 5.6.1.2).
    fn entries(self, value: &HeaderValue) -> Vec<Option<IpAddr>> {
        let Ok(text) = value.to_str() else { return vec![None] };
        match self {
            Self::XForwardedFor => {
                let entries = text.split(',').map(trim).filter(|entry| !entry.is_empty());
                entries.map(|entry| plain_node(entry).or_else(|| node(entry))).collect()
            }
            Self::Forwarded => {
                let Some(elements) = split(text, ',') else { return vec![None] };
                let elements = elements.into_iter().map(trim).filter(|text| !text.is_empty());
                elements.map(forwarded_for).collect()
            }
        }
    }
}

/// The `for` of one element of `Forwarded` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, ';')?.into_iter().map(trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            found = Some(unquoted(value)?);
        }
    }
    node(&found?)
}

/// Splits at `separator` outside of quoted strings; `None` where a quoted string never ends.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped, mut from) = (false, false, 0);
    let mut parts = Vec::new();
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            char if char == separator && !quoted => {
                parts.push(text.get(from..at)?);
                from = at + char.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(from..)?);
    (!quoted).then_some(parts)
}

/// A token, or what a quoted string stands for (RFC 9110 section 5.6.4).
fn unquoted(value: &str) -> Option<String> {
    let Some(inside) = value.strip_prefix('"') else {
        return (!value.contains('"')).then(|| value.to_owned());
    };
    let mut chars = inside.strip_suffix('"')?.chars();
    let mut plain = String::new();
    while let Some(char) = chars.next() {
        match char {
            '\\' => plain.push(chars.next()?),
            '"' => return None,
            char => plain.push(char),
        }
    }
    Some(plain)
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80` (RFC 7239 section 6); also a port that the proxy
/// hides, `192.0.2.1:_port`.
fn node(text: &str) -> Option<IpAddr> {
    let (address, rest): (IpAddr, _) = match text.strip_prefix('[') {
        Some(inside) => {
            let (address, rest) = inside.split_once(']')?;
            (address.parse::<Ipv6Addr>().ok()?.into(), rest)
        }
        None => {
            let (address, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            (address.parse::<Ipv4Addr>().ok()?.into(), rest)
        }
    };
    (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then(|| address.to_canonical())
}

fn is_port(text: &str) -> bool {
    let hidden = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    match text.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.chars().all(hidden),
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

/// An address and nothing else. `X-Forwarded-For` has IPv6 addresses without brackets.
fn plain_node(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Without the white space of HTTP.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ProxyHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "2001:db8:aaaa::/48", "127.0.0.1"];
        Proxies { trusted: trusted.map(|text| text.parse().unwrap()).into(), header }
    }

    fn client(header: ProxyHeader, peer: &str, instances: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in instances {
            headers.append(header.name(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let other = match header {
            ProxyHeader::XForwardedFor => ("forwarded", "for=6.6.6.6"),
            ProxyHeader::Forwarded => ("x-forwarded-for", "6.6.6.6"),
        };
        headers.append(other.0, HeaderValue::from_static(other.1));
        match proxies(header).client(peer.parse().unwrap(), &headers) {
            Client::Known(address) => address.to_string(),
            Client::Unknown => "unknown".into(),
        }
    }

    fn list(instances: &[&str]) -> String {
        client(ProxyHeader::XForwardedFor, "10.0.0.1", instances)
    }

    fn forwarded(instances: &[&str]) -> String {
        client(ProxyHeader::Forwarded, "10.0.0.1", instances)
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_client_whatever_it_says() {
        for header in [ProxyHeader::XForwardedFor, ProxyHeader::Forwarded] {
            let says = ["1.1.1.1", "for=1.1.1.1"];
            assert_eq!(client(header, "192.0.2.9", &says), "192.0.2.9");
            assert_eq!(client(header, "::ffff:192.0.2.9", &says), "192.0.2.9");
            assert_eq!(client(header, "2001:db8:bbbb::1", &says), "2001:db8:bbbb::1");
        }
        let none = Proxies::default();
        let peer = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(none.client(peer, &HeaderMap::new()), Client::Known(peer));
    }

    #[test]
    fn a_trusted_proxy_in_the_form_of_ipv6_is_the_same_proxy() {
        assert_eq!(client(ProxyHeader::XForwardedFor, "::ffff:10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(list(&["1.1.1.1, ::ffff:10.0.0.2"]), "1.1.1.1");
        assert_eq!(list(&["::ffff:1.1.1.1"]), "1.1.1.1");
        assert_eq!(list(&["[::ffff:1.1.1.1]:80"]), "1.1.1.1");
        assert_eq!(forwarded(&["for=\"[::ffff:1.1.1.1]\""]), "1.1.1.1");
    }

    #[test]
    fn the_entries_are_walked_from_the_right_over_all_instances() {
        assert_eq!(list(&["9.9.9.9, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(list(&["9.9.9.9", "1.1.1.1"]), "1.1.1.1");
        assert_eq!(
            list(&["9.9.9.9, 1.1.1.1", "10.2.3.4", "10.9.9.9, 2001:db8:aaaa::5"]),
            "1.1.1.1"
        );
        assert_eq!(forwarded(&["for=9.9.9.9, for=1.1.1.1"]), "1.1.1.1");
        assert_eq!(
            forwarded(&["for=9.9.9.9;by=10.0.0.1", "for=1.1.1.1", "for=10.1.1.1"]),
            "1.1.1.1"
        );
    }

    #[test]
    fn what_the_client_wrote_left_of_itself_is_not_read() {
        for spoofed in ["garbage", "unknown", "\"", "10.0.0.7", "for=\"", "127.0.0.1", "\u{ff}"] {
            assert_eq!(list(&[spoofed, "1.1.1.1"]), "1.1.1.1", "{spoofed}");
            assert_eq!(forwarded(&[spoofed, "for=1.1.1.1"]), "1.1.1.1", "{spoofed}");
        }
        assert_eq!(list(&["garbage, 10.0.0.7, 1.1.1.1"]), "1.1.1.1");
        // A quoted string that the client opened and the proxy's entry cannot close.
        assert_eq!(forwarded(&["for=\"9.9.9.9, for=1.1.1.1"]), "unknown");
        assert_eq!(forwarded(&["for=\"9.9.9.9\\\", for=1.1.1.1"]), "unknown");
    }

    #[test]
    fn trusted_proxies_on_the_way_are_passed_and_the_leftmost_is_the_client_if_all_are() {
        assert_eq!(list(&["1.1.1.1, 10.3.3.3, 10.2.2.2"]), "1.1.1.1");
        assert_eq!(list(&["10.3.3.3, 10.2.2.2"]), "10.3.3.3");
        assert_eq!(forwarded(&["for=10.3.3.3", "for=10.2.2.2"]), "10.3.3.3");
        // A proxy that is not trusted is as far as one can see.
        assert_eq!(list(&["1.1.1.1, 192.0.2.1, 10.2.2.2"]), "192.0.2.1");
    }

    #[test]
    fn an_entry_that_names_nobody_ends_the_walk() {
        for hidden in
            ["unknown", "_hidden", "garbage", "1.1.1", "1.1.1.1.1", "01.1.1.1", "1.1.1.1:"]
        {
            assert_eq!(list(&[&format!("9.9.9.9, {hidden}, 10.0.0.2")]), "unknown", "{hidden}");
            let element = format!("for=9.9.9.9, for=\"{hidden}\", for=10.0.0.2");
            assert_eq!(forwarded(&[&element]), "unknown", "{hidden}");
        }
        for hidden in ["[1.1.1.1]", "[2001:db8::1", "2001:db8::1]", "fe80::1%eth0", "1.1.1.1:99999"]
        {
            assert_eq!(list(&[hidden]), "unknown", "{hidden}");
            assert_eq!(forwarded(&[&format!("for=\"{hidden}\"")]), "unknown", "{hidden}");
        }
        for element in
            ["by=1.1.1.1", "for", "for=", "for=1.1.1.1;for=2.2.2.2", "for=1.1\"", "1.1.1.1"]
        {
            assert_eq!(forwarded(&[element]), "unknown", "{element}");
        }
        assert_eq!(list(&["\"1.1.1.1\""]), "unknown");
        assert_eq!((list(&[]), forwarded(&[])), ("unknown".into(), "unknown".into()));
        assert_eq!((list(&["", " , "]), forwarded(&[",,"])), ("unknown".into(), "unknown".into()));
    }

    #[test]
    fn empty_entries_and_white_space_count_for_nothing() {
        assert_eq!(list(&[" ,, \t1.1.1.1 ,\t, 10.0.0.3 , "]), "1.1.1.1");
        assert_eq!(list(&["1.1.1.1", "", " "]), "1.1.1.1");
        assert_eq!(forwarded(&[" , for=1.1.1.1\t;proto=https , ,for=10.0.0.3,"]), "1.1.1.1");
    }

    #[test]
    fn ports_and_brackets_are_taken_off() {
        for entry in ["1.1.1.1:80", "1.1.1.1:0"] {
            assert_eq!(list(&[entry]), "1.1.1.1", "{entry}");
            assert_eq!(forwarded(&[&format!("for=\"{entry}\"")]), "1.1.1.1", "{entry}");
        }
        for entry in ["[2001:db8::1]", "[2001:db8::1]:443", "[2001:DB8:0::1]:443"] {
            assert_eq!(list(&[entry]), "2001:db8::1", "{entry}");
            assert_eq!(forwarded(&[&format!("for=\"{entry}\"")]), "2001:db8::1", "{entry}");
        }
        assert_eq!(list(&["2001:db8::1"]), "2001:db8::1");
        assert_eq!(list(&["2001:db8:aaaa::1, [2001:db8:aaaa::2]:9"]), "2001:db8:aaaa::1");
        assert_eq!(forwarded(&["for=\"1.1.1.1:_hidden\""]), "1.1.1.1");
    }

    #[test]
    fn forwarded_is_read_with_its_quoted_strings_and_in_any_case() {
        assert_eq!(forwarded(&["FOR=\"1.1.1.1\""]), "1.1.1.1");
        assert_eq!(forwarded(&["; for=1.1.1.1 ;;proto=https;"]), "1.1.1.1");
        assert_eq!(forwarded(&["by=\"a,b;for=2.2.2.2\";for=1.1.1.1"]), "1.1.1.1");
        assert_eq!(forwarded(&["for=\"1.1.1\\.1\""]), "1.1.1.1");
        assert_eq!(forwarded(&["host=\"x\\\",for=2.2.2.2\";for=1.1.1.1"]), "1.1.1.1");
    }

    #[test]
    fn clients_are_counted_by_address_or_by_64_bits() {
        let counted = |text: &str| Client::Known(text.parse().unwrap()).counted();
        assert_eq!(counted("2001:db8::1"), counted("2001:db8::ffff:0:0:2"));
        assert_ne!(counted("2001:db8::1"), counted("2001:db8:0:1::1"));
        assert_ne!(counted("1.1.1.1"), counted("1.1.1.2"));
        assert_eq!(Neighbour::of("::ffff:1.1.1.1".parse().unwrap()), counted("1.1.1.1").unwrap());
        assert_eq!((counted("127.0.0.9"), counted("::1")), (None, None));
        assert_eq!(Client::Unknown.counted(), None);
    }
}
