//! `reelkey root`: the root key, which opens the store.

use std::time::Duration;

use clap::Subcommand;
use indicatif::ProgressBar;
use serde_json::json;

use crate::authority::operation::root::RotateRoot;
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::terminal::output::{Failure, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum RootCommand {
    /// Make a new root key and wrap everything again. The old root key then opens nothing in the data folder.
    Rotate,
}

pub(crate) async fn run(folder: &Folder, command: RootCommand) -> Result<Output, Failure> {
    let RootCommand::Rotate = command;
    let spinner = ProgressBar::new_spinner().with_message("moving every secret to a fresh store");
    spinner.enable_steady_tick(Duration::from_millis(120));
    let rotated = operator::execute(folder, RotateRoot {}).await;
    spinner.finish_and_clear();
    let secrets = rotated?.secrets;
    let text = format!(
        "{secrets} secrets are wrapped again; the old root key opens nothing in {}.\n\
         next: keep a copy of {} elsewhere, and the old one for as long as you keep backups made \
         with it",
        folder.root().display(),
        folder.root_key().display()
    );
    Ok(Output::new(json!({ "rewrapped": secrets, "root_key": folder.root_key() }), text))
}
