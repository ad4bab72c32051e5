//! `reelkey pssh decode`: a table of what boxes say, and whether their checksums fit given keys.
//!
//! Deliberately absent: licenses. A checksum that fits says that the key is the one that the packager had.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::pssh::playready::Checksum;
use reelkey_client::pssh::{Contents, HeaderKey, Pssh};
use serde_json::{Value, json};

use crate::cli::decrypt::keys::read_pairs;
use crate::cli::inspect::document::system;
use crate::cli::inspect::signals::{self, facts, system_name};
use crate::cli::inspect::text::place;
use crate::cli::pssh::input::{Form, Found, find};
use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;

#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// A key whose checksums are compared: KID:KEY in hexadecimal digits, or @FILE with one a line. Can be repeated.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<SecretArgument>,
    /// A film, a segment, boxes in a file, an MPD or a playlist; - is standard input. Or the text itself: a box or its data in
    /// base64 or hexadecimal digits.
    input: String,
}

/// Runs `reelkey pssh decode`.
///
/// # Errors
/// There is no box, or a checksum does not fit its key. Then the table is the failure's result.
pub(super) fn decode(args: &DecodeArgs) -> Result<Output, Failure> {
    let keys = read_pairs(&args.keys)?;
    let shown: Vec<Shown> = match find(&args.input)? {
        Found::InFilm(found) => found
            .into_iter()
            .map(|found| Shown {
                place: place(found.in_moov, found.fragments),
                document: system(&found),
                pssh: found.pssh,
            })
            .collect(),
        Found::Alone(found) => found
            .into_iter()
            .map(|(pssh, form)| Shown {
                place: form.as_str().to_owned(),
                document: alone(&pssh, form),
                pssh,
            })
            .collect(),
    };
    let rows: Vec<_> = shown.iter().flat_map(|shown| rows(shown, &keys)).collect();
    let documents: Vec<_> = shown.iter().map(|shown| document(shown, &keys)).collect();
    let text = table(["DRM SYSTEM", "FIELD", "VALUE"], &rows);
    let output = Output::new(json!({ "pssh": documents }), text);
    let judged: BTreeSet<_> = verdicts(&shown, &keys).collect();
    let wrong: Vec<_> = judged.iter().filter(|(_, fit)| *fit == Fit::No).collect();
    if let Some((kid, _)) = wrong.first() {
        let what = format!("error: the checksum does not fit the key of {kid}");
        let more = match wrong.len() {
            1 => String::new(),
            all => format!(", and {} more do not", all - 1),
        };
        return Err(Failure::new(what + &more).after(output));
    }
    let is_in_vain = |kid: &&KeyId| !judged.contains(&(**kid, Fit::Yes));
    let note = |kid| format!("no checksum is there for the key of {kid}");
    let notes = keys.keys().filter(is_in_vain).map(note).collect();
    Ok(output.with_notes(notes))
}

/// A box, where it was, and its document.
struct Shown {
    pssh: Pssh,
    place: String,
    document: Value,
}

fn alone(pssh: &Pssh, form: Form) -> Value {
    let mut document = signals::document(pssh);
    if let Some(members) = document.as_object_mut() {
        members.insert("form".into(), form.as_str().into());
    }
    document
}

/// Whether a checksum fits the key that was given for its KID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Yes,
    No,
    /// There is no checksum, or no key to compare it with.
    Unknown,
}

impl Fit {
    fn of(key: &HeaderKey, keys: &BTreeMap<KeyId, ContentKey>) -> Self {
        match (key.checksum, keys.get(&key.kid)) {
            (Some(checksum), Some(given)) if checksum == Checksum::of(key.kid, given) => Self::Yes,
            (Some(_), Some(_)) => Self::No,
            (None, _) | (_, None) => Self::Unknown,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Yes => " (fits the key)",
            Self::No => " (does not fit the key)",
            Self::Unknown => "",
        }
    }
}

/// Each KID of the PlayReady headers, and what is said of its key.
fn verdicts(
    shown: &[Shown],
    keys: &BTreeMap<KeyId, ContentKey>,
) -> impl Iterator<Item = (KeyId, Fit)> {
    let headers = shown.iter().flat_map(|shown| header_keys(&shown.pssh));
    headers.map(|key| (key.kid, Fit::of(&key, keys)))
}

fn header_keys(pssh: &Pssh) -> Vec<HeaderKey> {
    match pssh.contents() {
        Some(Contents::PlayReady(header)) => header.keys,
        Some(Contents::Widevine(_)) | None => Vec::new(),
    }
}

/// The rows of a box: its name once, then a fact a row.
fn rows(shown: &Shown, keys: &BTreeMap<KeyId, ContentKey>) -> Vec<[String; 3]> {
    let pssh = &shown.pssh;
    let mut all = vec![
        ("system ID", pssh.system_id.to_string()),
        (
            "found",
            format!("{}, version {}, {} bytes of data", shown.place, pssh.version, pssh.data.len()),
        ),
    ];
    let keys_of_header = header_keys(pssh);
    let is_shown_with_key = |kid: &KeyId| keys_of_header.iter().any(|key| key.kid == *kid);
    let kids = pssh.all_kids().into_iter().filter(|kid| !is_shown_with_key(kid));
    all.extend(kids.map(|kid| ("KID", kid.to_string())));
    for key in &keys_of_header {
        let algorithm = key.algorithm.as_deref().unwrap_or("cipher unknown");
        let said = match key.checksum {
            Some(checksum) => format!("checksum {checksum}{}", Fit::of(key, keys).text()),
            None => "no checksum".into(),
        };
        all.push(("KID", format!("{}, {algorithm}, {said}", key.kid)));
    }
    all.extend(facts(pssh));
    let mut name = system_name(pssh);
    let row = |(fact, value): (&str, String)| [std::mem::take(&mut name), fact.to_owned(), value];
    all.into_iter().map(row).collect()
}

/// The document of a box, each PlayReady key with its verdict.
fn document(shown: &Shown, keys: &BTreeMap<KeyId, ContentKey>) -> Value {
    let mut document = shown.document.clone();
    let listed = document.pointer_mut("/playready/keys").and_then(Value::as_array_mut);
    let listed = listed.into_iter().flatten().filter_map(Value::as_object_mut);
    for (members, key) in listed.zip(header_keys(&shown.pssh)) {
        let fits = match Fit::of(&key, keys) {
            Fit::Yes => Value::Bool(true),
            Fit::No => Value::Bool(false),
            Fit::Unknown => Value::Null,
        };
        members.insert("checksum_fits".into(), fits);
    }
    document
}
