//! `reelkey manifest`: the lines of a DASH manifest or an HLS playlist that lead players to the license and the keys.
//!
//! Which player understands which lines was tried with the players; `docs/players/README.md` has the table.

use base64ct::{Base64, Encoding};
use clap::{Args, ValueEnum};
use reelkey_client::key::KeyId;
use serde_json::{Value, json};

use crate::authority::operation::key::{KeyView, ListKeys};
use crate::cli::folder::config::Config;
use crate::cli::folder::paths::Folder;
use crate::cli::operator;
use crate::cli::terminal::output::{Failure, Output};
use crate::domain::content::ContentId;
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
    let ManifestArgs { content, format, scheme, track: tracks } = args;
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
            (ManifestFormat::Dash, Scheme::Cenc) => dash("cenc", kid, base),
            (ManifestFormat::Dash, Scheme::Cbcs) => dash("cbcs", kid, base),
            (ManifestFormat::Hls, Scheme::Aes128) => hls_aes128(&content, kid, base),
            (ManifestFormat::Hls, Scheme::Cenc) => hls_eme("SAMPLE-AES-CTR", kid),
            (ManifestFormat::Hls, Scheme::Cbcs) => hls_eme("SAMPLE-AES", kid),
        };
        entries.push((key, lines));
    }
    Ok(report(format, &entries))
}

/// The first key of each track type: lists have the newest first.
fn newest(keys: Vec<KeyView>) -> Vec<KeyView> {
    let mut newest: Vec<KeyView> = Vec::new();
    for key in keys {
        if !newest.iter().any(|there| there.track_type == key.track_type) {
            newest.push(key);
        }
    }
    newest
}

/// ISO/IEC 23009-1, 5.8.4.1, and the license URL of the DASH-IF implementation guidelines. There is no `pssh` of the
/// Common system: dash.js cannot use it, and the initialization segment has it for the others.
fn dash(scheme: &str, kid: KeyId, base: &str) -> String {
    format!(
        "<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"{scheme}\" cenc:default_KID=\"{kid}\"/>\n\
         <ContentProtection schemeIdUri=\"urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e\" value=\"ClearKey1.0\">\n  \
         <dashif:Laurl>{base}/v1/clearkey</dashif:Laurl>\n\
         </ContentProtection>"
    )
}

/// RFC 8216, 4.3.2.4.
fn hls_aes128(content: &ContentId, kid: KeyId, base: &str) -> String {
    format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{base}/v1/hls/{content}/{kid}.key\"")
}

/// What hls.js reads for the ClearKey system of a browser.
fn hls_eme(method: &str, kid: KeyId) -> String {
    let hex: String = kid.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let kid = Base64::encode_string(kid.as_bytes());
    format!(
        "#EXT-X-KEY:METHOD={method},URI=\"data:text/plain;base64,{kid}\",KEYID=0x{hex},\
         KEYFORMAT=\"org.w3.clearkey\",KEYFORMATVERSIONS=\"1\""
    )
}

fn report(format: ManifestFormat, entries: &[(&KeyView, String)]) -> Output {
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
    let track = |key: &KeyView| key.track_type.clone().unwrap_or_else(|| "all tracks".into());
    let block = |(key, lines): &(&KeyView, String)| format!("{begin}{}{end}\n{lines}", track(key));
    let text = entries.iter().map(block).collect::<Vec<_>>().join("\n");
    let json = entries.iter().map(|(key, lines)| {
        json!({ "track_type": key.track_type, "kid": key.kid, "lines": lines.lines().collect::<Vec<_>>() })
    });
    Output::new(Value::Array(json.collect()), format!("{namespaces}{text}"))
}
