//! What `doctor` finds: a line about a part of the installation.

use crate::cli::terminal::output::Failure;

/// A certificate that ends within thirty days gets a warning.
pub(crate) const CERTIFICATE_SECS_MIN: u64 = 30 * 86_400;

/// The result of one check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ok,
    Warning,
    Error,
}

/// A line of the report.
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// Which part of the installation it is about.
    pub(crate) part: &'static str,
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(verdict: Verdict, part: &'static str, text: impl Into<String>) -> Self {
        Self { verdict, part, text: text.into() }
    }

    /// Makes a finding: ok with this text, or an error with the failure's text.
    pub(crate) fn of(part: &'static str, result: Result<String, Failure>) -> Self {
        match result {
            Ok(text) => Self::new(Verdict::Ok, part, text),
            Err(failure) => Self::new(Verdict::Error, part, failure.to_string()),
        }
    }
}
