//! Opens an installation: its store under its lock, its keyring, its policies.

use std::fs;
use std::path::Path;

use crate::authority::vault::open::Vault;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::surroundings;
use crate::cli::source;
use crate::cli::terminal::output::Failure;
use crate::domain::policy::Policy;
use crate::domain::policy_file::{self, Surroundings};
use crate::store::error::Error;
use crate::store::open;

/// Opens the store and its keyring.
pub(crate) async fn open(folder: &Folder) -> Result<Vault, Failure> {
    let store = open::open(&folder.store()).await.map_err(|error| {
        let is_in_use = matches!(error, Error::InUse(_));
        let failure = Failure::from(error);
        match is_in_use {
            true => failure.remedy("stop `reelkey serve` and run the command again"),
            false => failure,
        }
    })?;
    Vault::open(store, folder.root_key()).await.map_err(Failure::fault)
}

/// Reads every policy of the folder, ordered by name.
pub(crate) fn policies(folder: &Folder) -> Result<Vec<Policy>, Failure> {
    Ok(policies_and_texts(folder)?.into_iter().map(|(policy, _)| policy).collect())
}

/// Reads every policy of the folder, ordered by name, each with the text of its file.
pub(crate) fn policies_and_texts(folder: &Folder) -> Result<Vec<(Policy, String)>, Failure> {
    let surroundings = surroundings::read(folder)?;
    let path = folder.policies();
    let entries = fs::read_dir(&path).map_err(|error| {
        Failure::from(error).during(path.display()).remedy("run `reelkey init`")
    })?;
    let mut policies = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            policies.push(policy_and_text(&path, &surroundings)?);
        }
    }
    policies.sort_by(|(one, _): &(Policy, _), (other, _)| one.name.cmp(&other.name));
    Ok(policies)
}

/// Reads the policy in one file, as a policy of the folder would be read.
pub(crate) fn policy(folder: &Folder, path: &Path) -> Result<Policy, Failure> {
    policy_and_text(path, &surroundings::read(folder)?).map(|(policy, _)| policy)
}

fn policy_and_text(path: &Path, surroundings: &Surroundings) -> Result<(Policy, String), Failure> {
    let during = |failure: Failure| failure.during(path.display());
    // A longer file is refused by its parser.
    let bytes = source::read(path, policy_file::BYTES_MAX).map_err(|error| during(error.into()))?;
    let text = String::from_utf8(bytes).map_err(|error| during(error.utf8_error().into()))?;
    let name = match source::is_standard(path) {
        true => "standard-input".into(),
        false => path.file_stem().unwrap_or_default().to_string_lossy(),
    };
    let policy = policy_file::parse_in(&name, &text, surroundings).map_err(|error| {
        Failure::new(format_args!("{}:{}: {}", path.display(), error.line, error.message))
    })?;
    Ok((policy, text))
}
