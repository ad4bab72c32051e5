//! The `reelkey` binary: reads the command line and runs it.

use std::process::ExitCode;

use clap::Parser;
use reelkey::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
