//! Who may issue authorization tokens, with which keys, and for which titles.

use std::collections::BTreeMap;

use crate::crypto::issuer_keys::{Algorithm, IssuerKeys};
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;

/// The longest life of a token where the operator sets no other.
pub const LONGEST_LIFE_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// An issuer that the operator configured.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, compared byte by byte.
    pub iss: String,
    /// Its verification keys.
    pub keys: IssuerKeys,
    /// What it may sign with; never what a token says alone.
    pub algorithms: Vec<Algorithm>,
    /// What `aud` has to contain.
    pub audience: String,
    /// The most that may lie between `iat` and `exp`.
    pub longest_life: Duration,
    /// The titles that it may speak for.
    pub content: Vec<ContentPattern>,
}

/// The configured issuers, by `iss`.
#[derive(Clone, Debug, Default)]
pub struct Issuers(BTreeMap<String, Issuer>);

impl Issuers {
    /// The issuer of that name.
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
