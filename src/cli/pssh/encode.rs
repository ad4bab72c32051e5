//! `reelkey pssh encode`: boxes for packagers, manifests and tests.

use std::io::{self, IsTerminal, Write};

use base64ct::{Base64, Encoding};
use clap::{Args, ValueEnum};
use reelkey_client::key::KeyId;
use reelkey_client::pssh::ProtectionScheme;
use reelkey_client::pssh::playready::Version;
use serde_json::{Value, json};

use crate::authority::operation::key::ListKeys;
use crate::cli::decrypt::keys::read_pairs;
use crate::cli::folder::paths::Folder;
use crate::cli::inspect::signals::hex;
use crate::cli::manifest::newest;
use crate::cli::operator;
use crate::cli::pssh::contents::{Said, System, Written};
use crate::cli::secret_argument::SecretArgument;
use crate::cli::terminal::output::{Failure, Output};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::key::KeyState;

#[derive(Debug, Args)]
pub(crate) struct EncodeArgs {
    /// A system to write a box for. Can be repeated.
    #[arg(long = "system", value_name = "SYSTEM", value_enum, required = true)]
    systems: Vec<System>,
    /// A KID that the boxes name: a UUID or 32 hexadecimal digits. Can be repeated.
    #[arg(long = "kid", value_name = "KID")]
    kids: Vec<KeyId>,
    /// Take the KIDs of this content from the store: the newest active key of each track.
    #[arg(long, value_name = "CONTENT", conflicts_with = "kids")]
    content: Option<ContentId>,
    /// With --content: only this track type. Can be repeated.
    #[arg(long = "track", value_name = "TYPE", requires = "content", conflicts_with = "kids")]
    tracks: Vec<TrackType>,
    /// A key: KID:KEY in hexadecimal digits, @FILE with one a line, or - for standard input. The PlayReady header gets its
    /// checksum. Without --kid and --content, the boxes name the KIDs of the keys.
    #[arg(long = "key", value_name = "KEY", value_parser = key_argument)]
    keys: Vec<SecretArgument>,
    /// How the media is encrypted: cenc, cens, cbc1 or cbcs.
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<ProtectionScheme>,
    /// Widevine: the provider's name for the content.
    #[arg(long, value_name = "TEXT")]
    content_id: Option<String>,
    /// Widevine: the content provider.
    #[arg(long, value_name = "TEXT")]
    provider: Option<String>,
    /// Widevine: the provider's policy.
    #[arg(long, value_name = "TEXT")]
    policy: Option<String>,
    /// Widevine: which crypto period the keys are for.
    #[arg(long, value_name = "NUMBER")]
    crypto_period_index: Option<u32>,
    /// Widevine: how many seconds each crypto period lasts.
    #[arg(long, value_name = "SECONDS")]
    crypto_period_seconds: Option<u32>,
    /// PlayReady: the version of the header, 4.0, 4.1, 4.2 or 4.3. The default is the lowest that can say the rest.
    #[arg(long, value_name = "VERSION")]
    playready_version: Option<Version>,
    /// PlayReady: where licenses are asked for.
    #[arg(long, value_name = "URL")]
    la_url: Option<String>,
    /// PlayReady: where people find more about a license.
    #[arg(long, value_name = "URL")]
    lui_url: Option<String>,
    /// The form of the output.
    #[arg(long, value_enum, default_value = "base64")]
    format: Form,
}

/// A secret argument, which may also be `-`.
fn key_argument(text: &str) -> Result<SecretArgument, std::convert::Infallible> {
    if text == "-" { "@-".parse() } else { text.parse() }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Each box in base64, one a line.
    Base64,
    /// Each box in hexadecimal digits, one a line.
    Hex,
    /// The bytes of the boxes, one behind the other.
    Binary,
    /// The data of each box in base64, one a line: what tools take that write the box themselves.
    Payload,
}

impl EncodeArgs {
    /// Whether the KIDs come from the store.
    pub(super) fn needs_folder(&self) -> bool {
        self.content.is_some()
    }

    /// An option that says something of a system for which no box is written, and the system.
    fn superfluous(&self) -> Option<(&'static str, System)> {
        let options = [
            ("--content-id", self.content_id.is_some(), System::Widevine),
            ("--provider", self.provider.is_some(), System::Widevine),
            ("--policy", self.policy.is_some(), System::Widevine),
            ("--crypto-period-index", self.crypto_period_index.is_some(), System::Widevine),
            ("--crypto-period-seconds", self.crypto_period_seconds.is_some(), System::Widevine),
            ("--playready-version", self.playready_version.is_some(), System::Playready),
            ("--la-url", self.la_url.is_some(), System::Playready),
            ("--lui-url", self.lui_url.is_some(), System::Playready),
        ];
        let found = options
            .into_iter()
            .find(|(_, is_given, system)| *is_given && !self.systems.contains(system));
        found.map(|(option, _, system)| (option, system))
    }
}

/// Runs `reelkey pssh encode`.
///
/// # Errors
/// There is no KID, an option says something of another system, or a box cannot say all of it.
pub(super) async fn encode(
    folder: &Folder,
    args: EncodeArgs,
    as_json: bool,
) -> Result<Output, Failure> {
    if let Some((option, system)) = args.superfluous() {
        let name = system.to_possible_value().map(|value| value.get_name().to_owned());
        let name = name.unwrap_or_default();
        return Err(Failure::new(format_args!("{option} says something of {name} alone"))
            .remedy(format_args!("leave it out, or add --system {name}")));
    }
    let (systems, form) = (args.systems.clone(), args.format);
    let said = said(folder, args).await?;
    if said.kids.is_empty() && systems.iter().any(|system| *system != System::Fairplay) {
        return Err(Failure::new("no KID is named")
            .remedy("add --kid KID, --content CONTENT or --key KID:KEY"));
    }
    if let Some(kid) = said.keys.keys().find(|kid| !said.kids.contains(kid)) {
        return Err(Failure::new(format_args!("a key is given for {kid}, which no box names"))
            .remedy("add --kid for it, or leave the key out"));
    }
    let written = systems.iter().map(|system| Ok((*system, said.write(*system)?)));
    let written: Vec<(System, Written)> = written.collect::<Result<_, Failure>>()?;
    if form == Form::Binary && !as_json {
        return bytes(&written);
    }
    let line = |(_, written): &(System, Written)| match form {
        Form::Base64 | Form::Binary => Base64::encode_string(&written.whole),
        Form::Hex => hex(&written.whole),
        Form::Payload => Base64::encode_string(&written.payload),
    };
    let text: Vec<_> = written.iter().map(line).collect();
    Ok(Output::new(
        json!({ "pssh": written.iter().map(document).collect::<Vec<_>>() }),
        text.join("\n"),
    ))
}

fn document((system, written): &(System, Written)) -> Value {
    json!({
        "system": system.id().name(),
        "system_id": system.id().to_string(),
        "box": Base64::encode_string(&written.whole),
        "payload": Base64::encode_string(&written.payload),
    })
}

/// Writes the boxes themselves to standard output.
fn bytes(written: &[(System, Written)]) -> Result<Output, Failure> {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        return Err(Failure::new("bytes are of no use in a terminal")
            .remedy("write them into a file: add > FILE, or use --format base64"));
    }
    for (_, written) in written {
        out.write_all(&written.whole)?;
    }
    out.flush()?;
    Ok(Output::new(Value::Null, ""))
}

/// What the boxes say, with the KIDs from wherever they come.
async fn said(folder: &Folder, args: EncodeArgs) -> Result<Said, Failure> {
    let keys = read_pairs(&args.keys)?;
    let mut kids = Vec::new();
    let named = match &args.content {
        Some(content) => of_content(folder, content, args.tracks).await?,
        None if args.kids.is_empty() => keys.keys().copied().collect(),
        None => args.kids,
    };
    for kid in named {
        if !kids.contains(&kid) {
            kids.push(kid);
        }
    }
    Ok(Said {
        kids,
        keys,
        scheme: args.scheme,
        provider: args.provider,
        content_id: args.content_id.map(String::into_bytes),
        policy: args.policy,
        crypto_period_index: args.crypto_period_index,
        crypto_period_seconds: args.crypto_period_seconds,
        playready_version: args.playready_version,
        la_url: args.la_url,
        lui_url: args.lui_url,
    })
}

async fn of_content(
    folder: &Folder,
    content: &ContentId,
    tracks: Vec<TrackType>,
) -> Result<Vec<KeyId>, Failure> {
    let state = Some(KeyState::Active);
    let operation = ListKeys { content_id: Some(content.clone()), tracks, state, limit: None };
    let keys = newest(operator::execute(folder, operation).await?);
    if keys.is_empty() {
        return Err(Failure::new(format_args!("{content} has no such active key"))
            .remedy("see `reelkey key list`, or make one with `reelkey key generate`"));
    }
    keys.iter().map(|key| Ok(key.kid.parse()?)).collect()
}
