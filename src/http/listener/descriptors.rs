//! File descriptors: every connection needs one, and so does everything else that the service does.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

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

/// How many of `wanted` connections of players there can be, so that others find a descriptor.
#[must_use]
pub fn affordable(wanted: usize) -> usize {
    let Some(all) = getrlimit(Resource::Nofile).current else { return wanted };
    let all = usize::try_from(all).unwrap_or(usize::MAX);
    wanted.min(all.saturating_sub(RESERVE).max(CONNECTIONS_MIN))
}
