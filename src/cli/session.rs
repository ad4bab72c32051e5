//! `reelkey session`: the streams that count now.

use clap::Subcommand;
use serde_json::json;

use crate::authority::operation::license::{
    Act, ChangeLicense, LicenseChanged, ListSessions, SessionView,
};
use crate::cli::account_argument::AnyAccountArgs;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, operator};

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the sessions that have a slot now.
    List {
        #[command(flatten)]
        account: AnyAccountArgs,
        /// At most this many.
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
    },
    /// End a session: its slot is free at once, and its license is not renewed any more.
    End {
        /// The session, as `session list` shows it.
        // One in 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        session: String,
    },
}

pub(crate) async fn run(folder: &Folder, command: SessionCommand) -> Result<Output, Failure> {
    match command {
        SessionCommand::List { account, limit } => {
            let list = ListSessions { account: account.name(), limit };
            Ok(list_of(&operator::execute(folder, list).await?))
        }
        SessionCommand::End { session } => {
            let end = ChangeLicense { id: session, act: Act::End };
            let LicenseChanged { license, changed } = operator::execute(folder, end).await?;
            let text = match changed {
                true => format!("{} has ended.", license.id),
                false => format!("{} had ended already; nothing was changed.", license.id),
            };
            Ok(Output::new(json!({ "session": license.id, "changed": changed }), text))
        }
    }
}

fn list_of(sessions: &[SessionView]) -> Output {
    let json = json!(sessions);
    if sessions.is_empty() {
        return Output::new(json, "no session has a slot now.");
    }
    let row = |session: &SessionView| {
        [
            session.session.clone(),
            session.account.clone().unwrap_or_default(),
            session.content_id.clone(),
            clock::show(session.since),
            clock::show(session.until),
        ]
    };
    let rows: Vec<_> = sessions.iter().map(row).collect();
    Output::new(json, table(["SESSION", "ACCOUNT", "CONTENT", "SINCE", "SLOT FREE AT"], &rows))
}
