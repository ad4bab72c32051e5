//! Files of keys in the clear: `key import --from`, which takes CPIX documents too, and `key export`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reelkey_client::strict;
use serde_json::json;
use zeroize::Zeroizing;

use crate::authority::operation::clear_key::{ExportKeys, ImportKeys, KeysExported, PlainKey};
use crate::cli::aside::AsideFile;
use crate::cli::folder::paths::Folder;
use crate::cli::key_format::{KeyFormat, write_for_packager};
use crate::cli::operator::Operator;
use crate::cli::source::{is_standard, standard_input};
use crate::cli::terminal::confirm::{confirm, is_somebody_there};
use crate::cli::terminal::output::{Failure, Output};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::http::keys::cpix::plain_document;
use crate::http::keys::xml::reader;

/// How many keys one operation carries. With at most 400 bytes each, they fit into the longest request.
const AT_ONCE: usize = 2000;

/// The longest line, in bytes.
const LINE_BYTES_MAX: u64 = 400;

/// Stores every key of the file, in order. Stops at the first that is refused. Missing contents are added with
/// `policies`, unless that list is empty. `content` is the content of a CPIX document.
pub(super) async fn import(
    folder: &Folder,
    from: &Path,
    content: Option<&ContentId>,
    policies: &[String],
) -> Result<Output, Failure> {
    let mut lines = Lines::open(from)?;
    if lines.are_xml()? {
        let document = lines.whole()?;
        return import_document(folder, from, &document, content, policies).await;
    }
    if content.is_some() {
        let what =
            "a content ID goes with a CPIX document alone: each line of another file has its own";
        return Err(Failure::new(what).during(from.display()));
    }
    let operator = Operator::reach(folder).await?;
    let bar = progress(lines.length, "importing [{bar:40}] {percent}% {msg} {eta}");
    let (mut stored, mut already) = (0, 0);
    let result = loop {
        let first = lines.number + 1;
        // The keys before a malformed line are stored all the same.
        let (keys, broken) = lines.read_some();
        let (policies, last) = (policies.to_vec(), keys.len() < AT_ONCE);
        let imported = operator.execute(ImportKeys { policies, keys }).await?;
        stored += imported.stored;
        already += imported.already;
        let at = first + imported.stored + imported.already;
        let refused = imported.refused.map(|why| Failure::new(format_args!("line {at}: {why}")));
        bar.set_position(lines.bytes_read);
        bar.set_message(format!("{stored} keys"));
        match refused.or(broken) {
            Some(failure) => break Err(failure),
            None if last => break Ok(()),
            None => {}
        }
    };
    bar.finish_and_clear();
    result.map_err(|failure| {
        failure.during(from.display()).remedy(format_args!(
            "correct the line and run the command again; the {} keys before it are stored",
            stored + already
        ))
    })?;
    Ok(outcome(stored, already))
}

/// Stores the keys of a CPIX document, in order.
async fn import_document(
    folder: &Folder,
    from: &Path,
    document: &[u8],
    content: Option<&ContentId>,
    policies: &[String],
) -> Result<Output, Failure> {
    let keys = plain_document::keys(document, content);
    let keys = keys.map_err(|why| Failure::new(why).during(from.display()))?;
    let kids: Vec<_> = keys.iter().map(|key| key.kid.clone()).collect();
    let operator = Operator::reach(folder).await?;
    let imported = operator.execute(ImportKeys { policies: policies.to_vec(), keys }).await?;
    let (stored, already) = (imported.stored, imported.already);
    if let Some(why) = imported.refused {
        let kid = kids.get(stored + already).map(String::as_str).unwrap_or_default();
        return Err(Failure::new(format_args!("the key {kid}: {why}")).during(from.display()));
    }
    Ok(outcome(stored, already))
}

fn outcome(stored: usize, already: usize) -> Output {
    let text = match already {
        0 => format!("{stored} keys stored."),
        _ => format!("{stored} keys stored; {already} existed already."),
    };
    Output::new(json!({ "stored": stored, "already": already }), text)
}

fn progress(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A file that is read line by line. Each line is zeroed after it was read.
struct Lines {
    input: Box<dyn BufRead>,
    length: u64,
    bytes_read: u64,
    number: usize,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, Failure> {
        if is_standard(path) {
            let input = Box::new(standard_input()?);
            return Ok(Self { input, length: 0, bytes_read: 0, number: 0 });
        }
        let file = File::open(path).map_err(|error| Failure::from(error).during(path.display()))?;
        let length = file.metadata()?.len();
        Ok(Self { input: Box::new(BufReader::new(file)), length, bytes_read: 0, number: 0 })
    }

    /// Whether the file begins as an XML document does.
    fn are_xml(&mut self) -> Result<bool, Failure> {
        let start = self.input.fill_buf()?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        Ok(start.trim_ascii_start().starts_with(b"<"))
    }

    /// All of the file, at most one byte more than a document may have.
    fn whole(&mut self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut document = Zeroizing::new(Vec::with_capacity(reader::BYTES_MAX + 1));
        let most = u64::try_from(reader::BYTES_MAX + 1).unwrap_or(u64::MAX);
        (&mut self.input).take(most).read_to_end(&mut document)?;
        Ok(document)
    }

    /// The next keys, fewer than [`AT_ONCE`] at the end, and what is wrong with the line after them, if anything.
    fn read_some(&mut self) -> (Vec<PlainKey>, Option<Failure>) {
        let mut keys = Vec::with_capacity(AT_ONCE);
        while keys.len() < AT_ONCE {
            match self.read_one() {
                Ok(Some(key)) => keys.push(key),
                Ok(None) => break,
                Err(failure) => return (keys, Some(failure)),
            }
        }
        (keys, None)
    }

    fn read_one(&mut self) -> Result<Option<PlainKey>, Failure> {
        let mut line = Zeroizing::new(Vec::with_capacity(512));
        let read = (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes_read = self.bytes_read.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let wrong = |what: &str| Failure::new(format_args!("line {}: {what}", self.number));
        if line.last() != Some(&b'\n')
            && u64::try_from(read).is_ok_and(|read| read == LINE_BYTES_MAX)
        {
            return Err(wrong("longer than 400 bytes"));
        }
        // The parser's error could repeat a key.
        strict::json::read(&line).map(Some).map_err(|_| {
            wrong("not {\"content_id\":…,\"kid\":…,\"key\":…}, with \"track_type\" if it is known")
        })
    }
}

/// The arguments of `key export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The content ID. The default is all contents; the formats of packagers need one.
    #[arg(required_if_eq_any([
        ("format", "shaka"), ("format", "ffmpeg"), ("format", "bento4"), ("format", "gpac"),
    ]))]
    content: Option<ContentId>,
    /// The new file, with mode 0600; - is standard output.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The format. Packagers get the newest active key of each track.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: KeyFormat,
    /// Only keys of this track type: AUDIO, SD, HD, UHD1 or UHD2. Can be repeated.
    #[arg(long, value_name = "TYPE")]
    track: Vec<TrackType>,
    /// Replace the file if it exists.
    #[arg(long)]
    overwrite: bool,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

/// Writes active keys in the clear. Asks for confirmation first, unless `--yes` was given.
pub(super) async fn export(folder: &Folder, args: ExportArgs) -> Result<Output, Failure> {
    let operator = Operator::reach(folder).await?;
    let to = &args.to;
    if !args.yes && !is_somebody_there() {
        let what = "this writes content keys in the clear, and there is no terminal to ask for confirmation";
        return Err(Failure::new(what).remedy("add --yes to confirm"));
    }
    confirm(&format!("Write content keys in the clear to {}?", to.display()), args.yes)?;
    if is_standard(to) {
        write(&operator, &args, &mut io::stdout()).await?;
        // The keys themselves are the output.
        return Ok(Output::new(json!(null), ""));
    }
    let mut file = AsideFile::create(to, args.overwrite)?;
    // An incomplete file of keys is useless, and as dangerous as a complete one, so it gets its name at the end.
    let exported = write(&operator, &args, &mut file).await?;
    file.finish(true)?;
    let text = format!(
        "{exported} keys are in {} in the clear: whoever reads it can decrypt everything.\n\
         next: keep it where nobody else looks, and delete it once it was used",
        to.display()
    );
    Ok(Output::new(json!({ "exported": exported, "file": to }), text))
}

async fn write(
    operator: &Operator<'_>,
    args: &ExportArgs,
    out: &mut impl Write,
) -> Result<usize, Failure> {
    let wants = |key: &PlainKey| {
        args.track.is_empty() || key.track_type.is_some_and(|track| args.track.contains(&track))
    };
    let (mut exported, mut after) = (0, None);
    loop {
        let content_id = args.content.clone();
        let KeysExported { mut keys, next } =
            operator.execute(ExportKeys { content_id, after }).await?;
        keys.retain(wants);
        if args.format != KeyFormat::Jsonl {
            let (count, text) = write_for_packager(args.format, &keys)?;
            out.write_all(text.as_bytes())?;
            out.flush()?;
            return Ok(count);
        }
        let mut lines = Zeroizing::new(Vec::with_capacity(keys.len().saturating_mul(512)));
        for key in &keys {
            serde_json::to_writer(&mut *lines, key)?;
            lines.push(b'\n');
        }
        out.write_all(&lines)?;
        exported += keys.len();
        after = next;
        if after.is_none() {
            out.flush()?;
            return Ok(exported);
        }
    }
}
