//! `reelkey signer`: the keys that sign licenses.

use clap::Subcommand;
use serde_json::json;

use crate::authority::operation::signer::{ListSigners, RotateSigner, SignerView};
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator};

#[derive(Debug, Subcommand)]
pub(crate) enum SignerCommand {
    /// List the signing keys, and the time from which each signs.
    List,
    /// Make a new signing key. It is published for 300 s before it signs.
    Rotate {
        /// Sign with it at once, because the old key has leaked. Players that do not have the new key yet must fetch
        /// it.
        #[arg(long)]
        now: bool,
    },
}

pub(crate) async fn run(folder: &Folder, command: SignerCommand) -> Result<Output, Failure> {
    let signers = match command {
        SignerCommand::List => operator::execute(folder, ListSigners {}).await?,
        SignerCommand::Rotate { now } => {
            operator::execute(folder, RotateSigner { at_once: now }).await?
        }
    };
    let row = |signer: &SignerView| {
        [signer.kid.clone(), clock::show(signer.signs_from), signer.kek.to_string()]
    };
    let rows: Vec<_> = signers.iter().map(row).collect();
    Ok(Output::new(json!(signers), table(["KID", "SIGNS FROM", "KEK"], &rows)))
}
