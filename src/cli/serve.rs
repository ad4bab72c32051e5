//! `reelkey serve`: the service, until a signal ends it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use clap::Args;
use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::watch;

use crate::authority::in_force::Decided;
use crate::authority::service::Authority;
use crate::cli::announcement::Announcement;
use crate::cli::folder::config::Config;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::reading::{self, Reading};
use crate::cli::metrics::Metrics;
use crate::cli::reload::Reloader;
use crate::cli::terminal::log::filter::Filter;
use crate::cli::terminal::log::layer::LogFormat;
use crate::cli::terminal::log::start as log;
use crate::cli::terminal::output::{Failure, Output};
use crate::cli::{clock, key_fetching, operator, sweeping};
use crate::crypto::client_auth::Wanted;
use crate::crypto::tls::ServerConfig;
use crate::http::admin::{AdminApp, admin_router};
use crate::http::app::App;
use crate::http::frame::limits::Limits;
use crate::http::listener::descriptors;
use crate::http::listener::server::{self, Rules};
use crate::http::listener::tls::Tls;
use crate::http::log_health::LogHealth;
use crate::http::router::{packagers_within, players_within, router_within};

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
    let plain = identity.is_none() && !config.tls_terminated_by_proxy;
    let all = [Some(listen), config.keys.listen];
    if let Some(open) = all.into_iter().flatten().find(|at| plain && !at.ip().is_loopback()) {
        return Err(without_tls(open, folder));
    }
    let authority = Arc::new(open(folder, &config, decided).await?);
    let wants_certificates: Wanted = {
        let authority = Arc::clone(&authority);
        Arc::new(move || authority.in_force().packagers.take_certificates())
    };
    let asking = |config: &Arc<ServerConfig>| {
        Tls::asking(Arc::clone(config), Arc::clone(&wants_certificates))
    };
    let identity = identity.as_ref().map(|identity| &identity.config);
    // Browsers ask their users for a certificate, so players are not asked where packagers have a listener of their own.
    let (tls, packagers_tls) = match config.keys.listen {
        None => (identity.map(asking), None),
        Some(_) => (identity.map(|config| Tls::new(Arc::clone(config))), identity.map(asking)),
    };
    let tls_of_all = tls.iter().chain(&packagers_tls).cloned().collect();
    let reloader = Reloader::new(folder, Arc::clone(&authority), tls_of_all, at_start);
    authority.counters().started(clock::now());
    expires.into_iter().for_each(|at| authority.counters().certificate_ends(at));
    let metrics = config.metrics.map(|table| table.address(folder.config())).transpose()?;
    let app = App { authority: Arc::clone(&authority), clock: Arc::new(clock::now), log };
    let (reload, reload_issuers) = reloader.as_routes();
    let admin = AdminApp { app: app.clone(), reload, reload_issuers };
    let (admin_listener, owner) = (operator::listen(folder)?, operator::owner(folder)?);
    let listener = bind(listen)?;
    let packagers_listener = config.keys.listen.map(bind).transpose()?;
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
        address: listener.local_addr()?,
        packagers: packagers_listener.as_ref().map(TcpListener::local_addr).transpose()?,
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
    let Rules { limits, proxies, proxy_protocol, addresses, .. } = config.rules();
    let limits = descriptors::affordable(limits);
    let attendance = authority.counters().connections();
    let rules = Rules { limits, proxies, proxy_protocol, addresses, attendance };
    let (proxies, places) = (rules.proxies.clone(), config.token.clone());
    let router = match &packagers_listener {
        None => router_within(app.clone(), limits, proxies.clone(), places),
        Some(_) => players_within(app.clone(), limits, proxies.clone(), places),
    };
    let players = server::serve(listener, tls, rules.clone(), router, stopping());
    let packagers = async {
        let Some(listener) = packagers_listener else { return Ok(()) };
        let router = packagers_within(app, limits, proxies);
        server::serve(listener, packagers_tls, rules, router, stopping()).await
    };
    let router = admin_router(admin);
    let operators =
        server::serve_owner(admin_listener, owner, Limits::default(), router, stopping());
    let watching = signals.obey(&reloader, &stop);
    let serving = async { tokio::try_join!(players, packagers, operators) };
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

/// The error for an address that other machines can reach, where nobody speaks TLS.
fn without_tls(listen: SocketAddr, folder: &Folder) -> Failure {
    let what = format_args!("{listen} is not a loopback address, and there is no TLS");
    Failure::new(what).remedy(format_args!(
        "name certificate and key under [tls] in {}, or set tls_terminated_by_proxy = true there",
        folder.config().display()
    ))
}

/// How many connections wait for being accepted before the system refuses one more.
const BACKLOG: u32 = 1024;

/// A listener of the standard library, as the server takes it.
fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().map_err(|error: io::Error| {
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there, perhaps another service: stop it, or name another port with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine does not have the address: name one of its own with --listen"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE: name a higher one with --listen"
            }
            _ => "name another address with --listen",
        };
        Failure::from(error).during(format_args!("listening on {address}")).remedy(remedy)
    })
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
