//! Points in time, as JOSE and the license exchange write them.
//!
//! Deliberately absent: a clock. The caller passes the current time:
//!
//! ```
//! use reelkey_client::time::UnixTime;
//! use std::time::SystemTime;
//!
//! let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
//! let now = UnixTime::from_secs(since_1970.as_secs());
//! # assert_eq!(now.saturating_add(600).abs_diff(now), 600);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;

/// Whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted (RFC 7519 section 2,
/// `NumericDate`, restricted to integers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The point `seconds` after the epoch.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// This point plus `seconds`, at most the greatest representable time.
    #[must_use]
    pub const fn saturating_add(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// This point minus `seconds`, at least the epoch.
    #[must_use]
    pub const fn saturating_sub(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// The distance between the two points, in seconds.
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
