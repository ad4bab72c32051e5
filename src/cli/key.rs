//! `reelkey key`: content keys. None is ever printed.

use clap::Subcommand;
use reelkey_client::key::{ContentKey, KeyId};
use serde_json::{Value, json};

use crate::authority::provision::{self, NewKey, Provisioned};
use crate::cli::folder::Folder;
use crate::cli::output::{Failure, Output, table};
use crate::cli::secret_argument::SecretArgument;
use crate::cli::{clock, installation};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::{self, KeyRecord, KeyState};

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
    /// Store a key that a packager has used.
    Import {
        /// The title.
        content: ContentId,
        /// The key ID: a UUID or 32 hexadecimal digits.
        #[arg(long)]
        kid: KeyId,
        /// The key: @FILE that holds 32 hexadecimal digits, or @- for standard input.
        #[arg(long, value_name = "@FILE")]
        key: SecretArgument,
        /// What the key encrypts: AUDIO, SD, HD, UHD1 or UHD2.
        #[arg(long)]
        track: Option<TrackType>,
    },
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
}

pub(crate) async fn run(folder: &Folder, command: KeyCommand) -> Result<Output, Failure> {
    match command {
        KeyCommand::Generate { content, track } => generate(folder, &content, track).await,
        KeyCommand::Import { content, kid, key, track } => {
            let key = ContentKey::parse_hex(&key.read()?)?;
            import(folder, NewKey { kid, content: &content, track, key }).await
        }
        KeyCommand::List { content } => list(folder, content).await,
        KeyCommand::Show { kid } => show(folder, kid).await,
    }
}

async fn generate(
    folder: &Folder,
    content: &ContentId,
    track: Option<TrackType>,
) -> Result<Output, Failure> {
    let (store, keyring) = installation::open(folder).await?;
    let kid = provision::generate_key(&*store, &keyring, content, track, clock::now()).await?;
    let json = json!({ "kid": kid.to_string(), "content_id": content.as_str(),
        "track_type": track.map(TrackType::as_str), "created": true });
    Ok(Output::new(json, format!("key {kid} generated for {content}.")))
}

async fn import(folder: &Folder, new: NewKey<'_>) -> Result<Output, Failure> {
    let (kid, content, track) = (new.kid, new.content, new.track);
    let (store, keyring) = installation::open(folder).await?;
    let done = provision::import_key(&*store, &keyring, new, clock::now()).await?;
    let json = json!({ "kid": kid.to_string(), "content_id": content.as_str(),
        "track_type": track.map(TrackType::as_str), "created": done == Provisioned::Done });
    let text = match done {
        Provisioned::Done => format!("key {kid} imported for {content}."),
        Provisioned::Already => format!("key {kid} is there already; nothing was changed."),
    };
    Ok(Output::new(json, text))
}

async fn list(folder: &Folder, content: Option<ContentId>) -> Result<Output, Failure> {
    let store = installation::open_store(folder)?;
    let keys = match &content {
        Some(content) => {
            if record::content(&*store, content).await?.is_none() {
                return Err(Failure::new(format_args!("there is no content {content}"))
                    .remedy("see `reelkey content list`"));
            }
            record::keys_of(&*store, content).await?
        }
        None => record::all::<KeyRecord>(&*store).await?,
    };
    let json = keys.iter().map(key_json).collect();
    let text = if keys.is_empty() {
        "no keys yet.\nnext: reelkey key generate movies/bunny --track HD".to_owned()
    } else {
        key_table(&keys)
    };
    Ok(Output::new(json, text))
}

async fn show(folder: &Folder, kid: KeyId) -> Result<Output, Failure> {
    let store = installation::open_store(folder)?;
    let key = record::key(&*store, kid).await?;
    let key = key.ok_or_else(|| Failure::new(format_args!("there is no key {kid}")))?;
    let text = key_table(std::slice::from_ref(&key));
    Ok(Output::new(key_json(&key), text))
}

pub(super) fn key_json(key: &KeyRecord) -> Value {
    json!({ "kid": key.kid.to_string(), "content_id": key.content_id.as_str(),
        "track_type": key.track_type.map(TrackType::as_str), "state": state(key.state),
        "kek": key.wrapped.kek, "created_at": key.created_at })
}

pub(super) fn key_table(keys: &[KeyRecord]) -> String {
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            [
                key.kid.to_string(),
                key.content_id.to_string(),
                key.track_type.map_or("any", TrackType::as_str).to_owned(),
                state(key.state).to_owned(),
                clock::show(key.created_at),
            ]
        })
        .collect();
    table(["KID", "CONTENT", "TRACK", "STATE", "ADDED"], &rows)
}

fn state(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Retired => "retired",
    }
}
