//! The first question of a decision: which one content does the request ask for?
//!
//! A request names keys, a content or both, and the token permits some of them. What it does not permit is treated as
//! if it did not exist, so nobody learns what exists. The rest must belong to one content.

use std::collections::BTreeSet;

use reelkey_client::key::KeyId;

use crate::domain::content::ContentId;
use crate::domain::denial::{Denial, listed};
use crate::domain::entitlement::Entitlement;
use crate::domain::refusal::Refusal;

/// What the request names, and the content of each named key.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The named content ID. It may be malformed.
    pub content_id: Option<String>,
    /// The named keys that the store has, each with its content.
    pub known_kids: Vec<(KeyId, ContentId)>,
    /// Whether the request names any key, known or not.
    pub names_kids: bool,
}

/// The one content, and which of its keys are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The content ID.
    pub content: ContentId,
    /// The named keys that the token permits. Empty if the request is for the whole content.
    pub kids: BTreeSet<KeyId>,
}

/// Finds the one content.
///
/// # Errors
/// [`Refusal::NotAuthorized`] where nothing that was named is both known and permitted, and
/// [`Refusal::BadRequest`] where what is permitted is not one title. The title itself may still turn
/// out to be unknown.
pub fn scope(asked: &Asked, entitlement: &Entitlement) -> Result<Scope, Denial> {
    let named_content = match &asked.content_id {
        None => None,
        Some(text) => {
            let refuse = |expected: String| {
                Denial::new(Refusal::NotAuthorized, "content_id", expected, text.clone())
            };
            let content: ContentId = text.parse().map_err(|_| refuse("a content ID".into()))?;
            if !entitlement.permits_content(&content) {
                let patterns = entitlement.content.iter().flatten();
                let allowed = format!(
                    "{} by the token, {} by its issuer",
                    listed(patterns),
                    listed(&entitlement.issuer_content)
                );
                return Err(refuse(allowed));
            }
            Some(content)
        }
    };
    let permitted = || {
        let known = asked.known_kids.iter();
        known.filter(|(kid, content)| entitlement.permits_key(*kid, content))
    };
    if asked.names_kids && permitted().next().is_none() {
        let known = asked.known_kids.iter().map(|(kid, content)| format!("{kid} of {content}"));
        let expected = "a key that is known and that the token permits";
        let actual = format!("known: {}", listed(known));
        return Err(Denial::new(Refusal::NotAuthorized, "kids", expected, actual));
    }
    let mut contents: BTreeSet<&ContentId> = permitted().map(|(_, content)| content).collect();
    contents.extend(&named_content);
    let mut contents = contents.into_iter();
    match (contents.next(), contents.next()) {
        (Some(content), None) => {
            Ok(Scope { content: content.clone(), kids: permitted().map(|(kid, _)| *kid).collect() })
        }
        (first, second) => {
            let actual = listed(first.into_iter().chain(second));
            Err(Denial::new(Refusal::BadRequest, "content_id", "one content", actual))
        }
    }
}
