//! The next step where a film cannot be decrypted: the option that may help.
//!
//! Deliberately absent: what is wrong, which the client crate says.

use std::path::Path;

use crate::cli::terminal::output::Failure;

/// Adds the next step where the film is not what the command was told.
pub(super) fn with_next_step(failure: Failure, init: Option<&Path>) -> Failure {
    let text = failure.to_string();
    let has = |part: &str| text.contains(part);
    if failure.next_step().is_some() {
        failure
    } else if has("no moov") || has("before any moov") {
        failure.remedy("name the initialization segment with --init")
    } else if has("not the initialization segment") {
        failure.remedy(match init {
            Some(_) => "name the initialization segment of these fragments with --init",
            None => "name the initialization segment that the film was encrypted with, with --init",
        })
    } else if has("there is no key for KID") {
        failure.remedy("add the key with --key, or leave such tracks encrypted with --partial")
    } else if has("has several KIDs") {
        failure.remedy("give each key as KID:KEY; reelkey inspect shows which KIDs the film needs")
    } else {
        failure
    }
}
