//! Reads the command line, and says what is wrong with one: as text, or with `--json` as one document.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{Command, Error, FromArgMatches};
use serde_json::json;

use crate::cli::examples::with_examples;
use crate::cli::terminal::foreign::{harmless, harmless_json};

/// The exit code for wrong usage.
const WRONG_USAGE: u8 = 2;

/// Every command with its help.
pub(super) fn commands<C: clap::CommandFactory>() -> Command {
    with_examples(C::command())
}

/// Reads a command line, the program's name first.
///
/// # Errors
/// The exit code: what was asked for, help for example, or what is wrong has been written.
pub(super) fn read<C>(words: Vec<OsString>) -> Result<C, ExitCode>
where
    C: clap::CommandFactory + FromArgMatches,
{
    let as_json = words.iter().any(|word| word == "--json");
    let matches = commands::<C>().try_get_matches_from(words);
    matches.and_then(|matches| C::from_arg_matches(&matches)).map_err(|error| tell(&error, as_json))
}

/// Writes what is wrong with a command line, or what was asked for. Returns the exit code.
pub(super) fn tell(error: &Error, as_json: bool) -> ExitCode {
    if !error.use_stderr() {
        // Help or the version: that is what was asked for.
        return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    // If nobody reads it, the exit code still says it.
    let written = match as_json {
        true => writeln!(io::stdout().lock(), "{}", harmless_json(&document(error))),
        false => write_text(error),
    };
    drop(written);
    ExitCode::from(WRONG_USAGE)
}

fn write_text(error: &Error) -> io::Result<()> {
    let text = error.render().to_string();
    // An argument may have come from elsewhere, with characters that a terminal obeys.
    match harmless(&text) == text {
        true => error.print(),
        false => write!(io::stderr().lock(), "{}", harmless(&text)),
    }
}

/// What is wrong and what to do about it, as failures of commands have it.
fn document(error: &Error) -> serde_json::Value {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let remedy = "see `reelkey --help`";
        return json!({ "error": { "message": "no command was named", "remedy": remedy } });
    }
    let text = error.render().to_string();
    let mut parts = text.split("\n\n").map(str::trim);
    let message = parts.next().unwrap_or_default().trim_start_matches("error: ");
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    let tip = parts.find_map(|part| part.strip_prefix("tip: ")).map(str::to_owned);
    let remedy = tip.or(usage).unwrap_or_else(|| "see `reelkey --help`".into());
    json!({ "error": { "message": message, "remedy": remedy } })
}
