//! Where a request came from, as the address of its client tells.
//!
//! An address stands in a network that the operator named, or in a database, or nobody knows it. Deliberately absent: the
//! address itself, so no rule can depend on it and no denial can repeat it.

use reelkey_client::time::UnixTime;

use crate::domain::region::Region;

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Located {
    /// Where it is. All of these are true at once, the widest first: `GB-ENG` and `GB-LND`. Empty if nobody knows.
    pub regions: Vec<Region>,
    /// The source of the regions. `None` if no source knows the address.
    pub source: Option<Source>,
    /// Whether it is known to hide who uses it: a VPN, a Tor exit, a hosting provider. An address that the database does not
    /// have is not anonymous.
    pub is_anonymous: bool,
}

/// A source that knows where addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operator, by `[networks]`.
    Network,
    /// A database.
    Database {
        /// When it was built.
        built: UnixTime,
    },
}

impl Source {
    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Database { .. } => "database",
        }
    }

    /// When the database was built, if it is one.
    #[must_use]
    pub const fn built(self) -> Option<UnixTime> {
        match self {
            Self::Network => None,
            Self::Database { built } => Some(built),
        }
    }
}

/// When a request arrived, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// When it arrived. All times in it are judged against this one.
    pub at: UnixTime,
    /// What is known of the client's address. `None` if the address itself is not known.
    pub from: Option<&'a Located>,
}

impl Arrival<'_> {
    /// A request by a client whose address is not known.
    #[must_use]
    pub const fn from_nowhere(at: UnixTime) -> Self {
        Self { at, from: None }
    }
}
