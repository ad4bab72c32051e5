//! `reelkey root`: the root key, which opens the store.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::json;

use crate::authority::operation::root::RotateRoot;
use crate::authority::vault::root_key_file;
use crate::cli::aside::AsideFile;
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::source::is_standard;
use crate::cli::terminal::confirm::confirm;
use crate::cli::terminal::output::{Failure, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum RootCommand {
    /// Make a new root key and wrap everything again. The old root key then opens nothing in the data folder.
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Write the old root key to this new file first, mode 0600; - is standard output. Older copies of the store need it.
    #[arg(long, value_name = "FILE")]
    keep_old: Option<PathBuf>,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(folder: &Folder, command: RootCommand) -> Result<Output, Failure> {
    let RootCommand::Rotate(RotateArgs { keep_old, yes }) = command;
    let question = match &keep_old {
        Some(file) => format!("Replace the root key, and write the old one to {}?", file.display()),
        None => "Replace the root key, and keep no copy of the old one (--keep-old FILE)? Copies of the \
                 store that were made before need the old one."
            .into(),
    };
    confirm(&question, yes)?;
    // Before anything is changed: afterwards the old key is nowhere.
    if let Some(file) = &keep_old {
        keep(folder, file)?;
    }
    let spinner = ProgressBar::new_spinner().with_message("moving every secret to a fresh store");
    spinner.enable_steady_tick(Duration::from_millis(120));
    let rotated = operator::execute(folder, RotateRoot {}).await;
    spinner.finish_and_clear();
    let secrets = rotated?.secrets;
    let old = match &keep_old {
        Some(file) => format!(
            "The old root key is in {}. It opens only copies of the store that were made before now; keep it, away \
             from the store, as long as you keep them.",
            file.display()
        ),
        None => "The old root key is not in the data folder any more. Copies of the store that were made before now \
                 can be opened only if you have a copy of it."
            .into(),
    };
    let text = format!(
        "{secrets} secrets are wrapped again; the old root key opens nothing in {}.\n{old}\n\
         next: keep a copy of the new root key, {}, elsewhere: without it every key is lost",
        folder.root().display(),
        folder.root_key().display()
    );
    if keep_old.as_deref().is_some_and(is_standard) {
        // The old key itself is the output.
        return Ok(Output::new(json!(null), ""));
    }
    let json =
        json!({ "rewrapped": secrets, "root_key": folder.root_key(), "old_root_key": keep_old });
    Ok(Output::new(json, text))
}

/// Copies the root key to a new file. If the rotation then fails, it is one more copy of a key that is still in use.
fn keep(folder: &Folder, file: &Path) -> Result<(), Failure> {
    let key = root_key_file::read(&folder.root_key())?;
    if is_standard(file) {
        let mut out = io::stdout().lock();
        out.write_all(key.to_text().as_bytes())?;
        return Ok(out.flush()?);
    }
    if file.symlink_metadata().is_ok() {
        return Err(Failure::new(format_args!("{} exists", file.display()))
            .remedy("name a new file: an older root key may be in it"));
    }
    let above = file.parent().filter(|above| !above.as_os_str().is_empty());
    let above = fs::canonicalize(above.unwrap_or_else(|| Path::new(".")));
    let above = above.map_err(|error| {
        let failure = Failure::from(error).during(file.display());
        failure.remedy("name a file in a folder that is there; the root key was not changed")
    })?;
    if above.starts_with(fs::canonicalize(folder.root())?) {
        let what = "the old root key would lie beside the store whose copies it opens";
        return Err(Failure::new(what).remedy("name a file outside of the data folder"));
    }
    let mut copy = AsideFile::create(file, false)?;
    copy.write_all(key.to_text().as_bytes())?;
    copy.finish(true)
}
