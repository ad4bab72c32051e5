//! The first half of a decision: what the token permits of a content, and the policy that applies.

use crate::domain::denial::{Denial, listed};
use crate::domain::entitlement::Entitlement;
use crate::domain::period;
use crate::domain::refusal::Refusal;
use crate::domain::request::{Request, Title, TitleKey};

/// A content that the token permits, its permitted keys, and the policy that applies. Only [`authorize`] makes it, so
/// no policy is applied before authorization.
#[derive(Clone, Debug)]
pub struct Authorized<'a> {
    pub(super) title: &'a Title,
    pub(super) keys: Vec<TitleKey>,
    policy_id: &'a str,
}

impl<'a> Authorized<'a> {
    /// The name of the policy that applies.
    #[must_use]
    pub fn policy_id(&self) -> &'a str {
        self.policy_id
    }
}

/// Checks the token against the content, and picks the policy.
///
/// # Errors
/// [`Refusal::NotAuthorized`] if the token permits no key of the content, or names a policy that the content does not
/// have. [`Refusal::KeyNotFound`] if all these keys are retired, or the content has none.
pub fn authorize<'a>(
    request: &Request,
    title: &'a Title,
    token: &Entitlement,
) -> Result<Authorized<'a>, Denial> {
    let keys = permitted_keys(request, title, token)?;
    let mut names = title.policies.iter();
    let chosen = match &token.policy_id {
        None => names.next(),
        Some(wanted) => names.find(|name| *name == wanted),
    };
    let policy_id = chosen.ok_or_else(|| {
        let named = token.policy_id.clone().unwrap_or_default();
        Denial::new(Refusal::NotAuthorized, "policy_id", listed(&title.policies), named)
    })?;
    Ok(Authorized { title, keys, policy_id })
}

/// Every active key of the content that the token permits: a player that names one needs the others too. Of the keys
/// with a crypto period, those of the current and the next period, and those that the request names.
fn permitted_keys(
    request: &Request,
    title: &Title,
    token: &Entitlement,
) -> Result<Vec<TitleKey>, Denial> {
    let permitted = |key: &&TitleKey| token.permits_key(key.kid, &title.content);
    // A token that names keys must not reveal that a content without keys exists.
    let nothing_named = title.keys.is_empty() && token.kids.is_none();
    if !nothing_named && title.keys.iter().find(permitted).is_none() {
        let keys = title.keys.iter().map(|key| key.kid);
        let allowed = listed(token.kids.iter().flatten());
        return Err(Denial::new(Refusal::NotAuthorized, "authorized_kids", allowed, listed(keys)));
    }
    let is_wanted = |key: &&TitleKey| {
        let of_time = key.period.is_none_or(|period| is_of_time(title, period));
        of_time || request.kids.contains(&key.kid)
    };
    let active: Vec<_> = title
        .keys
        .iter()
        .filter(permitted)
        .filter(|key| key.active)
        .filter(is_wanted)
        .copied()
        .collect();
    let named_left = active.iter().any(|key| request.kids.contains(&key.kid));
    if active.is_empty() || !(request.kids.is_empty() || named_left) {
        let actual = match title.keys.len() {
            0 => "the content has no keys".into(),
            keys => format!("{} of {keys} keys are active and of this period", active.len()),
        };
        return Err(Denial::new(Refusal::KeyNotFound, "keys", "an active key", actual));
    }
    Ok(active)
}

/// Whether this is the current or the next crypto period: by the clock, or else of the two highest that have active keys.
fn is_of_time(title: &Title, period: u32) -> bool {
    if let Some(current) = title.current_period {
        return period == current || Some(period) == current.checked_add(1);
    }
    let active = title.keys.iter().filter(|key| key.active);
    Some(period) >= period::current(active.filter_map(|key| key.period))
}
