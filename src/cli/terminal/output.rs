//! The output of a command: its result as text or as one JSON document, or what went wrong and the next step.

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::authority::stop::{Remedy, Stop};
use crate::authority::vault::fault::Fault;
use crate::cli::terminal::foreign::{harmless, harmless_json};

/// The result of a command, in both forms.
#[derive(Debug)]
pub(crate) struct Output {
    /// For `--json`.
    pub(crate) json: Value,
    /// For people. It ends without a line break.
    pub(crate) text: String,
    /// Notes for people, which go to standard error.
    notes: Vec<String>,
}

impl Output {
    /// Makes a result from both forms.
    pub(crate) fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), notes: Vec::new() }
    }

    /// Adds notes.
    pub(crate) fn with_notes(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// Writes the notes to `err`.
    pub(crate) fn write_notes(&self, err: &mut impl Write) -> io::Result<()> {
        self.notes.iter().try_for_each(|note| writeln!(err, "note: {}", harmless(note)))
    }

    /// Writes the requested form to `out`.
    pub(crate) fn write(&self, as_json: bool, out: &mut impl Write) -> io::Result<()> {
        match (as_json, self.json.is_null()) {
            // The command has already written everything while it ran.
            (_, true) => Ok(()),
            (true, false) => writeln!(out, "{}", harmless_json(&self.json)),
            (false, false) => writeln!(out, "{}", harmless(&self.text)),
        }
    }
}

/// A command was refused or failed: the reason and the next step.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    remedy: Option<String>,
    answer: Option<Box<Output>>,
}

impl Failure {
    /// `what` went wrong: lower case, without a full stop.
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        Self { what: what.to_string(), remedy: None, answer: None }
    }

    /// Adds the next step: an imperative sentence without a full stop.
    pub(crate) fn remedy(self, remedy: impl fmt::Display) -> Self {
        Self { remedy: Some(remedy.to_string()), ..self }
    }

    /// Adds the result of a command that failed but has one all the same.
    pub(crate) fn after(self, answer: Output) -> Self {
        Self { answer: Some(Box::new(answer)), ..self }
    }

    /// Our own fault, with its causes.
    pub(crate) fn fault(fault: Fault) -> Self {
        let remedy = fault.remedy().map(Into::into);
        Self { remedy, ..Self::from(fault) }
    }

    /// Adds what was tried, before what went wrong.
    pub(crate) fn during(self, what: impl fmt::Display) -> Self {
        Self { what: format!("{what}: {}", self.what), ..self }
    }

    /// The next step, where one is known.
    pub(crate) fn next_step(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// Writes the failure: as JSON to `out`, where programs expect it, or as text to `err`.
    pub(crate) fn write(
        &self,
        as_json: bool,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> io::Result<()> {
        if let Some(answer) = &self.answer {
            answer.write_notes(err)?;
            answer.write(as_json, out)?;
            let is_said = as_json && !answer.json.is_null();
            return if is_said { Ok(()) } else { writeln!(err, "{}", harmless(&self.what)) };
        }
        if as_json {
            let error = json!({ "message": self.what, "remedy": self.remedy });
            return writeln!(out, "{}", harmless_json(&json!({ "error": error })));
        }
        writeln!(err, "error: {}", harmless(&self.what))?;
        match &self.remedy {
            Some(remedy) => writeln!(err, "  next: {}", harmless(remedy)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Does `work`, but waits for it no longer than `patience`: a write to a pipe that nobody reads never ends.
pub(crate) fn within(
    patience: Duration,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let (done, finished) = mpsc::channel();
    thread::Builder::new().name("last word".into()).spawn(move || done.send(work()).ok())?;
    finished.recv_timeout(patience).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Any error with its causes.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut what = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !what.contains(&text) {
                what.push_str(": ");
                what.push_str(&text);
            }
            cause = error.source();
        }
        Self { what, remedy: None, answer: None }
    }
}

/// A refusal with its remedy, or a fault with its causes.
impl<R: Remedy> From<Stop<R>> for Failure {
    fn from(stop: Stop<R>) -> Self {
        match stop {
            Stop::Refused(refusal) => {
                let remedy = refusal.remedy();
                Self { remedy, ..Self::new(refusal) }
            }
            Stop::Failed(fault) => Self::fault(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_next_step() {
        let failure = Failure::new("no store").during("key list").remedy("run `reelkey init`");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        failure.write(false, &mut out, &mut err).unwrap();
        assert_eq!(err, b"error: key list: no store\n  next: run `reelkey init`\n");
        failure.write(true, &mut out, &mut Vec::new()).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(document["error"]["remedy"], "run `reelkey init`");
    }
}
