//! The trusted issuers of authorization tokens: their keys, their algorithms, and the contents that they may
//! authorize.

use std::collections::BTreeMap;

use crate::crypto::issuer_key::Algorithm;
use crate::crypto::issuer_keys::IssuerKeys;
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;

/// The longest lifetime of a token, unless the operator sets another.
pub const LONGEST_LIFE_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// An issuer that the operator configured.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, compared byte by byte.
    pub iss: String,
    /// Its verification keys.
    pub keys: IssuerKeys,
    /// The algorithms that it may use. The token's `alg` alone never decides.
    pub algorithms: Vec<Algorithm>,
    /// The value that `aud` must contain.
    pub audience: String,
    /// The longest time between `iat` and `exp`.
    pub longest_life: Duration,
    /// The contents that it may authorize.
    pub content: Vec<ContentPattern>,
}

/// The configured issuers, by `iss`.
#[derive(Clone, Debug, Default)]
pub struct Issuers(BTreeMap<String, Issuer>);

impl Issuers {
    /// The issuer with this `iss`.
    #[must_use]
    pub fn find(&self, iss: &str) -> Option<&Issuer> {
        self.0.get(iss)
    }
}

impl FromIterator<Issuer> for Issuers {
    fn from_iter<I: IntoIterator<Item = Issuer>>(issuers: I) -> Self {
        Self(issuers.into_iter().map(|issuer| (issuer.iss.clone(), issuer)).collect())
    }
}
