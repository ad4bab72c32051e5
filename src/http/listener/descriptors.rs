//! File descriptors: every connection needs one, and so does everything else that the service does.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::http::frame::limits::Limits;

/// What players' connections leave: for the store's files, the operator's connections and what their commands open.
const RESERVE: usize = 80;

/// The fewest connections of players, however few descriptors there are.
const CONNECTIONS_MIN: usize = 16;

/// Raises the number of descriptors that this process may have to the most that it may raise it to.
///
/// # Errors
/// What the system says. The number stays as it was.
pub fn raise() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// The same limits with no more connections than there are descriptors for, so that others find one.
#[must_use]
pub fn affordable(limits: Limits) -> Limits {
    let Some(all) = getrlimit(Resource::Nofile).current else { return limits };
    let all = usize::try_from(all).unwrap_or(usize::MAX);
    let most = all.saturating_sub(RESERVE).max(CONNECTIONS_MIN);
    if most >= limits.connections {
        return limits;
    }
    tracing::warn!(
        connections = most,
        wanted = limits.connections,
        "fewer connections than configured: the limit of open files is too low"
    );
    Limits { connections: most, ..limits }
}
