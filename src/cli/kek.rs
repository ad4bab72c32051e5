//! `reelkey kek`: the generations of the key-encryption key (KEK).

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::authority::operation::kek::{
    KekRewrapped, KekView, ListKeks, RetireKek, RewrapKek, RotateKek,
};
use crate::cli::clock;
use crate::cli::folder::paths::Folder;
use crate::cli::operator::{self, Operator};
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;

/// How many secrets are moved between two updates of the progress bar.
const STEP: usize = 10_000;

#[derive(Debug, Subcommand)]
pub(crate) enum KekCommand {
    /// List the generations, and how many secrets each wraps.
    List,
    /// Make a new generation, which wraps everything written from now on.
    Rotate,
    /// Move existing secrets to the newest generation.
    Rewrap,
    /// Remove generations that wrap no secret.
    Retire {
        /// The generation. The default is every unused one.
        generation: Option<u32>,
    },
}

pub(crate) async fn run(folder: &Folder, command: KekCommand) -> Result<Output, Failure> {
    match command {
        KekCommand::List => Ok(show(&operator::execute(folder, ListKeks {}).await?, "")),
        KekCommand::Rotate => {
            let keks = operator::execute(folder, RotateKek {}).await?;
            Ok(show(&keks, "\nnext: reelkey kek rewrap"))
        }
        KekCommand::Rewrap => rewrap(folder).await,
        KekCommand::Retire { generation } => {
            Ok(retired(&operator::execute(folder, RetireKek { generation }).await?))
        }
    }
}

fn show(keks: &[KekView], next: &str) -> Output {
    Output::new(json!(keks), format!("{}{next}", list(keks)))
}

fn retired(generations: &[u32]) -> Output {
    let names: Vec<_> = generations.iter().map(ToString::to_string).collect();
    let text = match names.len() {
        0 => "no generation is unused; nothing was changed.".to_owned(),
        _ => format!("retired generation {}.", names.join(", ")),
    };
    Output::new(json!({ "retired": generations }), text)
}

/// Moves all secrets, some at a time. If it is interrupted, running it again continues.
async fn rewrap(folder: &Folder) -> Result<Output, Failure> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("rewrapping [{bar:40}] {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    let operator = Operator::reach(folder).await?;
    let mut moved = 0;
    loop {
        let KekRewrapped { done, left } = operator.execute(RewrapKek { limit: STEP }).await?;
        moved += done;
        bar.set_length(u64::try_from(moved + left).unwrap_or(u64::MAX));
        bar.set_position(u64::try_from(moved).unwrap_or(u64::MAX));
        if left == 0 {
            break;
        }
    }
    bar.finish_and_clear();
    let text = match moved {
        0 => "everything is under the newest generation; nothing was changed.".to_owned(),
        _ => format!("{moved} secrets moved to the newest generation.\nnext: reelkey kek retire"),
    };
    Ok(Output::new(json!({ "rewrapped": moved }), text))
}

fn list(keks: &[KekView]) -> String {
    let row = |kek: &KekView| {
        [
            kek.generation.to_string(),
            if kek.primary { "primary" } else { "" }.to_owned(),
            kek.secrets.to_string(),
            clock::show(kek.created_at),
        ]
    };
    let rows: Vec<_> = keks.iter().map(row).collect();
    table(["GENERATION", "", "SECRETS", "MADE"], &rows)
}
