//! `reelkey account`: forgets a viewer.

use clap::Subcommand;
use serde_json::json;

use crate::authority::operation::account::EraseAccount;
use crate::cli::account_argument::AccountArgs;
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::terminal::confirm::confirm;
use crate::cli::terminal::output::{Failure, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Forget everything about an account: devices, licenses, sessions and first uses. It cannot be undone, and rentals begin
    /// again if the viewer comes back.
    Erase {
        #[command(flatten)]
        account: AccountArgs,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) async fn run(folder: &Folder, command: AccountCommand) -> Result<Output, Failure> {
    let AccountCommand::Erase { account, yes } = command;
    confirm("Forget everything about this account for good?", yes)?;
    let removed = operator::execute(folder, EraseAccount { account: account.into() }).await?;
    let text = match removed {
        0 => "nothing is remembered of this account; nothing was changed.".to_owned(),
        1 => "1 record removed.".to_owned(),
        _ => format!("{removed} records removed."),
    };
    Ok(Output::new(json!({ "removed": removed }), text))
}
