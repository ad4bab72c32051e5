//! Content IDs, and patterns that match them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest content ID and the longest pattern, in bytes.
const BYTES_MAX: usize = 128;

/// A content ID: 1 to 128 of `A-Za-z0-9._~:@+=,-` in segments joined by `/`. No segment is empty, `.` or `..`.
/// Compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ContentId(String);

/// The text is not a content ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a content ID is 1 to 128 of A-Z a-z 0-9 . _ ~ : @ + = , - in segments joined by '/', none of \
     them empty, '.' or '..'"
)]
pub struct InvalidContentId;

impl ContentId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContentId {
    type Err = InvalidContentId;

    fn from_str(text: &str) -> Result<Self, InvalidContentId> {
        let fits = text.len() <= BYTES_MAX && text.split('/').all(is_segment);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidContentId) }
    }
}

impl TryFrom<String> for ContentId {
    type Error = InvalidContentId;

    fn try_from(text: String) -> Result<Self, InvalidContentId> {
        text.parse()
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_segment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:@+=,-".contains(&byte);
    !matches!(text, "" | "." | "..") && text.bytes().all(allowed)
}

/// Matches content IDs: exactly one, all below a prefix (`movies/*`, whole segments), or all (`*`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ContentPattern {
    /// Every content.
    Any,
    /// The contents below these segments, but not the segments themselves.
    Below(ContentId),
    /// One content.
    Exactly(ContentId),
}

/// The text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a content pattern is a content ID, 'prefix/*' or '*'")]
pub struct InvalidContentPattern;

impl ContentPattern {
    /// Whether the pattern matches `content`.
    #[must_use]
    pub fn matches(&self, content: &ContentId) -> bool {
        match self {
            Self::Any => true,
            Self::Below(prefix) => {
                content.0.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            Self::Exactly(this) => this == content,
        }
    }
}

impl ContentPattern {
    /// Whether there can be a content that both patterns match.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exactly(content), pattern) | (pattern, Self::Exactly(content)) => {
                pattern.matches(content)
            }
            (Self::Below(one), Self::Below(two)) => {
                one == two || self.matches(two) || other.matches(one)
            }
        }
    }
}

impl FromStr for ContentPattern {
    type Err = InvalidContentPattern;

    fn from_str(text: &str) -> Result<Self, InvalidContentPattern> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (id, pattern): (_, fn(ContentId) -> Self) = match text.strip_suffix("/*") {
            Some(prefix) => (prefix, Self::Below),
            None => (text, Self::Exactly),
        };
        id.parse().map(pattern).map_err(|InvalidContentId| InvalidContentPattern)
    }
}

impl TryFrom<String> for ContentPattern {
    type Error = InvalidContentPattern;

    fn try_from(text: String) -> Result<Self, InvalidContentPattern> {
        text.parse()
    }
}

impl From<ContentPattern> for String {
    fn from(pattern: ContentPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for ContentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}/*"),
            Self::Exactly(content) => content.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_id_is_segments_of_safe_characters() {
        for fine in ["a", "movies/bunny", "a:b@c+d=e,f-g~h._", &"x".repeat(128), "..."] {
            assert!(fine.parse::<ContentId>().is_ok(), "{fine}");
        }
        let long = "x".repeat(129);
        for wrong in
            ["", "/", "a/", "/a", "a//b", "a/../b", ".", "a/.", "a b", "é", "a\0", "a*", &long]
        {
            assert_eq!(wrong.parse::<ContentId>(), Err(InvalidContentId), "{wrong:?}");
        }
    }

    #[test]
    fn a_pattern_matches_whole_segments() {
        let matches = |pattern: &str, content: &str| {
            pattern.parse::<ContentPattern>().unwrap().matches(&content.parse().unwrap())
        };
        assert!(matches("*", "movies/bunny"));
        assert!(matches("movies/*", "movies/bunny"));
        assert!(matches("movies/*", "movies/a/b"));
        assert!(matches("movies/bunny", "movies/bunny"));
        assert!(!matches("movies/*", "movies"));
        assert!(!matches("movies/*", "movies2/bunny"));
        assert!(!matches("movies/bun", "movies/bunny"));
        assert!(!matches("movies/bunny", "Movies/bunny"));
        let overlap = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| text.parse::<ContentPattern>().unwrap());
            assert_eq!(one.overlaps(&other), other.overlaps(&one));
            one.overlaps(&other)
        };
        assert!(overlap("*", "movies/bunny") && overlap("movies/*", "movies/a/*"));
        assert!(overlap("movies/*", "movies/bunny") && overlap("movies/*", "movies/*"));
        assert!(!overlap("movies/*", "series/*") && !overlap("movies/*", "movies"));
        assert!(!overlap("movies/*", "movies2/*") && !overlap("movies/a", "movies/b"));
        for wrong in ["", "/*", "**", "a*", "a/*/b", "*/a", "a/**"] {
            assert!(wrong.parse::<ContentPattern>().is_err(), "{wrong}");
        }
    }
}
