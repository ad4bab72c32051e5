//! Web origins (RFC 6454) whose pages may send requests.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The longest host and port, in bytes.
const HOST_BYTES_MAX: usize = 255;

/// An origin, for example `https://player.example`. It has a port only if that is not the scheme's default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(String);

/// The text is not an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin is https://HOST or https://HOST:PORT, in lower case, without a path; * is not allowed"
)]
pub struct InvalidOrigin;

impl Origin {
    /// The text, as browsers send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let fits = |host: &&str| !host.is_empty() && host.len() <= HOST_BYTES_MAX;
        let host = host.filter(fits).ok_or(InvalidOrigin)?;
        let is_written_so = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte)
        };
        let usual = if text.starts_with("https:") { ":443" } else { ":80" };
        if host.bytes().all(is_written_so) && !host.ends_with(usual) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOrigin)
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        text.parse()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_an_unusual_port() {
        for good in ["https://player.example", "http://localhost:8000", "http://[::1]:8000"] {
            good.parse::<Origin>().unwrap();
        }
        for wrong in [
            "*",
            "null",
            "",
            "player.example",
            "https://",
            "https://a/",
            "https://A.example",
            "https://a.example:443",
            "http://a.example:80",
            "ftp://a",
            "https://a b",
        ] {
            assert_eq!(wrong.parse::<Origin>(), Err(InvalidOrigin), "{wrong}");
        }
    }
}
