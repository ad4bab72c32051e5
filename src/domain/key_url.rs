//! The address that an issuer's keys are fetched from: HTTPS, or plain HTTP of this machine itself.
//!
//! It is read strictly, so that what is checked here is what is connected to: no user names, no fragments, no characters
//! that programs read in different ways.
//!
//! Deliberately absent: names that lead somewhere else than they seem to. Where the name leads is decided when it is
//! looked up, and only the operator names addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

/// The longest address, in bytes.
const BYTES_MAX: usize = 2048;

/// The longest host name (RFC 1035 section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// An address that keys are fetched from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyUrl {
    text: String,
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// The text is not such an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "keys are fetched from https://HOST/PATH, in ASCII, without a user name and without #; http:// is for localhost, \
     127.0.0.0/8 and [::1] alone"
)]
pub struct InvalidKeyUrl;

impl KeyUrl {
    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is HTTPS. Otherwise nothing but loopback addresses may be connected to.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header (RFC 9110 section 7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = if self.is_tls { 443 } else { 80 };
        let host = match self.host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => self.host.clone(),
        };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for KeyUrl {
    type Err = InvalidKeyUrl;

    fn from_str(text: &str) -> Result<Self, InvalidKeyUrl> {
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(InvalidKeyUrl),
        };
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
        if text.len() > BYTES_MAX || !rest.bytes().all(is_plain) {
            return Err(InvalidKeyUrl);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(InvalidKeyUrl)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = host_and_port(authority).ok_or(InvalidKeyUrl)?;
        let port = port.unwrap_or(if is_tls { 443 } else { 80 });
        if !is_tls && !is_this_machine(&host) {
            return Err(InvalidKeyUrl);
        }
        Ok(Self { text: text.to_owned(), is_tls, host, port, path })
    }
}

/// Splits a host from its port. An IPv6 address is in brackets (RFC 3986 section 3.2.2).
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            (host.parse::<Ipv6Addr>().ok()?.to_string(), rest)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (host, rest) = authority.split_at_checked(end)?;
            (name(host)?, rest)
        }
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port > 0)?)
        }
        None if rest.is_empty() => None,
        _ => return None,
    };
    Some((host, port))
}

/// A host name, in lower case. What looks like an IPv4 address is one in its usual form: `127.1` and `0x7f.1` are read
/// in different ways.
fn name(host: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(fits) {
        return None;
    }
    let last = host.trim_end_matches('.').rsplit('.').next()?;
    let is_number = last.starts_with(|first: char| first.is_ascii_digit())
        && last.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'x' || byte == b'X');
    if is_number && host.parse::<IpAddr>().is_err() {
        return None;
    }
    Some(host.to_ascii_lowercase())
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl TryFrom<String> for KeyUrl {
    type Error = InvalidKeyUrl;

    fn try_from(text: String) -> Result<Self, InvalidKeyUrl> {
        text.parse()
    }
}

impl fmt::Display for KeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(bool, String, u16, String)> {
        let url: KeyUrl = text.parse().ok()?;
        Some((url.is_tls, url.host, url.port, url.path))
    }

    #[test]
    fn an_address_is_taken_apart() {
        let is = |tls, host: &str, port, path: &str| Some((tls, host.into(), port, path.into()));
        for (text, expected) in [
            ("https://auth.example/jwks", is(true, "auth.example", 443, "/jwks")),
            ("https://Auth.Example:8443/a/b?c=d", is(true, "auth.example", 8443, "/a/b?c=d")),
            ("https://auth.example?keys", is(true, "auth.example", 443, "/?keys")),
            ("https://10.0.0.7/x", is(true, "10.0.0.7", 443, "/x")),
            ("https://[2001:db8::1]:444", is(true, "2001:db8::1", 444, "/")),
            ("http://localhost:8080/jwks", is(false, "localhost", 8080, "/jwks")),
            ("http://127.8.9.1/", is(false, "127.8.9.1", 80, "/")),
            ("http://[::1]:3000/", is(false, "::1", 3000, "/")),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn whatever_could_be_read_in_two_ways_is_refused() {
        for wrong in [
            "",
            "auth.example/jwks",
            "ftp://auth.example",
            "HTTPS://auth.example",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://:443/x",
            "https://a.example:/x",
            "https://a.example:0/x",
            "https://a.example:65536/x",
            "https://a.example:+1/x",
            "https://user@a.example/",
            "https://user:secret@a.example/",
            "https://a.example/#x",
            "https://a.example/ x",
            "https://a.example/\r\nHost: b",
            "https://a.example\\@b.example/",
            "https://é.example/",
            "https://127.1/",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://[::1/",
            "https://[fe80::1%25eth0]/",
            "https://::1/",
        ] {
            assert_eq!(wrong.parse::<KeyUrl>(), Err(InvalidKeyUrl), "{wrong}");
        }
        assert_eq!(format!("https://a/{}", "x".repeat(2048)).parse::<KeyUrl>(), Err(InvalidKeyUrl));
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for wrong in [
            "http://auth.example/",
            "http://10.0.0.1/",
            "http://169.254.169.254/latest",
            "http://localhost.example/",
            "http://demo.localhost/",
            "http://[::ffff:10.0.0.1]/",
            "http://[::]/",
            "http://0.0.0.0/",
        ] {
            assert_eq!(wrong.parse::<KeyUrl>(), Err(InvalidKeyUrl), "{wrong}");
        }
    }

    #[test]
    fn the_host_header_names_an_unusual_port() {
        let of = |text: &str| text.parse::<KeyUrl>().unwrap().authority();
        assert_eq!(of("https://a.example:443/"), "a.example");
        assert_eq!(of("https://a.example:444/"), "a.example:444");
        assert_eq!(of("http://[::1]:80/"), "[::1]");
        assert_eq!(of("http://[::1]:81/"), "[::1]:81");
    }
}
