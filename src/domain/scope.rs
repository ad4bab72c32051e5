//! The first question of a decision: which one title is asked for?
//!
//! A request names keys, a title or both, and a token permits some of them. What it does not permit is
//! dropped as if it did not exist, so that nobody learns what exists. What is left has to be one title.

use std::collections::BTreeSet;

use reelkey_client::key::KeyId;

use crate::domain::content::ContentId;
use crate::domain::denial::{Denial, listed};
use crate::domain::entitlement::Entitlement;
use crate::domain::refusal::Refusal;

/// What was asked for, and to which title each named key belongs.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The named title, if it is a content ID at all.
    pub content_id: Option<String>,
    /// The named keys that the store knows, each with its title.
    pub known_kids: Vec<(KeyId, ContentId)>,
    /// Whether any key was named, known or not.
    pub names_kids: bool,
}

/// The one title, and which of its keys were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The title.
    pub content: ContentId,
    /// The named keys that the token permits; empty where the title was asked for as a whole.
    pub kids: BTreeSet<KeyId>,
}

/// Finds the one title.
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
