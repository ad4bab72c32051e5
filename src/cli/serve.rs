//! `reelkey serve`: the service, until a signal ends it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::authority::{Authority, Setup};
use crate::cli::config::Config;
use crate::cli::folder::Folder;
use crate::cli::log::{self, LogFormat};
use crate::cli::output::{Failure, Output};
use crate::cli::{clock, installation, operator};
use crate::http::{self, AdminApp, App, ReadIssuers};

/// How long requests that have begun may take to end once the service is told to stop.
const SHUTDOWN_SECS_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen, instead of what reelkey.toml says. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// What to log: error, warn, info, debug, trace.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log: String,
    /// How a line of the log looks.
    #[arg(long, default_value = "json")]
    log_format: LogFormat,
}

pub(crate) async fn serve(folder: &Folder, args: ServeArgs, json: bool) -> Result<Output, Failure> {
    log::start(&args.log, args.log_format)?;
    let config = Config::read(folder)?;
    let listen = args.listen.unwrap_or(config.listen);
    if !listen.ip().is_loopback() {
        return Err(Failure::new(format_args!(
            "{listen} is not a loopback address, and TLS is not supported yet"
        ))
        .remedy("listen on 127.0.0.1 and put a TLS proxy on the same machine in front"));
    }
    let authority = Arc::new(open(folder, &config).await?);
    let app = App { authority, clock: Arc::new(clock::now) };
    let admin = AdminApp { app: app.clone(), read_issuers: read_issuers(folder) };
    let admin_listener = operator::listen(folder)?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure::from(error).during(format_args!("listening on {listen}")))?;
    announce(listener.local_addr()?, &config, json)?;

    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = tokio::sync::watch::channel(());
    let stopping = || {
        let mut stopped = stopped.clone();
        async move { stopped.changed().await.unwrap_or_default() }
    };
    let players = http::serve(listener, http::router(app), stopping());
    let operators = http::serve(admin_listener, http::admin_router(admin), stopping());
    let overdue = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.send(()).ok();
        tokio::time::sleep(SHUTDOWN_SECS_MAX).await;
    };
    tokio::select! {
        served = async { tokio::try_join!(players, operators) } => served.map(|_| ())?,
        () = overdue => tracing::warn!("some requests did not end in time"),
    }
    std::fs::remove_file(folder.admin_socket()).ok();
    Ok(Output::new(Value::Null, ""))
}

/// How the admin socket reads the configured issuers anew.
fn read_issuers(folder: &Folder) -> Arc<ReadIssuers> {
    let folder = folder.clone();
    Arc::new(move || {
        let issuers = Config::read(&folder).and_then(|config| config.issuers(&folder));
        issuers.map_err(|failure| failure.to_string())
    })
}

async fn open(folder: &Folder, config: &Config) -> Result<Authority, Failure> {
    for entry in config.issuers.iter().filter(|entry| entry.development) {
        tracing::warn!(iss = ?entry.iss, "this issuer's private key is in the data folder; for development only");
    }
    if config.issuers.is_empty() {
        tracing::warn!("there are no issuers, so no token is accepted; see `reelkey issuer add`");
    }
    let setup = Setup {
        service_id: config.service_id.0.clone(),
        issuers: config.issuers(folder)?,
        policies: installation::policies(folder)?,
    };
    Ok(Authority::open(setup, installation::open(folder).await?).await?)
}

/// The one line that says that requests are answered from now on.
fn announce(address: SocketAddr, config: &Config, json: bool) -> io::Result<()> {
    let id = &config.service_id.0;
    let line = if json {
        json!({ "ready": true, "url": format!("http://{address}"), "service_id": id }).to_string()
    } else {
        format!("reelkey is ready on http://{address} as {id:?}")
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
