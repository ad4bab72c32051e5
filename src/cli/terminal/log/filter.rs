//! What `--log` says: a level for what this service does, or a filter with targets for those who look deeper.
//!
//! A word that is no level is refused: `tracing-subscriber` would take it for a target and log nothing else.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// From silence to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is logged, in the words of `EnvFilter`.
#[derive(Clone, Debug)]
pub(crate) struct Filter(String);

/// Why something is no filter, and what could be meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoFilter(String);

impl std::error::Error for NoFilter {}

impl fmt::Display for NoFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Filter {
    /// As the subscriber takes it.
    pub(super) fn build(&self) -> Result<EnvFilter, NoFilter> {
        EnvFilter::try_new(&self.0).map_err(|error| NoFilter(error.to_string()))
    }
}

impl FromStr for Filter {
    type Err = NoFilter;

    fn from_str(text: &str) -> Result<Self, NoFilter> {
        let lower = text.trim().to_lowercase();
        if LEVELS.contains(&lower.as_str()) {
            let others = if ["off", "error"].contains(&lower.as_str()) { &lower } else { "warn" };
            return Ok(Self(format!("{others},reelkey={lower},reelkey_client={lower}")));
        }
        let mut has_base = false;
        for directive in text.split(',') {
            let level = directive.rsplit_once('=').map(|(_, level)| level);
            has_base |= level.is_none();
            let level = level.unwrap_or(directive).trim();
            if !LEVELS.contains(&level.to_lowercase().as_str()) {
                return Err(no_level(level));
            }
        }
        // A target that is misspelled silences nothing: warnings of all others are still told.
        let filter = Self(if has_base { text.into() } else { format!("warn,{text}") });
        filter.build().map(|_| filter)
    }
}

fn no_level(word: &str) -> NoFilter {
    let nearest =
        LEVELS.iter().min_by_key(|level| strsim::levenshtein(level, &word.to_lowercase()));
    let nearest = nearest.copied().unwrap_or("info");
    let levels = LEVELS.join(", ");
    NoFilter(format!(
        "{word:?} is no level; do you mean {nearest:?}? The levels are {levels}; a filter has them after targets: \
         reelkey::http=debug"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_about_this_service() {
        let filter = |text: &str| text.parse::<Filter>().unwrap().0;
        assert_eq!(filter("debug"), "warn,reelkey=debug,reelkey_client=debug");
        assert_eq!(filter(" INFO "), "warn,reelkey=info,reelkey_client=info");
        assert_eq!(filter("error"), "error,reelkey=error,reelkey_client=error");
        assert_eq!(filter("trace,reelkey=trace"), "trace,reelkey=trace");
        assert_eq!(filter("reelky=debug"), "warn,reelky=debug");
    }

    #[test]
    fn what_is_no_level_is_refused_with_the_nearest() {
        let nearest =
            [("inf", "info"), ("wran", "warn"), ("debgu", "debug"), ("reelkey=tarce", "trace")];
        for (typed, meant) in nearest {
            let said = typed.parse::<Filter>().unwrap_err().to_string();
            assert!(said.contains(&format!("mean {meant:?}")), "{said}");
            assert!(said.contains("off, error, warn, info, debug, trace"), "{said}");
        }
        for typed in ["", "reelkey", "debug,", "a=b=c", "info;debug", "a[=info"] {
            assert!(typed.parse::<Filter>().is_err(), "{typed:?}");
        }
    }
}
