//! What a decryption reports: how far it is while it runs, and what came out at the end.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use reelkey_client::cenc::notes::Note;
use serde_json::json;

use crate::cli::source::is_standard;
use crate::cli::terminal::output::{Failure, Output};

/// A finished decryption.
#[derive(Default)]
pub(super) struct Done {
    /// How many samples the film has.
    pub(super) samples: usize,
    /// How many bytes the film has.
    pub(super) bytes: u64,
    /// The notes about it.
    pub(super) notes: Vec<Note>,
    /// Whether the film came from a pipe and had to be written to a temporary file.
    pub(super) was_spooled: bool,
    /// With `--partial`: why the film breaks off.
    pub(super) stopped: Option<Failure>,
}

/// What was decrypted, and where it is.
pub(super) enum Place<'a> {
    /// One film in this file.
    File(&'a Path),
    /// So many files in this folder.
    Folder(&'a Path, usize),
}

impl Done {
    /// Adds what came out of another part of the film, or of another file.
    pub(super) fn add(&mut self, other: Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.bytes = self.bytes.saturating_add(other.bytes);
        let new = other.notes.into_iter().filter(|note| !self.notes.contains(note));
        let new: Vec<_> = new.collect();
        self.notes.extend(new);
        self.was_spooled |= other.was_spooled;
        self.stopped = self.stopped.take().or(other.stopped);
    }

    /// What the command says at the end. Whatever is missing from the film makes it a failure; `forced`: a key that does
    /// not seem to fit does not.
    ///
    /// # Errors
    /// [`Failure`], with the result that there is all the same.
    pub(super) fn output(self, place: Place<'_>, forced: bool) -> Result<Output, Failure> {
        let Self { samples, bytes, notes, was_spooled, stopped } = self;
        let mut texts: Vec<_> = notes.iter().map(ToString::to_string).collect();
        if was_spooled {
            texts.push("the media comes before its moov: it was kept in a temporary file".into());
        }
        let missing = |note: &Note| match note {
            Note::LeftTrack { .. } => true,
            Note::WrongKey { .. } => !forced,
            _ => false,
        };
        let missing: Vec<_> = notes.iter().filter(|note| missing(note)).collect();
        let is_whole = missing.is_empty() && stopped.is_none();
        let stopped = stopped.map(|failure| failure.to_string());
        let (path, text) = match place {
            Place::File(path) => {
                (path, format!("{}: {samples} samples, {bytes} bytes.", path.display()))
            }
            Place::Folder(path, files) => {
                let path_text = path.display();
                (path, format!("{path_text}: {files} files, {samples} samples, {bytes} bytes."))
            }
        };
        let json = json!({
            "output": path,
            "samples": samples,
            "bytes": bytes,
            "notes": &texts,
            "complete": is_whole,
            "stopped": stopped,
        });
        // A film on standard output is the output itself.
        let json = if is_standard(path) { json!(null) } else { json };
        let output = Output::new(json, text).with_notes(texts);
        if is_whole {
            return Ok(output);
        }
        let mut reasons: Vec<_> = missing.iter().map(ToString::to_string).collect();
        reasons.extend(stopped.map(|why| format!("the film breaks off: {why}")));
        Err(Failure::new(format_args!("not complete: {}", reasons.join("; "))).after(output))
    }
}

/// A progress bar for a film of `length` bytes; 0 if the length is not known.
pub(super) fn progress(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = "decrypting [{bar:40}] {bytes}/{total_bytes} {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A progress bar for so many files.
pub(super) fn progress_of_files(files: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(files).unwrap_or(u64::MAX));
    match ProgressStyle::with_template("decrypting [{bar:40}] {pos}/{len} files {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
