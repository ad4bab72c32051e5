//! The arguments of `reelkey inspect`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::inspect::document::document;
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
    let name = args.file.display().to_string();
    let Seen { film, damage } = read_film(args.init.as_deref(), &args.file)?;
    let Some(damage) = damage else {
        let text = text(&film, &args.file, args.init.as_deref());
        return Ok(Output::new(document(&film, &name), text));
    };
    let failure = Failure::new(&damage).during(&name);
    if film.tracks.is_empty() && film.pssh.is_empty() {
        return Err(failure);
    }
    let mut document = document(&film, &name);
    document["error"] = json!({ "message": failure.to_string(), "remedy": null });
    let text = text(&film, &args.file, args.init.as_deref());
    Err(Failure::new(format_args!("error: {failure}")).after(Output::new(document, text)))
}
