//! The arguments of `reelkey decrypt`, and what it says at the end.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::decrypt::in_place::decrypt_in_place;
use crate::cli::decrypt::keys::read_keys;
use crate::cli::decrypt::license::LicenseArgs;
use crate::cli::decrypt::to_output::{Film, write_clear_film};
use crate::cli::secret_argument::SecretArgument;
use crate::cli::source::is_standard;
use crate::cli::terminal::output::{Failure, Output};

#[derive(Debug, Args)]
pub(crate) struct DecryptArgs {
    /// A key: KID:KEY in hexadecimal digits, or @FILE with one such pair a line. May be repeated.
    #[arg(long = "key", value_name = "KID:KEY", required_unless_present = "license")]
    keys: Vec<SecretArgument>,
    #[command(flatten)]
    license: LicenseArgs,
    /// The initialization segment, if the input holds media segments only.
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Decrypt the file where it lies, once every box was read and every key is there.
    #[arg(long, conflicts_with_all = ["init", "output"])]
    in_place: bool,
    /// Replace the output if it is there.
    #[arg(long, conflicts_with = "in_place")]
    overwrite: bool,
    /// How many parts of a file are decrypted at once, at most 256.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = read_jobs)]
    jobs: NonZeroUsize,
    /// The encrypted file; - is standard input.
    input: PathBuf,
    /// Where to write the clear one; - is standard output.
    #[arg(required_unless_present = "in_place")]
    output: Option<PathBuf>,
}

/// Runs `reelkey decrypt`.
pub(crate) fn decrypt(args: &DecryptArgs) -> Result<Output, Failure> {
    let mut keys = read_keys(&args.keys)?;
    for (kid, content_key) in args.license.keys()? {
        keys.insert(kid, content_key);
    }
    let Some(output) = &args.output else {
        let done = decrypt_in_place(&keys, &args.input, args.jobs);
        return Ok(done.map_err(|e| e.during(args.input.display()))?.output(&args.input));
    };
    let film = Film { init: args.init.as_deref(), input: &args.input, jobs: args.jobs };
    let done = write_clear_film(&keys, &film, output, args.overwrite)?;
    if is_standard(output) {
        // The film itself is the output.
        return Ok(Output::new(json!(null), ""));
    }
    Ok(done.output(output))
}

/// Each job is a thread with a fragment in memory.
fn read_jobs(text: &str) -> Result<NonZeroUsize, &'static str> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= 256);
    jobs.ok_or("a number of jobs is one from 1 to 256")
}
