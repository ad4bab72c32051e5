//! The `reelkey` binary: reads the command line and runs it.

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser;
use reelkey::cli::{self, Cli};
use zeroizing_alloc::ZeroAlloc;

/// Overwrites what is freed: keys pass through buffers of libraries that do not.
#[global_allocator]
static MEMORY: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
