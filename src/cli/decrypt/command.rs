//! The arguments of `reelkey decrypt`, and what it says at the end.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::error::ErrorKind;

use crate::cli::decrypt::in_place::decrypt_in_place;
use crate::cli::decrypt::keys::{GivenKeys, read_keys};
use crate::cli::decrypt::license::LicenseArgs;
use crate::cli::decrypt::next_step::with_next_step;
use crate::cli::decrypt::report::Place;
use crate::cli::decrypt::segments::{Segments, expand};
use crate::cli::decrypt::to_output::{Film, write_clear_film};
use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::output::{Failure, Output};

#[derive(Debug, Args)]
#[command(override_usage = "reelkey decrypt --key <KEY> [OPTIONS] <IN> <OUT>\n       \
                            reelkey decrypt --key <KEY> [OPTIONS] --in-place <FILE>\n       \
                            reelkey decrypt --key <KEY> [OPTIONS] [--init <FILE>] --out <FOLDER> <IN>...")]
pub(crate) struct DecryptArgs {
    /// A key: KID:KEY, TRACK:KEY, or KEY where the film has one KID, in hexadecimal digits; or @FILE with one a line. May
    /// be repeated.
    #[arg(long = "key", value_name = "KEY", required_unless_present = "license")]
    keys: Vec<SecretArgument>,
    #[command(flatten)]
    license: LicenseArgs,
    /// The initialization segment, if the input holds media segments only.
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Decrypt the file where it lies, once every box was read and every key is there.
    #[arg(long, conflicts_with_all = ["init", "out", "partial"])]
    in_place: bool,
    /// Decrypt every file into this folder, each under its own name, and the initialization segment once.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replace the output if it is there.
    #[arg(long, conflicts_with = "in_place")]
    overwrite: bool,
    /// Leave tracks encrypted that have no key, and keep what is whole of a film that breaks off. Exits with 1 then.
    #[arg(long)]
    partial: bool,
    /// Exit with 0 although a key does not seem to fit.
    #[arg(long)]
    force: bool,
    /// How many parts of a file, or how many files, are decrypted at once, at most 256.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = read_jobs)]
    jobs: NonZeroUsize,
    /// The encrypted file, and where to write the clear one; - is standard input or output. With --out the encrypted
    /// files; a name with * or ? stands for all files that it fits.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl DecryptArgs {
    /// Checks that there are as many files as the other arguments need.
    ///
    /// # Errors
    /// Wrong usage.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let wrong = |what| Err(clap::Error::raw(ErrorKind::WrongNumberOfValues, what));
        match Files::of(self) {
            Ok(_) => Ok(()),
            Err(what) => wrong(format!("{what}\n")),
        }
    }
}

/// Runs `reelkey decrypt`.
pub(crate) fn decrypt(args: &DecryptArgs) -> Result<Output, Failure> {
    let files = Files::of(args).map_err(Failure::new)?;
    let GivenKeys { mut keys, has_bare_key } = read_keys(&args.keys)?;
    for (kid, content_key) in args.license.keys()? {
        keys.insert(kid, content_key);
    }
    if args.partial {
        keys.leave_tracks_without_keys();
    }
    // The parts of a film do not know for which KID a key is that names none.
    let jobs = if has_bare_key { NonZeroUsize::MIN } else { args.jobs };
    match files {
        Files::InPlace(path) => {
            let done = decrypt_in_place(&keys, path, jobs);
            done.map_err(|e| with_next_step(e, None).during(path.display()))?
                .output(Place::File(path), args.force)
        }
        Files::ToFile { input, output } => {
            let init = args.init.as_deref();
            let film = Film { init, input, jobs, is_partial: args.partial };
            let done = write_clear_film(&keys, &film, output, args.overwrite)?;
            done.output(Place::File(output), args.force)
        }
        Files::ToFolder { inputs, folder } => {
            let inputs = expand(inputs)?;
            let segments = Segments {
                init: args.init.as_deref(),
                inputs: &inputs,
                folder,
                overwrite: args.overwrite,
                is_partial: args.partial,
                jobs: args.jobs,
            };
            let done = segments.decrypt(&keys)?;
            done.output(Place::Folder(folder, inputs.len()), args.force)
        }
    }
}

/// What is decrypted to where.
enum Files<'a> {
    InPlace(&'a Path),
    ToFile { input: &'a Path, output: &'a Path },
    ToFolder { inputs: &'a [PathBuf], folder: &'a Path },
}

impl<'a> Files<'a> {
    /// Tells the files apart.
    ///
    /// # Errors
    /// Wrong usage: too many files or too few.
    fn of(args: &'a DecryptArgs) -> Result<Self, &'static str> {
        match (args.in_place, &args.out, args.files.as_slice()) {
            (true, _, [path]) => Ok(Self::InPlace(path)),
            (false, None, [input, output]) => Ok(Self::ToFile { input, output }),
            (false, Some(folder), inputs) => Ok(Self::ToFolder { inputs, folder }),
            (true, ..) => Err("--in-place takes one file"),
            (false, None, [_]) => Err(
                "say where to write the clear film: a second file, - for standard output, --out FOLDER or --in-place",
            ),
            (false, None, _) => Err("several files need --out FOLDER"),
        }
    }
}

/// Each job is a thread with a fragment in memory.
fn read_jobs(text: &str) -> Result<NonZeroUsize, &'static str> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= 256);
    jobs.ok_or("a number of jobs is one from 1 to 256")
}
