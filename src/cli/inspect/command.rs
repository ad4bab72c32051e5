//! The arguments of `reelkey inspect`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::inspect::document::document;
use crate::cli::inspect::next_step::next_step;
use crate::cli::inspect::reading::{Seen, read_film};
use crate::cli::inspect::text::text;
use crate::cli::terminal::output::{Failure, Output};

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The initialization segment, if the file holds media segments only.
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// The film or a segment of it; - is standard input.
    file: PathBuf,
}

/// Runs `reelkey inspect`.
///
/// # Errors
/// The file cannot be read, or is damaged. What was seen before the damage is the failure's result.
pub(crate) fn inspect(args: &InspectArgs) -> Result<Output, Failure> {
    let (name, init) = (args.file.display().to_string(), args.init.as_deref());
    let Seen { film, damage } = read_film(init, &args.file)?;
    let Some(damage) = damage else {
        let next = next_step(&film, &args.file, init);
        return Ok(Output::new(
            document(&film, &name, Value::Null),
            text(&film, &args.file, Some(next)),
        ));
    };
    let failure = Failure::new(damage).during(&name);
    if film.tracks.is_empty() && film.pssh.is_empty() {
        return Err(failure);
    }
    let error = json!({ "message": failure.to_string(), "remedy": null });
    let seen = Output::new(document(&film, &name, error), text(&film, &args.file, None));
    Err(Failure::new(format_args!("error: {failure}")).after(seen))
}
