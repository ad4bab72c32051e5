//! A decision as a list of rules: which were kept, which one was not, and which were not reached.

use std::fmt::Display;

use crate::domain::denial::Denial;
use crate::domain::refusal::Refusal;

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request keeps it.
    Pass,
    /// The request breaks it. This is the reason of a refusal.
    Fail,
    /// A rule before it was broken.
    NotReached,
}

impl Outcome {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotReached => "not-reached",
        }
    }
}

/// One rule, and the values that were compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule, as a policy or a token names it: `region.allowed_countries`.
    pub rule: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// What the rule asks for.
    pub expected: String,
    /// What the request has.
    pub actual: String,
}

/// The rules of a decision, in the order in which they are checked.
#[derive(Clone, Debug, Default)]
pub struct Steps(Vec<Step>);

/// Every rule that a policy may have, in order.
const RULES: [&str; 30] = [
    "required_amr",
    "can_play",
    "can_renew",
    "can_persist",
    "delivery",
    "region.address",
    "region",
    "region.evidence",
    "region.block_vpn_and_tor",
    "region.blocked_countries",
    "region.allowed_countries",
    "region.blackout",
    "device.require_binding",
    "device.certificate",
    "device.security_level",
    "device",
    "device.registration",
    "device.limit",
    "tracks",
    "track.security_level",
    "license",
    "session_type",
    "first_play",
    "available_from",
    "available_until",
    "license_not_after",
    "entitlement",
    "rental_duration",
    "playback_duration",
    "concurrency.limit",
];

impl Steps {
    /// Checks a rule and remembers what became of it.
    ///
    /// # Errors
    /// The rule is broken.
    pub(crate) fn check(
        &mut self,
        is_kept: bool,
        refusal: Refusal,
        rule: &'static str,
        expected: impl Display,
        actual: impl Display,
    ) -> Result<(), Denial> {
        if !is_kept {
            return Err(self.broken(refusal, rule, expected, actual));
        }
        let (expected, actual) = (expected.to_string(), actual.to_string());
        self.0.push(Step { rule, outcome: Outcome::Pass, expected, actual });
        Ok(())
    }

    /// Remembers that a rule is broken.
    pub(crate) fn broken(
        &mut self,
        refusal: Refusal,
        rule: &'static str,
        expected: impl Display,
        actual: impl Display,
    ) -> Denial {
        let (expected, actual) = (expected.to_string(), actual.to_string());
        let denial = Denial::new(refusal, rule, expected.clone(), actual.clone());
        self.0.push(Step { rule, outcome: Outcome::Fail, expected, actual });
        denial
    }

    /// The rules that were checked, and behind a broken one those that were not reached.
    #[must_use]
    pub fn all(&self) -> Vec<Step> {
        let mut all = self.0.clone();
        if let Some(last) = self.0.last().filter(|last| last.outcome == Outcome::Fail) {
            let behind = RULES.iter().skip_while(|rule| **rule != last.rule).skip(1);
            all.extend(behind.map(|rule| Step {
                rule,
                outcome: Outcome::NotReached,
                expected: String::new(),
                actual: String::new(),
            }));
        }
        all
    }

    /// The names of the rules that were kept, for one line of the log.
    #[must_use]
    pub fn kept(&self) -> String {
        let kept = self.0.iter().filter(|step| step.outcome == Outcome::Pass);
        kept.map(|step| step.rule).collect::<Vec<_>>().join(" ")
    }
}
