//! How the log is doing, for those who tell it: readiness, `doctor`, metrics. Whoever writes the log keeps the count.
//!
//! Deliberately absent: the log itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// A handle to the counts; clones show the same.
#[derive(Clone, Debug, Default)]
pub struct LogHealth(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    lost_lines: AtomicU64,
    is_failing: AtomicBool,
}

/// The counts at one time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LogReport {
    /// How many lines were lost since the service started.
    pub lost_lines: u64,
    /// Whether the last attempt to write failed.
    pub failing: bool,
}

impl LogHealth {
    /// How many lines were lost since the service started.
    #[must_use]
    pub fn lost_lines(&self) -> u64 {
        self.0.lost_lines.load(Ordering::Relaxed)
    }

    /// Counts one more line that is lost.
    pub fn lose_line(&self) {
        self.0.lost_lines.fetch_add(1, Ordering::Relaxed);
    }

    /// Says how the last attempt to write ended.
    pub fn set_failing(&self, failing: bool) {
        self.0.is_failing.store(failing, Ordering::Relaxed);
    }

    /// Both counts.
    #[must_use]
    pub fn report(&self) -> LogReport {
        let failing = self.0.is_failing.load(Ordering::Relaxed);
        LogReport { lost_lines: self.lost_lines(), failing }
    }
}

impl LogReport {
    /// Whether no line is missing.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.lost_lines == 0 && !self.failing
    }
}
