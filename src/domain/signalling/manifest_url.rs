//! A URL that a manifest or a playlist can name.
//!
//! Deliberately absent: whether anything answers there.

use std::fmt;
use std::str::FromStr;

/// Longer URLs are refused, in bytes.
const BYTES_MAX: usize = 2048;

/// A URL of printable ASCII characters, without quotation marks and angle brackets, so that it can stand in an attribute and
/// between tags. Any scheme: players of Apple's read `skd://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestUrl(String);

/// The text is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must be a URL such as https://HOST/PATH, at most 2048 printable ASCII characters without quotation marks and angle brackets"
)]
pub struct InvalidManifestUrl;

impl ManifestUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL as text of an XML element.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.0.replace('&', "&amp;")
    }
}

impl FromStr for ManifestUrl {
    type Err = InvalidManifestUrl;

    fn from_str(text: &str) -> Result<Self, InvalidManifestUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidManifestUrl)?;
        // RFC 3986, 3.1.
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let has_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte);
        let is_url = has_scheme && scheme.chars().all(is_of_scheme) && !rest.is_empty();
        if is_url && rest.bytes().all(is_plain) && text.len() <= BYTES_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidManifestUrl)
        }
    }
}

impl fmt::Display for ManifestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_stays_inside_its_attribute_and_its_element() {
        for right in ["https://drm.example/a?b=1&c='2'", "skd://asset1", "HTTP://x"] {
            assert_eq!(right.parse::<ManifestUrl>().unwrap().as_str(), right);
        }
        let url: ManifestUrl = "https://a.example/?b=1&c=2".parse().unwrap();
        assert_eq!(url.to_xml(), "https://a.example/?b=1&amp;c=2");
        let long = format!("https://{}", "a".repeat(BYTES_MAX));
        for wrong in [
            "",
            "drm.example",
            "://x",
            "https://",
            "1s://x",
            "h s://x",
            "https://a b",
            "https://a\"",
            "https://a\n",
            "https://<",
            "https://\u{e9}",
            &long,
        ] {
            assert_eq!(wrong.parse::<ManifestUrl>(), Err(InvalidManifestUrl), "{wrong}");
        }
    }
}
