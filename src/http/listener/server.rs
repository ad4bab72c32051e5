//! Listening: players over TCP, the operator over a Unix socket.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use axum::Router;
use tokio::net::{self, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::authority::counters::Attendance;
use crate::domain::logged_address::LoggedAddress;
use crate::http::frame::address::{Client, Peer, Proxies};
use crate::http::frame::crowd::{Crowd, Full, Member};
use crate::http::frame::limits::Limits;
use crate::http::listener::accept::{self, Seldom};
use crate::http::listener::connection::{Common, End, Version};
use crate::http::listener::proxied::{self, Proxied};
use crate::http::listener::socket;
use crate::http::listener::tls::{Tls, client_certificates, is_http2};

/// The most connections of the operator at once; one more takes the place of one that is idle.
const OPERATORS_MAX: usize = 32;

/// What players' connections are kept within.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How many there are and how long they last; see [`crate::http::listener::descriptors::affordable`].
    pub limits: Limits,
    /// Connections of these proxies are not limited by address: they are many clients'.
    pub proxies: Proxies,
    /// Whether these proxies begin their connections with a header of the PROXY protocol, version 2. Then nobody else may, and
    /// they must.
    pub proxy_protocol: bool,
    /// How much of their addresses the log may have.
    pub addresses: LoggedAddress,
    /// Where they are counted.
    pub attendance: Attendance,
}

/// Answers players' requests until `shutdown` completes, then finishes those that it began. With TLS it
/// speaks HTTP/1.1 and HTTP/2, without it HTTP/1.1.
///
/// # Errors
/// The listener cannot be used. Once it listens, no error ends it.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    rules: Rules,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = net::TcpListener::from_std(listener)?;
    let Rules { limits, proxies, proxy_protocol, addresses, attendance } = rules;
    let crowd = Crowd::counted(limits.connections, limits.connections_per_peer, attendance);
    let (stop, stopping) = watch::channel(());
    let (common, full) = (Common { router, limits, stopping }, Seldom::default());
    let silent = Arc::new(Seldom::default());
    let keep = |(stream, from): (TcpStream, SocketAddr)| {
        let neighbour = Client::Known(from.ip().to_canonical()).counted();
        match crowd.enter(neighbour.filter(|_| !proxies.trusts(from.ip()))) {
            Ok(member) => {
                member.wait();
                let balancer = (proxy_protocol && proxies.trusts(from.ip()))
                    .then(|| Balancer { silent: Arc::clone(&silent) });
                Some(player(stream, tls.clone(), from, balancer, member, common.clone()))
            }
            Err(why) => {
                refuse(&full, addresses.of(from.ip()), why);
                None
            }
        }
    };
    accept::run(listener, keep, &crowd, shutdown, stop, limits.shutdown).await;
    Ok(())
}

fn refuse(full: &Seldom, peer: Option<String>, why: Full) {
    let Some(others) = full.turn(Instant::now()) else { return };
    match why {
        Full::Neighbour => tracing::warn!(
            peer,
            others,
            "a client is closed: its address has `connections_per_peer` with requests on each"
        ),
        Full::All => tracing::warn!(
            peer,
            others,
            "a client is closed: there are `connections` with requests on each"
        ),
    }
}

/// A load balancer that speaks the PROXY protocol.
struct Balancer {
    /// How often one sent no header.
    silent: Arc<Seldom>,
}

impl Balancer {
    /// Whose connection it is; an error if it has to be closed.
    async fn whose(&self, stream: &mut TcpStream, from: SocketAddr) -> io::Result<Option<Peer>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            // It looked whether somebody listens.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let proxied = proxied::read(stream).await.inspect_err(|error| {
            if let Some(others) = self.silent.turn(Instant::now()) {
                tracing::warn!(%error, others, "a connection of a trusted proxy is closed, because `protocol = \"v2\"` \
                    demands a header");
            }
        })?;
        Ok(match proxied {
            Proxied::Local => Some(Peer(from)),
            Proxied::Client(client) => Some(Peer(client)),
            Proxied::Unknown => None,
        })
    }
}

async fn player(
    mut stream: TcpStream,
    tls: Option<Tls>,
    from: SocketAddr,
    balancer: Option<Balancer>,
    mut member: Member,
    common: Common,
) {
    // Answers are small and whole; nothing is gained by waiting for more.
    stream.set_nodelay(true).ok();
    let deadline = Instant::now() + common.limits.head;
    let mut stopping = common.stopping.clone();
    let mut peer = Some(Peer(from));
    if let Some(balancer) = balancer {
        let whose = tokio::select! {
            whose = timeout_at(deadline, balancer.whose(&mut stream, from)) => whose,
            () = member.dismissed() => return,
            _ = stopping.changed() => return,
        };
        match whose {
            Ok(Ok(whose)) => peer = whose,
            Ok(Err(error)) => return tracing::debug!(%error, "no PROXY header"),
            Err(_) => return tracing::debug!("no PROXY header in time"),
        }
        let client = peer.map(|Peer(client)| Client::Known(client.ip().to_canonical()));
        let neighbour = client.filter(|_| peer != Some(Peer(from))).and_then(Client::counted);
        if neighbour.is_some_and(|neighbour| member.belongs_to(neighbour).is_err()) {
            return tracing::debug!("a client of a trusted proxy has `connections_per_peer`");
        }
    }
    let Some(tls) = tls else {
        let end = End::Client { peer, is_secured: false, certificates: None };
        return common.keep(stream, Version::Http1, end, member).await;
    };
    let shaken = tokio::select! {
        shaken = tls.accept(stream, deadline.saturating_duration_since(Instant::now())) => shaken,
        () = member.dismissed() => return,
        _ = stopping.changed() => return,
    };
    match shaken {
        Ok(stream) => {
            let certificates = client_certificates(&stream);
            let end = End::Client { peer, is_secured: true, certificates };
            let version = if is_http2(&stream) { Version::Http2 } else { Version::Http1 };
            common.keep(stream, version, end, member).await;
        }
        Err(error) => tracing::debug!(%error, "no TLS"),
    }
}

/// Answers the operator's requests on a Unix socket, as [`serve`] does the players'. Connections of other users than
/// `owner` and root are closed.
///
/// # Errors
/// The listener cannot be used. Once it listens, no error ends it.
pub async fn serve_owner(
    listener: UnixListener,
    owner: u32,
    limits: Limits,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = net::UnixListener::from_std(listener)?;
    let crowd = Crowd::new(OPERATORS_MAX, OPERATORS_MAX);
    let (stop, stopping) = watch::channel(());
    let common = Common { router, limits, stopping };
    let keep = |stream: UnixStream| {
        let peer = socket::peer(&stream, owner).ok()?;
        let Ok(member) = crowd.enter(None) else {
            tracing::warn!(peer.uid, peer.pid, "too many operations at once; one is closed");
            return None;
        };
        member.wait();
        Some(common.clone().keep(stream, Version::Http1, End::Operator(peer), member))
    };
    accept::run(listener, keep, &crowd, shutdown, stop, limits.shutdown).await;
    Ok(())
}
