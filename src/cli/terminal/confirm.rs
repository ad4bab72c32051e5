//! Asks for confirmation before something that cannot be undone. Only a person at a terminal is asked.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use crate::cli::terminal::foreign::harmless_line;
use crate::cli::terminal::output::Failure;

/// Whether somebody can be asked: standard input is a terminal.
pub(crate) fn is_somebody_there() -> bool {
    io::stdin().is_terminal()
}

/// Asks at a terminal unless `is_sure`. Scripts are not asked: what they run was decided when they were written.
///
/// # Errors
/// The answer was not `yes`, or could not be read.
pub(crate) fn confirm(question: &str, is_sure: bool) -> Result<(), Failure> {
    if is_sure || !is_somebody_there() {
        return Ok(());
    }
    let mut terminal = io::stderr().lock();
    write!(terminal, "{} Type yes: ", harmless_line(question))?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().take(64).read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::new("nothing was changed")),
    }
}
