//! The name of the claim that lists contents, where an auth service cannot name it `content_id`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The longest name, in bytes.
const BYTES_MAX: usize = 256;

/// The claims that mean something else, here or everywhere (RFC 7519 section 4.1).
const TAKEN: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "cnf",
    "amr",
    "scope",
    "region",
    "policy_id",
    "session_id",
    "entitlement_id",
    "authorized_kids",
    "license_not_after",
];

/// The name of a claim, which may be a URL: `https://reelkey.example/content_id`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ClaimName(String);

/// The text is not the name of a claim that can list contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a content claim is 1 to 256 visible ASCII characters, and no claim that means something else, such as sub or scope"
)]
pub struct InvalidClaimName;

impl ClaimName {
    /// The name, compared byte by byte.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClaimName {
    type Err = InvalidClaimName;

    fn from_str(text: &str) -> Result<Self, InvalidClaimName> {
        let fits = (1..=BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !TAKEN.contains(&text);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidClaimName) }
    }
}

impl TryFrom<String> for ClaimName {
    type Error = InvalidClaimName;

    fn try_from(text: String) -> Result<Self, InvalidClaimName> {
        text.parse()
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_means_something_else_names_no_contents() {
        for good in ["content_id", "films", "https://reelkey.example/content_id", "extension_x-y"] {
            assert_eq!(good.parse::<ClaimName>().unwrap().as_str(), good);
        }
        let long = "x".repeat(257);
        for wrong in ["", "a b", "é", "sub", "scope", "license_not_after", &*long] {
            assert_eq!(wrong.parse::<ClaimName>(), Err(InvalidClaimName), "{wrong}");
        }
    }
}
