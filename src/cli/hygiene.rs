//! Protects the memory of this process from others, and keeps panics out of the output.

use std::io;
use std::panic;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::store::embedded::guard;

/// Switches off core dumps, and with them debugging by other processes of the same user (prctl(2), `PR_SET_DUMPABLE`).
/// A core file would contain every key in use.
pub(crate) fn guard_memory() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Sends panics to the log instead of standard error, where a write could wait for ever.
pub(crate) fn log_panics() {
    panic::set_hook(Box::new(|what| {
        if !guard::catches_panics() {
            tracing::error!(panic = %what, "a thread panicked");
        }
    }));
}

/// Prints nothing for a panic that the store turns into an error, because the error says what to do.
pub(crate) fn quiet_caught_panics() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        if !guard::catches_panics() {
            loud(what);
        }
    }));
}
