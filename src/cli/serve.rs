//! `reelkey serve`: the service, until a signal ends it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use rustix::process::Signal;
use serde_json::Value;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::watch;

use crate::authority::in_force::Decided;
use crate::authority::service::Authority;
use crate::cli::announcement::Announcement;
use crate::cli::folder::config::Config;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::reading::{self, Reading};
use crate::cli::listeners::{Listeners, ListenersTls};
use crate::cli::metrics::Metrics;
use crate::cli::reload::Reloader;
use crate::cli::terminal::log::filter::Filter;
use crate::cli::terminal::log::layer::LogFormat;
use crate::cli::terminal::log::start as log;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::{clock, key_fetching, listeners, operator, sweeping};
use crate::http::admin::{AdminApp, admin_router};
use crate::http::app::App;
use crate::http::frame::limits::Limits;
use crate::http::listener::descriptors;
use crate::http::listener::server::{self, Rules};
use crate::http::log_health::LogHealth;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen, instead of what reelkey.toml says. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// What to log of this service: off, error, warn, info, debug, trace; or a filter with targets.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log: Filter,
    /// How a line of the log looks.
    #[arg(long, default_value = "json")]
    log_format: LogFormat,
}

/// Serves until a signal ends it. Whatever becomes of the log, the process ends with what came of the service.
pub(crate) async fn serve(folder: &Folder, args: ServeArgs, json: bool) -> Result<Output, Failure> {
    // Before anything else: a terminal that is closed ends nothing, neither now nor while the service stops.
    let hangup = signal(SignalKind::hangup())?;
    // A log that has reached the limit of a file's size is an error of a write, and no end.
    let _limit_reached = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
    let log = log::start(&args.log, args.log_format)?;
    let served = serve_until_stopped(folder, args, json, hangup, log.health()).await;
    log.close();
    served
}

async fn serve_until_stopped(
    folder: &Folder,
    args: ServeArgs,
    json: bool,
    hangup: unix::Signal,
    log: LogHealth,
) -> Result<Output, Failure> {
    if let Err(error) = descriptors::raise() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let config = Config::read(folder)?;
    let listen = args.listen.unwrap_or(config.listen);
    let Reading { decided, identity, at_start } = reading::read(folder)?;
    let expires = identity.as_ref().map(|identity| identity.expires);
    listeners::check(&config, listen, identity.as_ref(), folder)?;
    let authority = Arc::new(open(folder, &config, decided).await?);
    let tls = ListenersTls::new(&config, identity.as_ref(), &authority);
    let reloader = Reloader::new(folder, Arc::clone(&authority), tls.all(), at_start);
    authority.counters().started(clock::now());
    expires.into_iter().for_each(|at| authority.counters().certificate_ends(at));
    let metrics = config.metrics.map(|table| table.address(folder.config())).transpose()?;
    let app = App { authority: Arc::clone(&authority), clock: Arc::new(clock::now), log };
    let (reload, reload_issuers) = reloader.as_routes();
    let admin = AdminApp { app: app.clone(), reload, reload_issuers };
    let (admin_listener, owner) = (operator::listen(folder)?, operator::owner(folder)?);
    let listeners = Listeners::open(&config, listen, tls)?;
    // Before anybody is told that the service is there, so that no signal of theirs ends it.
    let signals = Signals::catch(hangup)?;
    let lines_lost = {
        let log = app.log.clone();
        Arc::new(move || log.lost_lines())
    };
    let metrics =
        metrics.and_then(|address| Metrics::start(address, app.clone(), Some(lines_lost)));
    let told_at = metrics.as_ref().map(|metrics| metrics.address);
    let announcement = Announcement {
        config: &config,
        folder,
        address: listeners.address()?,
        packagers: listeners.packagers_address()?,
        certificate_ends: expires,
        metrics: told_at,
    };
    let announced = announcement.compose(&authority, json).await.map_err(Failure::fault)?;
    log::announce(announced)?;

    let (stop, stopped) = watch::channel(());
    let stopping = || {
        let mut stopped = stopped.clone();
        async move { stopped.changed().await.unwrap_or_default() }
    };
    let rules = config.rules();
    let limits = descriptors::affordable(rules.limits);
    let rules = Rules { limits, attendance: authority.counters().connections(), ..rules };
    let public = listeners.serve(&app, &rules, &config.token, stopping);
    let router = admin_router(admin);
    let operators =
        server::serve_owner(admin_listener, owner, Limits::default(), router, stopping());
    let watching = signals.obey(&reloader, &stop);
    let serving = async { tokio::try_join!(public, operators) };
    let sweeping = tokio::spawn(sweeping::sweep(Arc::clone(&authority), config.retention));
    let fetching = key_fetching::start(&authority, folder);
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => served.map(|_| ())?,
        () = watching => serving.await.map(|_| ())?,
    }
    sweeping.abort();
    fetching.abort();
    std::fs::remove_file(folder.admin_socket()).ok();
    Ok(Output::new(Value::Null, ""))
}

/// What an operator's signals mean.
struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    fn catch(hangup: unix::Signal) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
        })
    }

    /// Until the service is told to stop: SIGHUP reads everything anew, SIGTERM and SIGINT end it.
    async fn obey(mut self, reloader: &Reloader, stop: &watch::Sender<()>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                _ = self.hangup.recv() => reload(reloader).await,
            }
        }
        tracing::info!("stopping");
        stop.send(()).ok();
    }
}

/// Reads everything anew; the log says what became of it.
async fn reload(reloader: &Reloader) {
    match reloader.reload().await {
        Ok(reloaded) => tracing::info!(?reloaded, "SIGHUP: what the files say is in force"),
        Err(failure) => tracing::error!(why = %failure, "SIGHUP: everything stays as it was"),
    }
}

async fn open(folder: &Folder, config: &Config, decided: Decided) -> Result<Authority, Failure> {
    for entry in config.issuers.iter().filter(|entry| entry.development) {
        tracing::warn!(
            iss = entry.iss.as_str(),
            "this issuer's private key is in the data folder; for development only"
        );
    }
    if config.issuers.is_empty() {
        tracing::warn!("there are no issuers, so no token is accepted; see `reelkey issuer add`");
    }
    if operator::is_running(folder).await {
        let what = format_args!(
            "the data folder {} is in use: a service runs already",
            folder.root().display()
        );
        return Err(Failure::new(what).remedy(
            "`reelkey reload` lets it read your changes; stop it to start another, or name another folder with --data",
        ));
    }
    let (vault, id) = (installation::open(folder).await?, config.service_id.0.clone());
    Authority::open(id, decided, vault).await.map_err(Failure::fault)
}
