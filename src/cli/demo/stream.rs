//! The page of a stream of one's own, played with keys of the service of a data folder.
//!
//! The service runs by itself, as it does for any page. This process serves the page and the media, and mints tokens.
//! Deliberately absent: an encrypted MP4 file without a manifest, which browsers do not play.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::demo::film;
use crate::cli::demo::page::{self, PORT, Page, Secret};
use crate::cli::demo::setup::RunCommand;
use crate::cli::folder::config::Config;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::{Failure, Output};
use crate::domain::content::ContentId;
use crate::domain::origin::PublicUrl;
use crate::http::demo::Decisions;

/// Where `npm install --prefix . shaka-player` puts it.
const SHAKA_PLAYER: &str = "node_modules/shaka-player/dist/shaka-player.compiled.js";

/// The largest script of a player, in bytes.
const PLAYER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The account of the page's viewer.
const VIEWER: &str = "reelkey-demo";

/// What the page can play: manifests of DASH and of HLS.
const STREAMS: [&str; 2] = ["mpd", "m3u8"];

/// A stream of one's own.
#[derive(Debug, Args)]
pub(super) struct StreamArgs {
    /// Play this stream on the page, with keys of your running service: a DASH or HLS manifest. The page gets all media of its
    /// folder and the folders below, and tokens for the content. Its address has a secret: keep it.
    #[arg(long, value_name = "FILE", requires = "serve", requires = "content")]
    stream: Option<PathBuf>,
    /// The content ID of the stream.
    #[arg(long, value_name = "CONTENT", requires = "stream")]
    content: Option<ContentId>,
    /// Where the page finds your service. The default is public_url of reelkey.toml, or else listen.
    #[arg(long, value_name = "URL", requires = "stream", value_parser = parse_url)]
    service: Option<PublicUrl>,
    /// The development issuer of the tokens. It can be omitted if there is only one.
    #[arg(long, requires = "stream")]
    issuer: Option<String>,
    /// The script of Shaka Player. The default is where `npm install --prefix . shaka-player` puts it.
    #[arg(long, value_name = "FILE", requires = "stream")]
    player: Option<PathBuf>,
}

fn parse_url(text: &str) -> Result<PublicUrl, &'static str> {
    PublicUrl::try_from(text.to_owned())
}

impl StreamArgs {
    /// The stream and its content, if the page is for one.
    pub(super) fn stream(&self) -> Option<(&Path, &ContentId)> {
        Some((self.stream.as_deref()?, self.content.as_ref()?))
    }
}

/// Serves the page until a signal ends it.
pub(super) async fn serve(
    folder: &Folder,
    args: &StreamArgs,
    port: Option<u16>,
    json: bool,
    run: RunCommand,
) -> Result<Output, Failure> {
    let Some((stream, content)) = args.stream() else {
        return Err(Failure::new("there is no stream to play"));
    };
    folder.require()?;
    let config = Config::read(folder)?;
    let (media, name) = media(stream)?;
    let player = player(args.player.as_deref())?;
    let token = |query: &_| token(folder, args.issuer.as_deref(), content, query);
    // What the page would be refused is said here already.
    run(token(&BTreeMap::new())).await?;
    let listener = page::listen(Some(port.unwrap_or(PORT)))?;
    may_ask(folder, &config, listener.local_addr()?.port())?;
    let service = match &args.service {
        Some(url) => url.as_str().to_owned(),
        None => address(&config),
    };
    let secret = Secret::new()?;
    let begun = json!({
        "service": service, "serviceId": config.service_id.0, "content": content.to_string(),
        "name": name, "media": secret.media(&name),
    });
    let page = Page {
        files: film::stream_files(player),
        decisions: Arc::new(Decisions::default()),
        stream: Some(media),
        secret,
        service: origin(&service).to_owned(),
    };
    let act = async |action: &str, query: &BTreeMap<String, String>| match action {
        "start" => Ok(begun.clone()),
        "token" => Ok(run(token(query)).await?.json),
        "keys" => Ok(run(words(folder, &["key", "list", content.as_str()])).await?.json),
        _ => Err(Failure::new("there is no such action")),
    };
    page.serve(listener, json, act, page::stopped()?).await?;
    Ok(Output::new(Value::Null, ""))
}

/// The folder of the stream, and the name of its file.
fn media(stream: &Path) -> Result<(PathBuf, String), Failure> {
    let during = |error: io::Error| Failure::from(error).during(stream.display());
    let whole = stream.canonicalize().map_err(during)?;
    let name = whole.file_name().and_then(|name| name.to_str());
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_stream = |name: &&str| {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        name.bytes().all(is_plain)
            && extension.is_some_and(|extension| STREAMS.contains(&extension))
    };
    match (whole.parent(), name.filter(is_stream)) {
        (Some(folder), Some(name)) if whole.is_file() => {
            Ok((folder.to_path_buf(), name.to_owned()))
        }
        _ => Err(Failure::new(format_args!("{} is nothing that the page plays", stream.display()))
            .remedy("name a file that ends in .mpd or .m3u8, of letters, digits and -._~")),
    }
}

/// The script of Shaka Player.
fn player(path: Option<&Path>) -> Result<Vec<u8>, Failure> {
    let path = path.unwrap_or_else(|| Path::new(SHAKA_PLAYER));
    let remedy = "run `npm install --prefix . shaka-player`, or name its shaka-player.compiled.js with --player";
    let during = |error: io::Error| {
        Failure::from(error).during(format_args!("Shaka Player, {}", path.display())).remedy(remedy)
    };
    if fs::metadata(path).map_err(during)?.len() > PLAYER_BYTES_MAX {
        return Err(Failure::new(format_args!("{} is too long for a script", path.display()))
            .remedy(remedy));
    }
    fs::read(path).map_err(during)
}

/// Refuses to serve a page that the service would not answer.
fn may_ask(folder: &Folder, config: &Config, port: u16) -> Result<(), Failure> {
    let origin = format!("http://localhost:{port}");
    if config.cors.allowed_origins.iter().any(|allowed| allowed.as_str() == origin) {
        return Ok(());
    }
    let what = format!("the service does not answer pages of {origin}, and this one would be");
    Err(Failure::new(what).remedy(format_args!(
        "add \"{origin}\" to allowed_origins of [cors] in {}, and run `reelkey reload`",
        folder.config().display()
    )))
}

/// Where a browser on this machine finds the service. The page's policy can name no IPv6 address (CSP, section 2.3.1).
fn address(config: &Config) -> String {
    if let Some(url) = &config.public_url {
        return url.as_str().to_owned();
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let (ip, port) = (config.listen.ip(), config.listen.port());
    match ip.is_unspecified() || ip.is_ipv6() {
        true => format!("{scheme}://localhost:{port}"),
        false => format!("{scheme}://{ip}:{port}"),
    }
}

/// A URL without its path.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at.saturating_add(3));
    let path = url.get(host..).and_then(|rest| rest.find('/'));
    path.and_then(|at| url.get(..host.saturating_add(at))).unwrap_or(url)
}

/// The command for a token as the page's auth service would give it.
fn token(
    folder: &Folder,
    issuer: Option<&str>,
    content: &ContentId,
    query: &BTreeMap<String, String>,
) -> Vec<OsString> {
    let given = |name: &str| query.get(name).filter(|value| !value.is_empty());
    let mut all = words(folder, &["token", "mint", "--sub", VIEWER, "--life", "5m"]);
    all.extend(["--content".into(), content.as_str().into()]);
    all.extend(issuer.map(|issuer| format!("--issuer={issuer}").into()));
    all.extend(given("jkt").map(|jkt| format!("--device={jkt}").into()));
    all.extend(given("region").map(|region| format!("--region={region}").into()));
    all
}

/// A whole command line on the data folder.
fn words(folder: &Folder, words: &[&str]) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["reelkey".into(), "--data".into(), folder.root().into()];
    all.extend(["--config".into(), folder.config().into()]);
    all.extend(words.iter().map(Into::into));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_where_its_configuration_says() {
        let said = |text: &str| address(&toml::from_str(text).unwrap());
        assert_eq!(said(""), "http://127.0.0.1:7420");
        assert_eq!(said("listen = \"0.0.0.0:80\""), "http://localhost:80");
        assert_eq!(said("listen = \"[::1]:81\""), "http://localhost:81");
        assert_eq!(said("public_url = \"https://drm.example/a\""), "https://drm.example/a");
        assert_eq!(origin("https://drm.example/a/b"), "https://drm.example");
        assert_eq!(origin("http://127.0.0.1:7420"), "http://127.0.0.1:7420");
    }

    #[test]
    fn a_stream_is_a_file_with_a_plain_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.mpd");
        assert!(media(&path).is_err());
        fs::write(&path, "").unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert_eq!(media(&path).unwrap(), (root, "film.mpd".to_owned()));
        assert!(media(folder.path()).is_err());
        for odd in ["a film?.mpd", "film.mp4", "FILM.MPD", "mpd"] {
            let odd = folder.path().join(odd);
            fs::write(&odd, "").unwrap();
            assert!(media(&odd).is_err(), "{odd:?}");
        }
    }
}
