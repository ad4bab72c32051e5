//! What an operator asks about an authorization token: whether the service would accept it now, by the service's own code.

use std::collections::BTreeSet;
use std::convert::Infallible;

use reelkey_client::exchange::request::{RequestType, SessionType};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authority::issuing::facts::{self, Wanted};
use crate::authority::issuing::judge::{Court, Told};
use crate::authority::issuing::refused::Refused;
use crate::authority::issuing::token;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::stop::Stop;
use crate::domain::content::{ContentId, ContentPattern};
use crate::domain::decision::{Delivery, Vouched};
use crate::domain::entitlement::Entitlement;
use crate::domain::whereabouts::ADDRESS_RULE;

/// Judge a token.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeToken {
    /// The token.
    pub token: Zeroizing<String>,
    /// For this content; otherwise for each that the token names exactly.
    pub content_id: Option<ContentId>,
}

/// What the service says of a token.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenJudged {
    /// Whether a license can come of it: the token is valid, and at least one content that was asked about is granted.
    pub accepted: bool,
    /// Why not, where the token as a whole is refused.
    pub why: Option<String>,
    /// Each content that was asked about.
    pub contents: Vec<ContentJudged>,
}

/// What the service says of a token and a content. A device is not asked: what binds the token to one is not judged.
#[derive(Debug, Serialize, Deserialize)]
pub struct ContentJudged {
    /// The content.
    pub content_id: ContentId,
    /// Whether a license is granted.
    pub granted: bool,
    /// Why not: the reason that a player is told.
    pub reason: Option<String>,
    /// The broken rule.
    pub rule: Option<String>,
    /// What the rule expects.
    pub expected: Option<String>,
    /// What is there.
    pub actual: Option<String>,
}

impl Operation for JudgeToken {
    const NAME: &'static str = "token/judge";
    type Outcome = TokenJudged;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<TokenJudged, Stop<Infallible>> {
        let issuers = &desk.in_force.load().issuers;
        let refused =
            |why: String| TokenJudged { accepted: false, why: Some(why), contents: Vec::new() };
        let viewer = match token::read(issuers, &self.token, desk.now) {
            Ok(viewer) => viewer,
            Err(invalid) => return Ok(refused(invalid.to_string())),
        };
        let entitlement = viewer.entitlement();
        if let Some(why) = speaks_for_nothing(entitlement) {
            return Ok(refused(why));
        }
        let asked: Vec<ContentId> = match self.content_id {
            Some(content_id) => vec![content_id],
            None => exact(entitlement.content.as_deref().unwrap_or_default()),
        };
        let mut contents = Vec::new();
        for content_id in asked {
            contents.push(judge_content(desk, entitlement, content_id).await?);
        }
        let accepted = contents.is_empty() || contents.iter().any(|content| content.granted);
        Ok(TokenJudged { accepted, why: None, contents })
    }
}

/// Why the token is good for no content at all, where its patterns and those of its issuer have nothing in common.
fn speaks_for_nothing(token: &Entitlement) -> Option<String> {
    let wanted = token.content.as_deref()?;
    let shared = |one: &ContentPattern| token.issuer_content.iter().any(|two| one.overlaps(two));
    let list = |patterns: &[ContentPattern]| {
        patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    (!wanted.iter().any(shared)).then(|| {
        format!(
            "content_id is {}, and the issuer may speak for {}",
            list(wanted),
            list(&token.issuer_content)
        )
    })
}

/// The contents that are named exactly.
fn exact(patterns: &[ContentPattern]) -> Vec<ContentId> {
    let exact = |pattern: &ContentPattern| match pattern {
        ContentPattern::Exactly(content) => Some(content.clone()),
        ContentPattern::Any | ContentPattern::Below(_) => None,
    };
    patterns.iter().filter_map(exact).collect()
}

async fn judge_content(
    desk: &Desk<'_>,
    token: &Entitlement,
    content_id: ContentId,
) -> Result<ContentJudged, Stop<Infallible>> {
    let decided = decide(desk, token, &content_id).await;
    let refused = match decided {
        Ok(()) => None,
        Err(Stop::Refused(refused)) => Some(refused),
        Err(Stop::Failed(fault)) => return Err(Stop::Failed(fault)),
    };
    let denial = refused.as_ref().and_then(|refused: &Refused| refused.denial.clone());
    Ok(ContentJudged {
        content_id,
        granted: refused.is_none(),
        reason: refused.map(|refused| refused.refusal.reason().to_owned()),
        rule: denial.as_ref().map(|denial| denial.rule.to_owned()),
        expected: denial.as_ref().map(|denial| denial.expected.clone()),
        actual: denial.map(|denial| denial.actual),
    })
}

/// Decides on a first license to play, by a device that the service knows nothing of.
async fn decide(
    desk: &Desk<'_>,
    token: &Entitlement,
    content_id: &ContentId,
) -> Result<(), Stop<Refused>> {
    let (store, in_force) = (desk.vault.store(), desk.in_force.load());
    let wanted = Wanted {
        request_type: RequestType::New,
        session_type: SessionType::Temporary,
        kids: &BTreeSet::new(),
        content_id: Some(content_id.as_str()),
        vouched: Vouched::Nothing,
        delivery: Delivery::Sealed,
        asker: None,
        of_origin: None,
    };
    let facts = facts::load(&*store, desk.vault.period_seed(), &wanted, token, desk.now).await?;
    let court = Court {
        token,
        policies: &in_force.policies,
        memory: &*desk.vault.facts(),
        naming_key: &desk.vault.naming_key().await?,
        atlas: &in_force.atlas,
        client: None,
        now: desk.now,
    };
    let judged = court.judge(&facts, &mut Told::default()).await?;
    let without_address = |refused: &Refused| {
        refused.denial.as_ref().is_some_and(|denial| denial.rule == ADDRESS_RULE)
    };
    match judged.decision {
        // Where the viewer will ask from nobody knows yet.
        Err(refused) if without_address(&refused) => Ok(()),
        decision => decision.map(|_| ()).map_err(Stop::Refused),
    }
}
