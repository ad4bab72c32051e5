//! Listening: players over TCP, the operator over a Unix socket.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use axum::Router;
use tokio::net::{self, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::authority::counters::Attendance;
use crate::http::frame::address::{Client, Peer, Proxies};
use crate::http::frame::crowd::{Crowd, Full, Member};
use crate::http::frame::limits::Limits;
use crate::http::listener::accept::{self, Seldom};
use crate::http::listener::connection::{Common, End, Version};
use crate::http::listener::socket;
use crate::http::listener::tls::{Tls, is_http2};

/// The most connections of the operator at once; one more takes the place of one that is idle.
const OPERATORS_MAX: usize = 32;

/// What players' connections are kept within.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How many there are and how long they last; see [`crate::http::listener::descriptors::affordable`].
    pub limits: Limits,
    /// Connections of these proxies are not limited by address: they are many clients'.
    pub proxies: Proxies,
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
    let Rules { limits, proxies, attendance } = rules;
    let crowd = Crowd::counted(limits.connections, limits.connections_per_peer, attendance);
    let (stop, stopping) = watch::channel(());
    let (common, full) = (Common { router, limits, stopping }, Seldom::default());
    let keep = |(stream, from): (TcpStream, SocketAddr)| {
        let neighbour = Client::Known(from.ip().to_canonical()).counted();
        match crowd.enter(neighbour.filter(|_| !proxies.trusts(from.ip()))) {
            Ok(member) => {
                member.wait();
                Some(player(stream, tls.clone(), from, member, common.clone()))
            }
            Err(why) => {
                refuse(&full, from, why);
                None
            }
        }
    };
    accept::run(listener, keep, &crowd, shutdown, stop, limits.shutdown).await;
    Ok(())
}

fn refuse(full: &Seldom, from: SocketAddr, why: Full) {
    let Some(others) = full.turn(Instant::now()) else { return };
    let peer = from.ip().to_canonical();
    match why {
        Full::Neighbour => tracing::warn!(%peer, others,
            "a client is closed: its address has `connections_per_peer` with requests on each"),
        Full::All => tracing::warn!(%peer, others,
            "a client is closed: there are `connections` with requests on each"),
    }
}

async fn player(
    stream: TcpStream,
    tls: Option<Tls>,
    from: SocketAddr,
    member: Member,
    common: Common,
) {
    // Answers are small and whole; nothing is gained by waiting for more.
    stream.set_nodelay(true).ok();
    let end = End::Player(Peer(from));
    let Some(tls) = tls else {
        return common.keep(stream, Version::Http1, end, member).await;
    };
    let mut stopping = common.stopping.clone();
    let shaken = tokio::select! {
        shaken = tls.accept(stream, common.limits.head) => shaken,
        () = member.dismissed() => return,
        _ = stopping.changed() => return,
    };
    match shaken {
        Ok(stream) => {
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
