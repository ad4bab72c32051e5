//! What a verified authorization token permits.

use std::collections::BTreeSet;
use std::fmt;

use reelkey_client::key::KeyId;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::domain::content::{ContentId, ContentPattern};
use crate::domain::region::Region;

/// A viewer's account: its issuer and its name there. The same name at two issuers is two accounts.
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

/// The claims of a token that decisions need, and the contents that its issuer may authorize.
#[derive(Clone, Debug)]
pub struct Entitlement {
    /// The viewer's account.
    pub account: Account,
    /// The contents that the issuer may authorize at all.
    pub issuer_content: Vec<ContentPattern>,
    /// The contents that the token names, if it names any.
    pub content: Option<Vec<ContentPattern>>,
    /// The keys that the token names, if it names any.
    pub kids: Option<BTreeSet<KeyId>>,
    /// The policy that the token asks for, if any.
    pub policy_id: Option<String>,
    /// The purchase or rental, "" if the token names none.
    pub entitlement_id: String,
    /// The latest end of the license.
    pub license_not_after: Option<UnixTime>,
    /// The viewer's region, as the issuer states it.
    pub region: Option<Region>,
    /// The only device that may use the token.
    pub device: Option<Thumbprint>,
    /// How the viewer signed in (RFC 8176).
    pub amr: Vec<String>,
    /// Whether it may list, add and remove the account's devices (`scope`, RFC 9068 section 2.2.3).
    pub manages_devices: bool,
}

impl Entitlement {
    /// Whether the viewer may ask for the content by name: the issuer may authorize it, and the token names it or
    /// names only keys.
    #[must_use]
    pub fn permits_content(&self, content: &ContentId) -> bool {
        let issuer = self.issuer_content.iter().any(|pattern| pattern.matches(content));
        let token = self
            .content
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(content)));
        issuer && token
    }

    /// Whether the viewer may have this key of this content. If the token names both contents and keys, both must
    /// permit it.
    #[must_use]
    pub fn permits_key(&self, kid: KeyId, content: &ContentId) -> bool {
        let named = self.kids.as_ref().is_none_or(|kids| kids.contains(&kid));
        // A token that names neither was refused when it was read. If one came here, it permits nothing.
        let names_something = self.content.is_some() || self.kids.is_some();
        names_something && named && self.permits_content(content)
    }
}
