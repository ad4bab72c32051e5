//! `reelkey key`: content keys. None is ever printed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reelkey_client::key::{ContentKey, KeyId};
use serde_json::json;

use crate::authority::operation::{KeyView, Operation, Outcome};
use crate::cli::folder::paths::Folder;
use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::output::{Failure, Output, table};
use crate::cli::{clock, key_file, operator};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a random key with a new KID.
    Generate {
        /// The title.
        content: ContentId,
        /// What the key encrypts: AUDIO, SD, HD, UHD1 or UHD2.
        #[arg(long)]
        track: Option<TrackType>,
    },
    /// Store a key that a packager has used, or many of them.
    Import(ImportArgs),
    /// Write active keys in the clear to a file that only its owner may read.
    Export(ExportArgs),
    /// List the keys, of one title or of all.
    List {
        /// The title.
        content: Option<ContentId>,
    },
    /// Show what is known of a key. Not the key itself.
    Show {
        /// The key ID.
        kid: KeyId,
    },
    /// Make a new key beside the old ones, which stay until they are retired.
    Rotate {
        /// The title.
        content: ContentId,
        /// For this track type only; otherwise for each that the title has.
        #[arg(long)]
        track: Option<TrackType>,
    },
    /// Give a key out no more. What was packaged with it no longer plays.
    Retire {
        /// The key ID.
        kid: KeyId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The title.
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    content: Option<ContentId>,
    /// The key ID: a UUID or 32 hexadecimal digits.
    #[arg(long, required_unless_present = "from", conflicts_with = "from")]
    kid: Option<KeyId>,
    /// The key: @FILE that holds 32 hexadecimal digits, or @- for standard input.
    #[arg(long, value_name = "@FILE", required_unless_present = "from", conflicts_with = "from")]
    key: Option<SecretArgument>,
    /// What the key encrypts: AUDIO, SD, HD, UHD1 or UHD2.
    #[arg(long, conflicts_with = "from")]
    track: Option<TrackType>,
    /// Many keys: one JSON object a line, with content_id, kid, key and, if known, track_type; - is standard
    /// input.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Add the titles that are missing, under these policies.
    #[arg(long, value_name = "NAME", requires = "from")]
    policy: Vec<String>,
}

impl ImportArgs {
    /// The operation that stores the one key.
    fn single(&self) -> Result<Operation, Failure> {
        let (Some(content), Some(kid), Some(key)) = (&self.content, &self.kid, &self.key) else {
            return Err(Failure::new("say which title, --kid and --key, or --from FILE"));
        };
        let key = key.read()?;
        ContentKey::parse_hex(&key)?;
        let (kid, content_id) = (kid.to_string(), content.clone());
        Ok(Operation::KeyImport { kid, content_id, track_type: self.track, key })
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The title; otherwise all.
    content: Option<ContentId>,
    /// The file, which must not be there yet. `key import --from` reads it.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(crate) async fn run(folder: &Folder, command: KeyCommand) -> Result<Output, Failure> {
    let single = matches!(command, KeyCommand::Show { .. });
    let operation = match command {
        KeyCommand::Generate { content, track } => {
            Operation::KeyGenerate { content_id: content, track_type: track }
        }
        KeyCommand::Import(ImportArgs { from: Some(from), policy, .. }) => {
            return key_file::import(folder, &from, &policy).await;
        }
        KeyCommand::Import(args) => args.single()?,
        KeyCommand::Export(ExportArgs { content, to, yes }) => {
            return key_file::export(folder, content, &to, yes).await;
        }
        KeyCommand::List { content } => Operation::KeyList { content_id: content },
        KeyCommand::Show { kid } => Operation::KeyShow { kid: kid.to_string() },
        KeyCommand::Rotate { content, track } => {
            Operation::KeyRotate { content_id: content, track_type: track }
        }
        KeyCommand::Retire { kid } => Operation::KeyRetire { kid: kid.to_string() },
    };
    match operator::execute(folder, operation).await? {
        Outcome::KeyStored { key, created } => Ok(stored(&key, created)),
        Outcome::KeyRetired { key, changed } => Ok(retired(&key, changed)),
        Outcome::Keys { keys } if single => {
            Ok(Output::new(keys.first().map_or(json!(null), |key| json!(key)), key_table(&keys)))
        }
        Outcome::Keys { keys } if keys.is_empty() => {
            let text = "no keys yet.\nnext: reelkey key generate movies/bunny --track HD";
            Ok(Output::new(json!(keys), text))
        }
        Outcome::Keys { keys } => Ok(Output::new(json!(keys), key_table(&keys))),
        other => Err(Failure::unexpected(&other)),
    }
}

fn stored(key: &KeyView, created: bool) -> Output {
    let KeyView { kid, content_id, track_type, .. } = key;
    let json = json!({ "kid": kid, "content_id": content_id, "track_type": track_type,
        "created": created });
    let text = if created {
        format!("key {kid} stored for {content_id}.")
    } else {
        format!("key {kid} is there already; nothing was changed.")
    };
    Output::new(json, text)
}

fn retired(key: &KeyView, changed: bool) -> Output {
    let json = json!({ "kid": key.kid, "content_id": key.content_id, "changed": changed });
    let text = if changed {
        format!("key {} of {} is retired: no license holds it any more.", key.kid, key.content_id)
    } else {
        format!("key {} was retired before; nothing was changed.", key.kid)
    };
    Output::new(json, text)
}

pub(super) fn key_table(keys: &[KeyView]) -> String {
    let row = |key: &KeyView| {
        [
            key.kid.clone(),
            key.content_id.clone(),
            key.track_type.clone().unwrap_or_else(|| "any".into()),
            key.state.clone(),
            clock::show(key.created_at),
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    table(["KID", "CONTENT", "TRACK", "STATE", "ADDED"], &rows)
}
