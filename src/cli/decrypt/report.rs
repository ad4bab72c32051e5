//! What a decryption reports: how far it is while it runs, and what came out at the end.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::terminal::output::Output;

/// A finished decryption.
pub(super) struct Done {
    /// How many samples the film has.
    pub(super) samples: usize,
    /// How many bytes the film has.
    pub(super) bytes: u64,
}

impl Done {
    /// What the command says of the clear film at `path`.
    pub(super) fn output(&self, path: &Path) -> Output {
        let Self { samples, bytes } = self;
        let json = json!({ "output": path, "samples": samples, "bytes": bytes });
        Output::new(json, format!("{}: {samples} samples, {bytes} bytes.", path.display()))
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
