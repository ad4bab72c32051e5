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

/// Where players find the service: an origin, and a path if a proxy gives it one. Without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let wrong = "a public_url is https://HOST or https://HOST:PORT, in lower case, and a path if one is needed";
        let url = text.trim_end_matches('/');
        let host = url.find("://").map_or(0, |at| at.saturating_add(3));
        let path =
            url.get(host..).and_then(|rest| rest.find('/')).map(|at| at.saturating_add(host));
        let (origin, path) = url.split_at_checked(path.unwrap_or(url.len())).ok_or(wrong)?;
        origin.parse::<Origin>().map_err(|_| wrong)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if path.bytes().all(is_plain) { Ok(Self(url.to_owned())) } else { Err(wrong) }
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

    #[test]
    fn a_public_url_is_of_the_web_and_has_no_query() {
        let read = |text: &str| PublicUrl::try_from(text.to_owned()).map(|url| url.0);
        assert_eq!(read("https://drm.example/").as_deref(), Ok("https://drm.example"));
        assert_eq!(read("http://127.0.0.1:7420/drm").as_deref(), Ok("http://127.0.0.1:7420/drm"));
        for wrong in [
            "",
            "drm.example",
            "ftp://drm.example",
            "https://",
            "https://a/?x",
            "https://a/#x",
            "https://u:p@a",
            "https://a/\"",
            "https://a b",
            "https://*",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
