//! `reelkey decrypt`: a Common Encryption file or stream with known keys.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reelkey_client::cenc::stream::ReadError;
use reelkey_client::cenc::{Init, Keys, Stream};
use reelkey_client::key::{ContentKey, KeyId};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::cli::output::{Failure, Output};
use crate::cli::secret_argument::SecretArgument;

/// Between two looks at the progress.
const PROGRESS_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct DecryptArgs {
    /// A key: KID:KEY in hexadecimal digits, or @FILE with one such pair a line. May be repeated.
    #[arg(long = "key", value_name = "KID:KEY", required = true)]
    keys: Vec<SecretArgument>,
    /// The initialization segment, if the input holds media segments only.
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// The encrypted file; - is standard input.
    input: PathBuf,
    /// Where to write the clear one; - is standard output.
    output: PathBuf,
}

/// What came out.
struct Done {
    samples: usize,
    bytes: u64,
}

pub(crate) fn decrypt(args: &DecryptArgs) -> Result<Output, Failure> {
    let keys = read_keys(&args.keys)?;
    let init = args.init.as_deref().map(read).transpose()?;
    let during = |failure: Failure| failure.during(args.input.display());
    let mut sink = Sink::open(&args.output)?;
    let done = if is_standard(&args.input) {
        stream(&keys, init, &mut io::stdin().lock(), 0, &mut sink).map_err(during)?
    } else {
        let mut input = File::open(&args.input).map_err(|error| during(error.into()))?;
        match init.is_some() || comes_in_order(&mut input).map_err(|error| during(error.into()))? {
            true => {
                let length = input.metadata()?.len();
                stream(&keys, init, &mut input, length, &mut sink).map_err(during)?
            }
            false => whole(&keys, &mut input, &mut sink).map_err(during)?,
        }
    };
    sink.finish(&args.output)?;
    let Done { samples, bytes } = done;
    if is_standard(&args.output) {
        // The film is the answer.
        return Ok(Output::new(json!(null), ""));
    }
    let output = args.output.display();
    let json = json!({ "output": args.output, "samples": samples, "bytes": bytes });
    Ok(Output::new(json, format!("{output}: {samples} samples, {bytes} bytes.")))
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether a file can be read in one go: before its first `mdat` there are a `moov` and a `moof`. Looks at the headers
/// alone.
fn comes_in_order(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let (mut at, mut has_moov, mut has_moof, mut has_mdat) = (0_u64, false, false, false);
    while !has_mdat && at.saturating_add(8) <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 16];
        let read = file.read(&mut header)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = header;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => length - at,
            1 if read == 16 => {
                let [_, _, _, _, _, _, _, _, large @ ..] = header;
                u64::from_be_bytes(large)
            }
            size => size.into(),
        };
        match &kind {
            b"moov" => has_moov = true,
            b"moof" => has_moof = true,
            b"mdat" => has_mdat = true,
            _ => {}
        }
        // What a header lies about is for the decryption to say.
        at = at.saturating_add(size.max(8));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(!has_mdat || (has_moov && has_moof))
}

/// Reads, decrypts and writes a fragment at a time.
fn stream(
    keys: &Keys,
    init: Option<Vec<u8>>,
    input: &mut dyn Read,
    length: u64,
    sink: &mut Sink,
) -> Result<Done, Failure> {
    let mut stream = match init {
        None => Stream::new(keys),
        Some(mut bytes) => {
            let init = Init::parse(&bytes)?;
            init.clear(&mut bytes);
            // A media segment is of no use without its initialization segment, so both come out.
            sink.take(&bytes);
            Stream::with_init(keys, init)
        }
    };
    let bar = ProgressBar::new(length);
    if let Ok(style) =
        ProgressStyle::with_template("decrypting [{bar:40}] {bytes}/{total_bytes} {eta}")
    {
        bar.set_style(style);
    }
    let mut shown = 0;
    let read = |error| match error {
        ReadError::Stream(error) => Failure::from(error),
        ReadError::Io(error) => Failure::from(error),
    };
    while stream.read_from(input, &mut |bytes| sink.take(bytes)).map_err(read)? {
        sink.hold()?;
        if sink.bytes - shown >= PROGRESS_BYTES {
            shown = sink.bytes;
            bar.set_position(shown);
        }
    }
    let samples = stream.finish(&mut |bytes| sink.take(bytes))?;
    sink.hold()?;
    bar.finish_and_clear();
    Ok(Done { samples, bytes: sink.bytes })
}

/// A file whose samples lie before what describes them, or in a table: it has to be in memory.
fn whole(keys: &Keys, input: &mut File, sink: &mut Sink) -> Result<Done, Failure> {
    let mut media = Vec::new();
    input.read_to_end(&mut media)?;
    let init = Init::parse(&media)?;
    let plan = init.plan(&media)?;
    plan.decrypt(keys, &mut media)?;
    init.clear(&mut media);
    sink.take(&media);
    sink.hold()?;
    Ok(Done { samples: plan.samples().count(), bytes: sink.bytes })
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

fn read_pair(line: &str) -> Option<(KeyId, ContentKey)> {
    let (kid, key) = line.split_once(':')?;
    Some((kid.parse().ok()?, ContentKey::parse_hex(key).ok()?))
}
