//! `reelkey decrypt`: a Common Encryption file or stream, with known keys or those of a license.

mod file;
mod license;
mod window;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reelkey_client::cenc::{Init, Keys, Stream};
use reelkey_client::key::{ContentKey, KeyId};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::cli::decrypt::file::{Between, Done, Way, failure};
use crate::cli::decrypt::license::LicenseArgs;
use crate::cli::secret_argument::SecretArgument;
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
    /// How many parts of a file are decrypted at once, at most 256.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = read_jobs)]
    jobs: NonZeroUsize,
    /// The encrypted file; - is standard input.
    input: PathBuf,
    /// Where to write the clear one; - is standard output.
    #[arg(required_unless_present = "in_place")]
    output: Option<PathBuf>,
}

pub(crate) fn decrypt(args: &DecryptArgs) -> Result<Output, Failure> {
    let mut keys = read_keys(&args.keys)?;
    for (kid, key) in args.license.keys()? {
        keys.insert(kid, key);
    }
    let Some(output) = &args.output else {
        let done = in_place(&keys, args).map_err(|e| e.during(args.input.display()))?;
        return Ok(done.output(&args.input));
    };
    let init = args.init.as_deref().map(read).transpose()?;
    let mut sink = Sink::open(output)?;
    let done = sink.fill(&keys, init, args).map_err(|e| e.during(args.input.display()))?;
    sink.finish(output)?;
    if is_standard(output) {
        // The film is the answer.
        return Ok(Output::new(json!(null), ""));
    }
    Ok(done.output(output))
}

impl Done {
    fn output(&self, path: &Path) -> Output {
        let Self { samples, bytes } = self;
        let json = json!({ "output": path, "samples": samples, "bytes": bytes });
        Output::new(json, format!("{}: {samples} samples, {bytes} bytes.", path.display()))
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// How far a film of so many bytes has come.
fn progress(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = "decrypting [{bar:40}] {bytes}/{total_bytes} {eta}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Decrypts a file where it lies.
fn in_place(keys: &Keys, args: &DecryptArgs) -> Result<Done, Failure> {
    if is_standard(&args.input) {
        return Err(Failure::new("standard input is nowhere").remedy("name a file"));
    }
    let film = Arc::new(OpenOptions::new().read(true).write(true).open(&args.input)?);
    if let Err(TryLockError::WouldBlock) = film.try_lock() {
        // What is decrypted twice is garbage.
        return Err(
            Failure::new("another process works on this file").remedy("wait until it ended")
        );
    }
    let bar = progress(film.metadata()?.len());
    let between = Between { keys, input: &film, output: None, bar: &bar };
    let done = match Way::find(keys, &film, args.jobs)? {
        Way::InOrder(stream, layout) => {
            file::check(keys, &film, &layout)?;
            between.decrypt(*stream, &layout, args.jobs)
        }
        Way::Whole => {
            let (clear, done) = whole(keys, &film)?;
            film.write_all_at(&clear, 0).map(|()| done).map_err(Failure::from)
        }
    };
    bar.finish_and_clear();
    done.map_err(|failure| {
        failure.remedy("the file is clear in part now: take the encrypted one from where it came")
    })
}

/// A file that cannot be read in one go: it has to be in memory.
fn whole(keys: &Keys, mut input: &File) -> Result<(Vec<u8>, Done), Failure> {
    let mut media = Vec::new();
    input.read_to_end(&mut media)?;
    let init = Init::parse(&media)?;
    let plan = init.plan(&media)?;
    plan.decrypt(keys, &mut media)?;
    init.clear(&mut media);
    let bytes = u64::try_from(media.len()).unwrap_or(u64::MAX);
    Ok((media, Done { samples: plan.samples().count(), bytes }))
}

/// Where the clear film goes: standard output, or a file that has its name once it is whole.
struct Sink {
    to: Target,
    bytes: u64,
    /// The first thing that went wrong while somebody handed something over.
    failed: Option<io::Error>,
}

enum Target {
    Standard(io::StdoutLock<'static>),
    File(NamedTempFile),
}

impl Sink {
    fn open(path: &Path) -> Result<Self, Failure> {
        let to = if is_standard(path) {
            Target::Standard(io::stdout().lock())
        } else {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let aside = NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")));
            Target::File(aside.map_err(|error| Failure::from(error).during(path.display()))?)
        };
        Ok(Self { to, bytes: 0, failed: None })
    }

    /// Takes in the whole film.
    fn fill(
        &mut self,
        keys: &Keys,
        init: Option<Vec<u8>>,
        args: &DecryptArgs,
    ) -> Result<Done, Failure> {
        let stream = match init {
            None if is_standard(&args.input) => Stream::new(keys),
            None => return self.fill_from_file(keys, args),
            Some(mut bytes) => {
                let init = Init::parse(&bytes)?;
                init.clear(&mut bytes);
                // A media segment is of no use without its initialization segment, so both come out.
                self.take(&bytes);
                Stream::with_init(keys, init)
            }
        };
        match is_standard(&args.input) {
            true => self.pour(stream, &mut io::stdin().lock(), 0),
            false => {
                let mut input = File::open(&args.input)?;
                let length = input.metadata()?.len();
                self.pour(stream, &mut input, length)
            }
        }
    }

    fn fill_from_file(&mut self, keys: &Keys, args: &DecryptArgs) -> Result<Done, Failure> {
        let input = Arc::new(File::open(&args.input)?);
        let meta = input.metadata()?;
        if !meta.is_file() {
            return self.pour(Stream::new(keys), &mut &*input, 0);
        }
        match (Way::find(keys, &input, args.jobs)?, &self.to) {
            (Way::Whole, _) => {
                let (film, done) = whole(keys, &input)?;
                self.take(&film);
                self.hold()?;
                Ok(done)
            }
            (Way::InOrder(stream, _), Target::Standard(_)) => {
                self.pour(*stream, &mut &*input, meta.len())
            }
            (Way::InOrder(stream, layout), Target::File(output)) => {
                let (output, bar) = (output.as_file(), progress(meta.len()));
                let between = Between { keys, input: &input, output: Some(output), bar: &bar };
                let done = between.decrypt(*stream, &layout, args.jobs);
                bar.finish_and_clear();
                done
            }
        }
    }

    /// Reads, decrypts and writes what comes, as it comes.
    fn pour(
        &mut self,
        mut stream: Stream<&Keys>,
        input: &mut dyn Read,
        length: u64,
    ) -> Result<Done, Failure> {
        let bar = progress(length);
        while stream.read_from(input, &mut |bytes| self.take(bytes)).map_err(failure)? {
            self.hold()?;
            bar.set_position(self.bytes);
        }
        let samples = stream.finish(&mut |bytes| self.take(bytes))?;
        self.hold()?;
        bar.finish_and_clear();
        Ok(Done { samples, bytes: self.bytes })
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        let written = match &mut self.to {
            Target::Standard(out) => out.write_all(bytes),
            Target::File(file) => file.as_file_mut().write_all(bytes),
        };
        self.failed = written.err();
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    fn hold(&mut self) -> Result<(), Failure> {
        self.failed.take().map_or(Ok(()), |error| Err(Failure::from(error).during("writing")))
    }

    fn finish(self, path: &Path) -> Result<(), Failure> {
        match self.to {
            Target::Standard(mut out) => Ok(out.flush()?),
            Target::File(file) => {
                file.persist(path).map_err(|error| Failure::from(error).during(path.display()))?;
                Ok(())
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::from(error).during(path.display()))
}

fn read_keys(arguments: &[SecretArgument]) -> Result<Keys, Failure> {
    let mut keys = Keys::default();
    for argument in arguments {
        let text = argument.read()?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (kid, key) = read_pair(line).ok_or_else(|| {
                Failure::new("a key is KID:KEY, both of 32 hexadecimal digits").during(argument)
            })?;
            keys.insert(kid, key);
        }
    }
    Ok(keys)
}

/// Each job is a thread with a fragment in memory.
fn read_jobs(text: &str) -> Result<NonZeroUsize, &'static str> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= 256);
    jobs.ok_or("a number of jobs is one from 1 to 256")
}

fn read_pair(line: &str) -> Option<(KeyId, ContentKey)> {
    let (kid, key) = line.split_once(':')?;
    Some((kid.parse().ok()?, ContentKey::parse_hex(key).ok()?))
}
