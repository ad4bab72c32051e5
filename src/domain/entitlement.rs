//! What a verified authorization token entitles its bearer to.

use std::collections::BTreeSet;
use std::fmt;

use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::domain::content::{ContentId, ContentPattern};
use crate::domain::region::Region;

/// A viewer's account: who vouches for it, and its name there. Names of two issuers never meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// The issuer, `iss`.
    pub iss: String,
    /// The name, `sub`.
    pub sub: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.sub, self.iss)
    }
}

/// The claims of a token that decide, and what its issuer may speak for.
#[derive(Clone, Debug)]
pub struct Entitlement {
    /// Who is asking.
    pub account: Account,
    /// The titles that the issuer may speak for at all.
    pub issuer_content: Vec<ContentPattern>,
    /// The titles that the token names, if it names titles.
    pub content: Option<Vec<ContentPattern>>,
    /// The keys that the token names, if it names keys.
    pub kids: Option<BTreeSet<KeyId>>,
    /// The one policy to judge by.
    pub policy_id: Option<String>,
    /// Caps the license's `exp`.
    pub license_not_after: Option<UnixTime>,
    /// Where the issuer says that the viewer is.
    pub region: Option<Region>,
    /// The one device that the token is for.
    pub device: Option<Thumbprint>,
    /// How the viewer signed in (RFC 8176).
    pub amr: Vec<String>,
}

impl Entitlement {
    /// Whether the title may be asked for by name: the issuer speaks for it, and the token names it
    /// or names keys only.
    #[must_use]
    pub fn permits_content(&self, content: &ContentId) -> bool {
        let issuer = self.issuer_content.iter().any(|pattern| pattern.matches(content));
        let token = self
            .content
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(content)));
        issuer && token
    }

    /// Whether the key of that title may be had. Where the token names titles and keys, both have to
    /// allow it.
    #[must_use]
    pub fn permits_key(&self, kid: KeyId, content: &ContentId) -> bool {
        let named = self.kids.as_ref().is_none_or(|kids| kids.contains(&kid));
        // A token that names neither was refused when it was read; if one came here, it has nothing.
        let names_something = self.content.is_some() || self.kids.is_some();
        names_something && named && self.permits_content(content)
    }
}
