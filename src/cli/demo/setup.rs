//! The demo's service: a new folder, the commands that fill it, and the service on a free port.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::future::{Future, pending};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::authority::service::Authority;
use crate::authority::vault::secret_file;
use crate::cli::clock;
use crate::cli::demo::film;
use crate::cli::demo::report::Report;
use crate::cli::folder::config::Config;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::reading::{self, Reading};
use crate::cli::operator;
use crate::cli::reload::Reloader;
use crate::cli::terminal::output::{Failure, Output};
use crate::http::admin::{AdminApp, admin_router};
use crate::http::app::App;
use crate::http::frame::limits::Limits;
use crate::http::listener::server::{self, Rules};
use crate::http::log_health::LogHealth;
use crate::http::router::router;

/// The content ID of the demo's clip.
pub(super) const CONTENT: &str = "movies/test-pattern";

/// The content ID of the page's film.
pub(super) const FILM: &str = "movies/northern-lights";

/// Runs a command line, given word by word, as a shell would.
pub(crate) type RunCommand =
    fn(Vec<OsString>) -> Pin<Box<dyn Future<Output = Result<Output, Failure>>>>;

/// The content keys of the clip, which are public: track type, KID, key.
const KEYS: &str = include_str!("keys.txt");

/// The policy of the demo's rights holder.
const POLICY: &str = "\
can_play = true
license_duration = \"10m\"

[region]
allowed_countries = [\"US\", \"CA\"]
evidence = \"token\"
";

/// The policies of the page's film. Their licenses are short, so that one sees them follow each other.
const PAGE_POLICIES: [(&str, &str); 6] = [
    (
        "us-and-canada",
        "can_play = true\nlicense_duration = \"40s\"\n\n\
         [region]\nallowed_countries = [\"US\", \"CA\"]\nevidence = \"token\"\n",
    ),
    (
        "small-screens",
        "can_play = true\nlicense_duration = \"40s\"\ntracks = [\"AUDIO\", \"SD\"]\n\n\
         [region]\nallowed_countries = [\"US\", \"CA\"]\nevidence = \"token\"\n",
    ),
    (
        "two-streams",
        "can_play = true\nlicense_duration = \"40s\"\ncan_renew = true\n\n[concurrency]\nlimit = 2\n",
    ),
    ("five-devices", "can_play = true\nlicense_duration = \"40s\"\n\n[device]\nlimit = 5\n"),
    ("short-rental", "can_play = true\nlicense_duration = \"40s\"\nrental_duration = \"1s\"\n"),
    (
        "downloads",
        "can_play = true\nlicense_duration = \"40s\"\ncan_persist = true\nplayback_duration = \"5m\"\n\n\
         [persistent]\nlicense_duration = \"10m\"\n",
    ),
];

/// A running service, and its folder, which is deleted with it.
pub(super) struct Service {
    pub(super) address: SocketAddr,
    pub(super) id: String,
    run: RunCommand,
    data: TempDir,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

pub(super) async fn start(run: RunCommand, report: &mut Report) -> Result<Service, Failure> {
    let data = folder()?;
    let policy = data.path().join("policies/us-and-canada.toml");
    command(run, &data, &["init"], report).await?;
    secret_file::write(&policy, POLICY.as_bytes())?;
    let issuer = ["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"];
    command(run, &data, &issuer, report).await?;
    let add = ["content", "add", CONTENT, "--policy", "us-and-canada"];
    command(run, &data, &add, report).await?;
    import(run, &data, CONTENT, KEYS, report).await?;
    let service = serve(run, data).await?;
    report.command("serve")?;
    report.note(&format!("answering on http://{}", service.address))?;
    Ok(service)
}

/// A service for the page of the demo, which is served from these origins.
pub(super) async fn start_for_page(
    run: RunCommand,
    origins: &[String],
    report: &mut Report,
) -> Result<Service, Failure> {
    let data = folder()?;
    command(run, &data, &["init"], report).await?;
    for (name, text) in PAGE_POLICIES {
        secret_file::write(&data.path().join(format!("policies/{name}.toml")), text.as_bytes())?;
    }
    let config = data.path().join("reelkey.toml");
    let text = fs::read_to_string(&config)?;
    secret_file::write(
        &config,
        format!("{text}\n[cors]\nallowed_origins = {origins:?}\n").as_bytes(),
    )?;
    let issuer = ["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"];
    command(run, &data, &issuer, report).await?;
    let names: Vec<_> = PAGE_POLICIES.iter().flat_map(|(name, _)| ["--policy", name]).collect();
    command(run, &data, &[&["content", "add", FILM][..], &names].concat(), report).await?;
    import(run, &data, FILM, film::KEYS, report).await?;
    serve(run, data).await
}

/// A temporary folder that only its owner may enter.
fn folder() -> std::io::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("reelkey-demo-").permissions(Permissions::from_mode(0o700)).tempdir()
}

/// Imports keys that are public: track type, KID, key.
async fn import(
    run: RunCommand,
    data: &TempDir,
    content: &str,
    keys: &'static str,
    report: &mut Report,
) -> Result<(), Failure> {
    for (track, kid, key) in parse(keys) {
        let file = data.path().join(format!("{track}.key"));
        secret_file::write(&file, key.as_bytes())?;
        let key = format!("@{}", file.display());
        let import = ["key", "import", content, "--track", track, "--kid", kid, "--key", &key];
        command(run, data, &import, report).await?;
        fs::remove_file(file)?;
    }
    Ok(())
}

fn parse(keys: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    keys.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    })
}

async fn serve(run: RunCommand, data: TempDir) -> Result<Service, Failure> {
    let folder = Folder::new(data.path(), None);
    let config = Config::read(&folder)?;
    let Reading { decided, at_start, .. } = reading::read(&folder)?;
    let (vault, id) = (installation::open(&folder).await?, config.service_id.0.clone());
    let authority = Authority::open(id, decided, vault).await.map_err(Failure::fault)?;
    let (authority, clock) = (Arc::new(authority), Arc::new(clock::now));
    let reloader = Reloader::new(&folder, Arc::clone(&authority), Vec::new(), at_start);
    let app = App { authority, clock, log: LogHealth::default() };
    let (reload, reload_issuers) = reloader.as_routes();
    let admin = admin_router(AdminApp { app: app.clone(), reload, reload_issuers });
    let (socket, owner) = (operator::listen(&folder)?, operator::owner(&folder)?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let (rules, router) = (Rules::default(), router(app));
        let players = server::serve(listener, None, rules, router, pending());
        let operators = server::serve_owner(socket, owner, Limits::default(), admin, pending());
        tokio::select! {
            served = players => served,
            served = operators => served,
            _ = stopped => Ok(()),
        }
    });
    Ok(Service { address, id: config.service_id.0, run, data, stop, serving })
}

impl Service {
    /// Runs a command on the data folder, as a shell would.
    pub(super) async fn run(&self, words: &[&str]) -> Result<Output, Failure> {
        (self.run)(typed(self.data.path().into(), words)).await
    }

    /// Ends the service and removes its folder.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.stop.send(()).ok();
        self.serving.await??;
        Ok(self.data.close()?)
    }
}

async fn command(
    run: RunCommand,
    data: &TempDir,
    words: &[&str],
    report: &mut Report,
) -> Result<(), Failure> {
    let shown: Vec<_> = words.iter().map(|word| shown(word)).collect();
    report.command(&shown.join(" "))?;
    run(typed(data.path().into(), words)).await.map(|_| ())
}

/// A word as a person would type it, without the temporary folder.
fn shown(word: &str) -> String {
    match word.rsplit_once('/') {
        Some((_, name)) if word.starts_with("@/") => format!("@{name}"),
        _ if word.contains('*') => format!("'{word}'"),
        _ => word.to_owned(),
    }
}

/// The whole command line.
fn typed(data: PathBuf, words: &[&str]) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["reelkey".into(), "--data".into(), data.into()];
    all.extend(words.iter().map(Into::into));
    all
}
