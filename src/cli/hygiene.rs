//! Keeping the process's memory to itself, and its panics readable.

use std::io;
use std::panic;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::store::embedded::guard;

/// Switches core dumps off, and with them debugging by other processes of the same user (prctl(2),
/// `PR_SET_DUMPABLE`): a core file would hold every key that is in use.
pub(crate) fn guard_memory() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Lets a panic that the store turns into an error go by without a trace of its own: the error says what to do.
pub(crate) fn quiet_caught_panics() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        if !guard::catches_panics() {
            loud(what);
        }
    }));
}
