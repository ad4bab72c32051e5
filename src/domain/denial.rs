//! The rule that a request breaks, for the log and for operators who ask why.

use crate::domain::refusal::Refusal;

/// A refusal, and the rule behind it with what it expected and what was there. A viewer is told the refusal only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The answer.
    pub refusal: Refusal,
    /// The rule, as a policy or a token names it: `region.allowed_countries`.
    pub rule: &'static str,
    /// What the rule asks for.
    pub expected: String,
    /// What the request has.
    pub actual: String,
}

impl Denial {
    /// A broken rule.
    pub(crate) fn new(
        refusal: Refusal,
        rule: &'static str,
        expected: impl Into<String>,
        actual: impl Into<String>,
    ) -> Self {
        Self { refusal, rule, expected: expected.into(), actual: actual.into() }
    }
}

/// A list as a person reads it.
pub(crate) fn listed<T: ToString>(list: impl IntoIterator<Item = T>) -> String {
    list.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" ")
}
