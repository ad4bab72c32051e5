//! Why a request is refused: for the viewer the refusal, for the sender what it can mend, for the log the broken rule.

use std::fmt;

use reelkey_client::time::UnixTime;

use crate::authority::stop::Stop;
use crate::domain::content::ContentId;
use crate::domain::denial::Denial;
use crate::domain::past::LicenseId;
use crate::domain::refusal::Refusal;

/// A refusal, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The answer.
    pub refusal: Refusal,
    /// Where the sender can mend it: the rule that its request breaks. Nothing of the request stands in it.
    pub rule: Option<String>,
    /// Where a policy or the token decides: the rule, what it expected and what was there. For the log alone.
    pub denial: Option<Box<Denial>>,
    /// Where too many play at once: the sessions that do.
    pub conflicts: Vec<Conflict>,
}

/// A session that stands in the way of another one.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// Its code: the license that was granted last in it. It means something to this account only.
    pub session: LicenseId,
    /// The name of its device.
    pub name: Option<String>,
    /// The model of its device.
    pub model: Option<String>,
    /// What it plays.
    pub content: ContentId,
    /// When it began.
    pub since: UnixTime,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, rule: None, denial: None, conflicts: Vec::new() }
    }
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self {
            refusal: denial.refusal,
            rule: None,
            denial: Some(Box::new(denial)),
            conflicts: Vec::new(),
        }
    }
}

impl From<Denial> for Stop<Refused> {
    fn from(denial: Denial) -> Self {
        Self::Refused(denial.into())
    }
}

pub(in crate::authority) fn refuse(refusal: Refusal) -> Stop<Refused> {
    Stop::Refused(refusal.into())
}

pub(in crate::authority) fn refuse_by(refusal: Refusal, rule: impl fmt::Display) -> Stop<Refused> {
    Stop::Refused(Refused { rule: Some(rule.to_string()), ..refusal.into() })
}
