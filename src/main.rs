//! The `reelkey` binary: reads the command line and runs it.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use reelkey::cli;
use rustix::fs::Mode;
use rustix::process::umask;
use zeroizing_alloc::ZeroAlloc;

/// Overwrites what is freed: keys pass through buffers of libraries that do not. Below it is mimalloc, which keeps a large store from
/// making every allocation slow.
#[global_allocator]
static MEMORY: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> ExitCode {
    // No group may write what the service makes, sled's files included, even if the caller's umask lets it: the service
    // would not trust such files.
    let callers = umask(Mode::empty());
    umask(callers | Mode::WGRP | Mode::WOTH);
    cli::run()
}
