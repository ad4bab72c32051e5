//! The `reelkey` binary: reads the command line and runs it.

use std::alloc::System;
use std::process::ExitCode;

use reelkey::cli;
use rustix::fs::Mode;
use rustix::process::umask;
use zeroizing_alloc::ZeroAlloc;

/// Overwrites what is freed: keys pass through buffers of libraries that do not.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    // No group may write what the service makes, sled's files included, even if the caller's umask lets it: the service
    // would not trust such files.
    let callers = umask(Mode::empty());
    umask(callers | Mode::WGRP | Mode::WOTH);
    cli::run()
}
