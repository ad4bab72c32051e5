//! The demo's service: a new folder, the commands that fill it, and the service on a free port.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::future::Future;
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
use crate::cli::demo::report::Report;
use crate::cli::folder::config::Config;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::reading;
use crate::cli::terminal::output::{Failure, Output};
use crate::http::app::App;
use crate::http::listener::server::{self, Rules};
use crate::http::log_health::LogHealth;
use crate::http::router::router;

/// The content ID of the demo's film.
pub(super) const CONTENT: &str = "movies/test-pattern";

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
    let data = tempfile::Builder::new()
        .prefix("reelkey-demo-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()?;
    let policy = data.path().join("policies/us-and-canada.toml");
    command(run, &data, &["init"], report).await?;
    secret_file::write(&policy, POLICY.as_bytes())?;
    let issuer = ["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"];
    command(run, &data, &issuer, report).await?;
    let add = ["content", "add", CONTENT, "--policy", "us-and-canada"];
    command(run, &data, &add, report).await?;
    for (track, kid, key) in keys() {
        let file = data.path().join(format!("{track}.key"));
        secret_file::write(&file, key.as_bytes())?;
        let key = format!("@{}", file.display());
        let import = ["key", "import", CONTENT, "--track", track, "--kid", kid, "--key", &key];
        command(run, &data, &import, report).await?;
        fs::remove_file(file)?;
    }
    let service = serve(run, data).await?;
    report.command("serve")?;
    report.note(&format!("answering on http://{}", service.address))?;
    Ok(service)
}

fn keys() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    KEYS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    })
}

async fn serve(run: RunCommand, data: TempDir) -> Result<Service, Failure> {
    let folder = Folder::new(data.path(), None);
    let config = Config::read(&folder)?;
    let decided = reading::decided(&folder, &config)?;
    let (vault, id) = (installation::open(&folder).await?, config.service_id.0.clone());
    let authority = Authority::open(id, decided, vault).await.map_err(Failure::fault)?;
    let (authority, clock) = (Arc::new(authority), Arc::new(clock::now));
    let app = App { authority, clock, log: LogHealth::default() };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let (rules, router) = (Rules::default(), router(app));
        let stopped = async { stopped.await.unwrap_or_default() };
        server::serve(listener, None, rules, router, stopped).await
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
