//! Why a request is refused, and the rule that was broken where the sender can mend it.

use std::fmt;

use crate::authority::stop::Stop;
use crate::domain::refusal::Refusal;

/// A refusal, and where the sender can mend it, the rule that was broken.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// The broken rule; nothing of the request stands in it.
    pub rule: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, rule: None }
    }
}

pub(super) fn refuse(refusal: Refusal) -> Stop<Refused> {
    Stop::Refused(refusal.into())
}

pub(super) fn refuse_by(refusal: Refusal, rule: impl fmt::Display) -> Stop<Refused> {
    Stop::Refused(Refused { refusal, rule: Some(rule.to_string()) })
}
