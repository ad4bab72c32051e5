//! Why a request is refused: for the viewer the refusal, for the sender what it can mend, for the log the broken rule.

use std::fmt;

use crate::authority::stop::Stop;
use crate::domain::denial::Denial;
use crate::domain::refusal::Refusal;

/// A refusal, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The answer.
    pub refusal: Refusal,
    /// Where the sender can mend it: the rule that its request breaks. Nothing of the request stands in it.
    pub rule: Option<String>,
    /// Where a policy or the token decides: the rule, what it expected and what was there. For the log alone.
    pub denial: Option<Denial>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, rule: None, denial: None }
    }
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { refusal: denial.refusal, rule: None, denial: Some(denial) }
    }
}

impl From<Denial> for Stop<Refused> {
    fn from(denial: Denial) -> Self {
        Self::Refused(denial.into())
    }
}

pub(super) fn refuse(refusal: Refusal) -> Stop<Refused> {
    Stop::Refused(refusal.into())
}

pub(super) fn refuse_by(refusal: Refusal, rule: impl fmt::Display) -> Stop<Refused> {
    Stop::Refused(Refused { refusal, rule: Some(rule.to_string()), denial: None })
}
