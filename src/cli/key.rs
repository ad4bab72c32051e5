//! `reelkey key`: content keys. Only `key export` writes keys in the clear, and only to a file.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reelkey_client::key::{ContentKey, KeyId};
use serde_json::json;

use crate::authority::operation::key::{
    GenerateKey, ImportKey, KeyRetired, KeyStored, KeyView, ListKeys, RetireKey, RotateKeys,
    ShowKey,
};
use crate::cli::folder::paths::Folder;
use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::confirm::confirm;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::terminal::table::table;
use crate::cli::{clock, key_file, operator};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::key::KeyState;

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Generate a random key with a new KID.
    Generate {
        /// The content ID, for example movies/bunny.
        content: ContentId,
        /// The track type that the key encrypts: AUDIO, SD, HD, UHD1 or UHD2.
        #[arg(long)]
        track: Option<TrackType>,
        /// The crypto period that the key is for (crypto_period_index). `key rotate` makes the key of the next one.
        #[arg(long, value_name = "INDEX")]
        period: Option<u32>,
    },
    /// Store a key that a packager has used, or many keys.
    Import(ImportArgs),
    /// Write active keys in the clear to a file that only its owner may read.
    Export(key_file::ExportArgs),
    /// List the keys of one content or of all, ordered by content and track, the newest first.
    List(ListArgs),
    /// Show everything about a key except the key itself.
    Show {
        /// The key ID.
        kid: KeyId,
    },
    /// Make a new key beside the old ones, which stay active until they are retired.
    Rotate {
        /// The content ID.
        content: ContentId,
        /// Only this track type. The default is each track type of the content.
        #[arg(long)]
        track: Option<TrackType>,
    },
    /// Retire a key: new licenses do not contain it. What was packaged with it no longer plays.
    Retire {
        /// The key ID.
        kid: KeyId,
        /// Do not ask for confirmation.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The content ID. The default is all contents.
    content: Option<ContentId>,
    /// Only keys of this track type: AUDIO, SD, HD, UHD1 or UHD2. Can be repeated.
    #[arg(long, value_name = "TYPE")]
    track: Vec<TrackType>,
    /// Only keys in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// At most this many keys, the first ones.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// The state of a key.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    /// It can be granted.
    Active,
    /// It is never granted again.
    Retired,
}

impl From<State> for KeyState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Retired => Self::Retired,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The content ID. With --from, that of a CPIX document that names none.
    #[arg(required_unless_present = "from")]
    content: Option<ContentId>,
    /// The key ID: a UUID or 32 hexadecimal digits.
    #[arg(long, required_unless_present = "from", conflicts_with = "from")]
    kid: Option<KeyId>,
    /// The key: @FILE with 32 hexadecimal digits, or @- for standard input.
    #[arg(long, value_name = "@FILE", required_unless_present = "from", conflicts_with = "from")]
    key: Option<SecretArgument>,
    /// The track type that the key encrypts: AUDIO, SD, HD, UHD1 or UHD2.
    #[arg(long, conflicts_with = "from")]
    track: Option<TrackType>,
    /// The crypto period that the key is for (crypto_period_index).
    #[arg(long, value_name = "INDEX", conflicts_with = "from")]
    period: Option<u32>,
    /// A file with many keys: a CPIX document in the clear, or one JSON object per line with content_id, kid, key and, if
    /// known, track_type; - is standard input.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Add missing contents with these policies.
    #[arg(long, value_name = "NAME", requires = "from")]
    policy: Vec<String>,
}

impl ImportArgs {
    /// The operation that stores one key.
    fn single(&self) -> Result<ImportKey, Failure> {
        let (Some(content), Some(kid), Some(key)) = (&self.content, &self.kid, &self.key) else {
            return Err(Failure::new("give a content ID, --kid and --key, or --from FILE"));
        };
        let key = key.read()?;
        ContentKey::parse_hex(&key)?;
        let (kid, content_id) = (kid.to_string(), content.clone());
        let (track_type, crypto_period_index) = (self.track, self.period);
        Ok(ImportKey { kid, content_id, track_type, crypto_period_index, key })
    }
}

pub(crate) async fn run(folder: &Folder, command: KeyCommand) -> Result<Output, Failure> {
    match command {
        KeyCommand::Generate { content: content_id, track: track_type, period } => {
            let operation = GenerateKey { content_id, track_type, crypto_period_index: period };
            Ok(stored(&operator::execute(folder, operation).await?))
        }
        KeyCommand::Import(ImportArgs { from: Some(from), content, policy, .. }) => {
            key_file::import(folder, &from, content.as_ref(), &policy).await
        }
        KeyCommand::Import(args) => Ok(stored(&operator::execute(folder, args.single()?).await?)),
        KeyCommand::Export(args) => key_file::export(folder, args).await,
        KeyCommand::List(ListArgs { content: content_id, track: tracks, state, limit }) => {
            let state = state.map(KeyState::from);
            let operation = ListKeys { content_id, tracks, state, limit };
            Ok(list(&operator::execute(folder, operation).await?))
        }
        KeyCommand::Show { kid } => {
            let key = operator::execute(folder, ShowKey { kid: kid.to_string() }).await?;
            Ok(Output::new(json!(key), key_table(&[key])))
        }
        KeyCommand::Rotate { content: content_id, track: track_type } => {
            let operation = RotateKeys { content_id, track_type };
            Ok(list(&operator::execute(folder, operation).await?))
        }
        KeyCommand::Retire { kid, yes } => {
            let question =
                format!("Retire {kid} for good? What was packaged with it no longer plays.");
            confirm(&question, yes)?;
            let operation = RetireKey { kid: kid.to_string() };
            Ok(retired(&operator::execute(folder, operation).await?))
        }
    }
}

fn list(keys: &[KeyView]) -> Output {
    let text = match keys {
        [] => "no keys yet.\nnext: reelkey key generate movies/bunny --track HD".into(),
        keys => key_table(keys),
    };
    Output::new(json!(keys), text)
}

fn stored(stored: &KeyStored) -> Output {
    let KeyStored {
        key: KeyView { kid, content_id, track_type, crypto_period_index, .. },
        created,
    } = stored;
    let json = json!({ "kid": kid, "content_id": content_id, "track_type": track_type,
        "crypto_period_index": crypto_period_index, "created": created });
    let text = if *created {
        format!("key {kid} stored for {content_id}.")
    } else {
        format!("key {kid} exists already; nothing was changed.")
    };
    Output::new(json, text)
}

fn retired(retired: &KeyRetired) -> Output {
    let KeyRetired { key, changed } = retired;
    let json = json!({ "kid": key.kid, "content_id": key.content_id, "changed": changed });
    let text = if *changed {
        format!("key {} of {} is retired: new licenses do not contain it.", key.kid, key.content_id)
    } else {
        format!("key {} is retired already; nothing was changed.", key.kid)
    };
    Output::new(json, text)
}

pub(super) fn key_table(keys: &[KeyView]) -> String {
    let row = |key: &KeyView| {
        [
            key.kid.clone(),
            key.content_id.clone(),
            key.track_type.clone().unwrap_or_else(|| "any".into()),
            key.crypto_period_index.map_or_else(String::new, |period| period.to_string()),
            key.state.clone(),
            clock::show(key.created_at),
        ]
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    table(["KID", "CONTENT", "TRACK", "PERIOD", "STATE", "ADDED"], &rows)
}
