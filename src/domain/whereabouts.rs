//! The rule for regions: who says where the viewer is, and whether the content may be watched there.
//!
//! Of a token and an address that agree, the narrower region counts. What nobody knows is refused.

use reelkey_client::time::UnixTime;

use crate::domain::denial::{Denial, listed};
use crate::domain::entitlement::Entitlement;
use crate::domain::location::{Arrival, Located};
use crate::domain::policy::{Evidence, RegionRule};
use crate::domain::refusal::Refusal;
use crate::domain::region::Region;
use crate::domain::steps::Steps;

const REFUSAL: Refusal = Refusal::RegionDenied;

/// The name of the rule that the client's address and its region are known.
pub const ADDRESS_RULE: &str = "region.address";

/// Decides where the viewer is, and whether `rule` allows that at this time. Returns the regions, all true at once, the widest
/// first; without a rule, what the token says.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn judge(
    rule: Option<&RegionRule>,
    token: &Entitlement,
    arrival: Arrival<'_>,
    steps: &mut Steps,
) -> Result<Vec<Region>, Denial> {
    let Some(rule) = rule else { return Ok(token.region.iter().cloned().collect()) };
    let regions = match rule.evidence {
        Evidence::Token => vec![by_token(token, steps)?.clone()],
        Evidence::Ip => by_address(known(arrival, steps)?, steps)?.to_vec(),
        Evidence::TokenAndIp => {
            let claimed = by_token(token, steps)?;
            agreed(claimed, by_address(known(arrival, steps)?, steps)?, steps)?
        }
    };
    if rule.block_anonymous {
        let is_anonymous = known(arrival, steps)?.is_anonymous;
        let actual = if is_anonymous { "anonymous" } else { "not anonymous" };
        let rule = "region.block_vpn_and_tor";
        steps.check(!is_anonymous, REFUSAL, rule, "not anonymous", actual)?;
    }
    judge_lists(rule, &regions, steps)?;
    judge_blackouts(rule, &regions, arrival.at, steps)?;
    Ok(regions)
}

/// What is known of the client's address, which must itself be known.
fn known<'a>(arrival: Arrival<'a>, steps: &mut Steps) -> Result<&'a Located, Denial> {
    let expected = "a client whose address is known";
    arrival.from.ok_or_else(|| steps.broken(REFUSAL, ADDRESS_RULE, expected, "unknown"))
}

fn by_token<'a>(token: &'a Entitlement, steps: &mut Steps) -> Result<&'a Region, Denial> {
    let expected = "a region in the token";
    token.region.as_ref().ok_or_else(|| steps.broken(REFUSAL, "region", expected, "none"))
}

fn by_address<'a>(located: &'a Located, steps: &mut Steps) -> Result<&'a [Region], Denial> {
    if located.regions.is_empty() {
        let expected = "an address whose region is known";
        return Err(steps.broken(REFUSAL, ADDRESS_RULE, expected, "unknown region"));
    }
    Ok(&located.regions)
}

/// The narrower of two that agree.
fn agreed(claimed: &Region, found: &[Region], steps: &mut Steps) -> Result<Vec<Region>, Denial> {
    let do_agree = found.iter().any(|region| region.overlaps(claimed));
    let expected = format!("the token's {claimed}");
    steps.check(do_agree, REFUSAL, "region.evidence", expected, listed(found))?;
    Ok(match found.iter().any(|region| claimed.contains(region)) {
        true => found.to_vec(),
        false => vec![claimed.clone()],
    })
}

fn judge_lists(rule: &RegionRule, regions: &[Region], steps: &mut Steps) -> Result<(), Denial> {
    if !rule.blocked.is_empty() {
        let expected = format!("not {}", listed(&rule.blocked));
        let is_kept = !rule.blocks(regions);
        steps.check(is_kept, REFUSAL, "region.blocked_countries", expected, listed(regions))?;
    }
    if !rule.allowed.is_empty() {
        let (expected, is_kept) = (listed(&rule.allowed), rule.allows(regions));
        steps.check(is_kept, REFUSAL, "region.allowed_countries", expected, listed(regions))?;
    }
    Ok(())
}

fn judge_blackouts(
    rule: &RegionRule,
    regions: &[Region],
    now: UnixTime,
    steps: &mut Steps,
) -> Result<(), Denial> {
    let current = rule.blackouts(regions).find(|blackout| blackout.covers(now));
    let expected = match current {
        Some(blackout) => format!("until {}", blackout.until),
        None if rule.blackouts.is_empty() => return Ok(()),
        None => "no blackout".into(),
    };
    let actual = format!("{} at {now}", listed(regions));
    steps.check(current.is_none(), Refusal::Blackout, "region.blackout", expected, actual)
}
