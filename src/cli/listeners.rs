//! Where players and packagers are answered: on one listener, or on one each.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::net::TcpSocket;

use crate::authority::service::Authority;
use crate::cli::folder::config::Config;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;
use crate::crypto::client_auth::Wanted;
use crate::crypto::tls::Identity;
use crate::http::app::App;
use crate::http::frame::bearer::TokenPlaces;
use crate::http::listener::server::{self, Rules};
use crate::http::listener::tls::Tls;
use crate::http::router::{packagers_within, players_within, router_within};

/// TLS for players, and for packagers where they have a listener of their own. `None` without a certificate.
pub(crate) struct ListenersTls {
    players: Option<Tls>,
    packagers: Option<Tls>,
}

impl ListenersTls {
    /// Browsers ask their users for a certificate where a service asks for one. So players are not asked where packagers have
    /// a listener of their own.
    pub(crate) fn new(
        config: &Config,
        identity: Option<&Identity>,
        authority: &Arc<Authority>,
    ) -> Self {
        let authority = Arc::clone(authority);
        let wanted: Wanted = Arc::new(move || authority.in_force().packagers.take_certificates());
        let Some(Identity { config: identity, .. }) = identity else {
            return Self { players: None, packagers: None };
        };
        let asking = Tls::asking(Arc::clone(identity), wanted);
        match config.keys.listen {
            None => Self { players: Some(asking), packagers: None },
            Some(_) => {
                Self { players: Some(Tls::new(Arc::clone(identity))), packagers: Some(asking) }
            }
        }
    }

    /// Both of them.
    pub(crate) fn all(&self) -> Vec<Tls> {
        self.players.iter().chain(&self.packagers).cloned().collect()
    }
}

/// The open listeners.
pub(crate) struct Listeners {
    players: TcpListener,
    packagers: Option<TcpListener>,
    tls: ListenersTls,
}

impl Listeners {
    /// Opens them: that of players on `listen`.
    pub(crate) fn open(
        config: &Config,
        listen: SocketAddr,
        tls: ListenersTls,
    ) -> Result<Self, Failure> {
        let players = bind(listen)?;
        Ok(Self { players, packagers: config.keys.listen.map(bind).transpose()?, tls })
    }

    /// Where players are answered.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.players.local_addr()
    }

    /// Where packagers are answered, if not there too.
    pub(crate) fn packagers_address(&self) -> io::Result<Option<SocketAddr>> {
        self.packagers.as_ref().map(TcpListener::local_addr).transpose()
    }

    /// Answers requests until the service ends. `stopping` makes a future for each listener: the listener stops when it completes.
    pub(crate) async fn serve<S: Future<Output = ()>>(
        self,
        app: &App,
        rules: &Rules,
        places: &TokenPlaces,
        stopping: impl Fn() -> S,
    ) -> io::Result<()> {
        let (limits, proxies) = (rules.limits, rules.proxies.clone());
        let has_two = self.packagers.is_some();
        let of = if has_two { players_within } else { router_within };
        let router = of(app.clone(), limits, proxies.clone(), places.clone());
        let players =
            server::serve(self.players, self.tls.players, rules.clone(), router, stopping());
        let packagers = async {
            let Some(listener) = self.packagers else { return Ok(()) };
            let router = packagers_within(app.clone(), limits, proxies);
            server::serve(listener, self.tls.packagers, rules.clone(), router, stopping()).await
        };
        tokio::try_join!(players, packagers).map(|_| ())
    }
}

/// Refuses an address that other machines can reach, where nobody speaks TLS.
pub(crate) fn check(
    config: &Config,
    listen: SocketAddr,
    identity: Option<&Identity>,
    folder: &Folder,
) -> Result<(), Failure> {
    let is_plain = identity.is_none() && !config.tls_terminated_by_proxy;
    let mut all = [Some(listen), config.keys.listen].into_iter().flatten();
    match all.find(|at| is_plain && !at.ip().is_loopback()) {
        Some(open) => Err(without_tls(open, folder)),
        None => Ok(()),
    }
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
