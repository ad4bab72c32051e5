//! Picking the policy of a content for a token, and asking it.

use reelkey_client::time::UnixTime;

use crate::authority::in_force::Policies;
use crate::authority::issuing::facts::Facts;
use crate::authority::issuing::refused::Refused;
use crate::authority::stop::Stop;
use crate::authority::vault::fault::Fault;
use crate::domain::decision::{self, Decision};
use crate::domain::entitlement::Entitlement;

/// Decides on the facts. `policy` becomes the name of the policy that was asked, as soon as it is known.
///
/// # Errors
/// A refusal before any policy is asked, or [`Fault::NoPolicy`].
pub fn judge(
    facts: &Facts,
    token: &Entitlement,
    policies: &Policies,
    now: UnixTime,
    policy: &mut Option<String>,
) -> Result<Decision, Stop<Refused>> {
    let authorized = decision::authorize(&facts.request, &facts.title, token)?;
    let policy_id = authorized.policy_id();
    *policy = Some(policy_id.to_owned());
    let chosen = policies.get(policy_id).ok_or_else(|| Fault::NoPolicy {
        content: facts.title.content.clone(),
        policy: policy_id.to_owned(),
    })?;
    Ok(decision::decide(&facts.request, &authorized, chosen, token, now))
}
