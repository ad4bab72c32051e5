//! `reelkey manifest`: the lines of a DASH manifest or an HLS playlist that lead players to the license and the keys.
//!
//! Which player understands which lines was tried with the players; `docs/players/README.md` has the table.

use clap::{Args, ValueEnum};
use reelkey_client::key::KeyId;
use reelkey_client::pssh::{ProtectionScheme, SystemId};
use serde_json::{Value, json};

use crate::authority::operation::content::ShowContent;
use crate::authority::operation::key::{KeyView, ListKeys};
use crate::cli::folder::config::Config;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::terminal::output::{Failure, Output};
use crate::domain::content::ContentId;
use crate::domain::period;
use crate::domain::signalling::dash::{self, Prefix};
use crate::domain::signalling::hls::{KeyTag, Method};
use crate::domain::signalling::manifest_url::{InvalidManifestUrl, ManifestUrl};
use crate::domain::track::TrackType;
use crate::store::record::key::KeyState;

#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// The content ID.
    content: ContentId,
    /// The form of the manifest.
    #[arg(long, value_enum)]
    format: ManifestFormat,
    /// How the media is encrypted. The default is cenc for DASH, and whole segments (aes-128) for HLS.
    #[arg(long, value_enum)]
    scheme: Option<Scheme>,
    /// Only this track type: AUDIO, SD, HD, UHD1 or UHD2. Can be repeated.
    #[arg(long, value_name = "TYPE")]
    track: Vec<TrackType>,
    /// The URL of the authorization service, which players of the DASH-IF license request model ask for tokens (DASH only).
    #[arg(long, value_name = "URL", value_parser = authzurl)]
    authzurl: Option<ManifestUrl>,
}

/// A URL that a browser can ask.
fn authzurl(text: &str) -> Result<ManifestUrl, String> {
    if ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
        text.parse().map_err(|error: InvalidManifestUrl| error.to_string())
    } else {
        Err("it must be a URL with https:// or http://".into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ManifestFormat {
    /// ContentProtection elements for an MPD.
    Dash,
    /// EXT-X-KEY tags for playlists.
    Hls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scheme {
    /// Common Encryption with AES-CTR.
    Cenc,
    /// Common Encryption with AES-CBC and a pattern.
    Cbcs,
    /// Whole segments (HLS only). It plays in every HLS player, and in native ones.
    #[value(name = "aes-128")]
    Aes128,
}

pub(crate) async fn manifest(folder: &Folder, args: ManifestArgs) -> Result<Output, Failure> {
    let ManifestArgs { content, format, scheme, track: tracks, authzurl } = args;
    if authzurl.is_some() && format == ManifestFormat::Hls {
        return Err(Failure::new("HLS has no line for an authorization service")
            .remedy("leave --authzurl out, or use --format dash"));
    }
    let config = Config::read(folder)?;
    let base = config.public_url.as_ref().ok_or_else(|| {
        let what = "public_url is not set, so nothing can lead players to the service";
        Failure::new(what).remedy(format_args!(
            "write public_url = \"https://drm.example\" into {}",
            folder.config().display()
        ))
    })?;
    let state = Some(KeyState::Active);
    let operation = ListKeys { content_id: Some(content.clone()), tracks, state, limit: None };
    let keys = newest(operator::execute(folder, operation).await?);
    let shown = operator::execute(folder, ShowContent { content_id: content.clone() }).await?;
    if keys.is_empty() {
        return Err(Failure::new(format_args!("{content} has no such active key"))
            .remedy("see `reelkey key list`, or make one with `reelkey key generate`"));
    }
    let (base, default) = match format {
        ManifestFormat::Dash => (base.as_str(), Scheme::Cenc),
        ManifestFormat::Hls => (base.as_str(), Scheme::Aes128),
    };
    let scheme = scheme.unwrap_or(default);
    let mut entries = Vec::new();
    for key in &keys {
        let kid: KeyId = key.kid.parse()?;
        let lines = match (format, scheme) {
            (ManifestFormat::Dash, Scheme::Aes128) => {
                return Err(Failure::new("DASH has no segments that are encrypted as a whole")
                    .remedy("use --scheme cenc or --scheme cbcs"));
            }
            (ManifestFormat::Dash, Scheme::Cenc) => {
                dash(ProtectionScheme::Cenc, kid, base, authzurl.as_ref())?
            }
            (ManifestFormat::Dash, Scheme::Cbcs) => {
                dash(ProtectionScheme::Cbcs, kid, base, authzurl.as_ref())?
            }
            (ManifestFormat::Hls, Scheme::Aes128) => hls_aes128(&content, kid, base)?,
            (ManifestFormat::Hls, Scheme::Cenc) => {
                KeyTag::clear_key(Method::SampleAesCtr, kid).media_line()
            }
            (ManifestFormat::Hls, Scheme::Cbcs) => {
                KeyTag::clear_key(Method::SampleAes, kid).media_line()
            }
        };
        entries.push((key, lines));
    }
    let policies = installation::policies(folder)?;
    let mut own = policies.iter().filter(|policy| shown.content.policies.contains(&policy.name));
    let (field, is_allowed) = match scheme {
        Scheme::Aes128 => ("allow_hls_aes128", own.any(|policy| policy.allow_hls_aes128)),
        Scheme::Cenc | Scheme::Cbcs => ("allow_clearkey", own.any(|policy| policy.allow_clearkey)),
    };
    let note = (!is_allowed).then(|| {
        let more = match scheme {
            Scheme::Aes128 => "",
            Scheme::Cenc | Scheme::Cbcs => {
                "; players with the browser module need no such permission"
            }
        };
        format!("no policy of {content} has {field} = true, so the service will refuse{more}")
    });
    Ok(report(format, &entries, note))
}

/// The first key of each track type, lists having the newest first; of keys with crypto periods, the first of each of the
/// two highest periods, which licenses hold.
pub(crate) fn newest(keys: Vec<KeyView>) -> Vec<KeyView> {
    let current = period::current(keys.iter().filter_map(|key| key.crypto_period_index));
    let mut newest: Vec<KeyView> = Vec::new();
    let is_current =
        |key: &KeyView| key.crypto_period_index.is_none() || key.crypto_period_index >= current;
    for key in keys.into_iter().filter(is_current) {
        let is_same = |there: &KeyView| {
            (&there.track_type, there.crypto_period_index)
                == (&key.track_type, key.crypto_period_index)
        };
        if !newest.iter().any(is_same) {
            newest.push(key);
        }
    }
    newest
}

/// There is no `pssh` of the Common system: dash.js cannot use it, and the initialization segment has it for the others.
fn dash(
    scheme: ProtectionScheme,
    kid: KeyId,
    base: &str,
    authzurl: Option<&ManifestUrl>,
) -> Result<String, InvalidManifestUrl> {
    let license = format!("{base}/v1/clearkey").parse()?;
    let urls = dash::license_urls(&license, authzurl, Prefix::InMpd);
    let encryption = dash::common_encryption(scheme, Some(kid));
    Ok(format!("{encryption}\n{}", dash::of_system(SystemId::CLEAR_KEY, &urls)))
}

fn hls_aes128(content: &ContentId, kid: KeyId, base: &str) -> Result<String, InvalidManifestUrl> {
    let url = format!("{base}/v1/hls/{content}/{kid}.key").parse()?;
    Ok(KeyTag::identity(Method::Aes128, &url).media_line())
}

fn report(format: ManifestFormat, entries: &[(&KeyView, String)], note: Option<String>) -> Output {
    let [begin, end] = match format {
        ManifestFormat::Dash => ["<!-- ", " -->"],
        ManifestFormat::Hls => ["## ", ""],
    };
    let namespaces = match format {
        ManifestFormat::Dash => {
            "<!-- the MPD element needs xmlns:cenc=\"urn:mpeg:cenc:2013\" and xmlns:dashif=\"https://dashif.org/CPS\" -->\n"
        }
        ManifestFormat::Hls => "",
    };
    let track = |key: &KeyView| {
        let track = key.track_type.clone().unwrap_or_else(|| "all tracks".into());
        match key.crypto_period_index {
            Some(period) => format!("{track}, crypto period {period}"),
            None => track,
        }
    };
    let note_line = note.as_ref().map(|note| format!("{begin}{note}{end}\n")).unwrap_or_default();
    let block = |(key, lines): &(&KeyView, String)| format!("{begin}{}{end}\n{lines}", track(key));
    let text = entries.iter().map(block).collect::<Vec<_>>().join("\n");
    let json = entries.iter().map(|(key, lines)| {
        json!({ "track_type": key.track_type, "kid": key.kid,
            "crypto_period_index": key.crypto_period_index, "note": note, "lines": lines.lines().collect::<Vec<_>>() })
    });
    Output::new(Value::Array(json.collect()), format!("{note_line}{namespaces}{text}"))
}
