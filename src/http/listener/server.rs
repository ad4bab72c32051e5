//! Listening: connections that are kept within limits, TLS, and ending in order.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Address, Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;

use crate::crypto::tls::ServerConfig;
use crate::http::listener::connection::{Bounded, OwnerOnly};

/// What one connection may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections there are at once; one more is closed.
    pub connections: usize,
    /// How long a TLS handshake, and how long the head of an HTTP/1.1 request may take.
    pub head: Duration,
    /// How long nothing may come, or nothing be taken.
    pub idle: Duration,
    /// How long requests that have begun may take to end once the service is told to stop.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
        }
    }
}

/// The longest head of a request, in bytes: a token of 8 KiB, and what browsers send besides.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The most header fields of a request.
const HEADERS_MAX: usize = 64;

/// The most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;

/// The TLS side of a listener, replaced while it listens.
#[derive(Clone, Debug)]
pub struct Tls(RustlsConfig);

impl Tls {
    /// With this identity.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(RustlsConfig::from_config(config))
    }

    /// Shows another identity to connections from now on. Those that are open stay.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.0.reload_from_config(config);
    }
}

/// Answers players' requests until `shutdown` completes, then finishes those that it began. With TLS it
/// speaks HTTP/1.1 and HTTP/2, without it HTTP/1.1.
///
/// # Errors
/// What the listener says when it can no longer accept.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let server = axum_server::from_tcp(listener)?;
    let slots = Arc::new(Semaphore::new(limits.connections));
    let bounded = Bounded { slots, idle: limits.idle };
    let handle = Handle::new();
    let serving = async {
        match tls {
            Some(Tls(config)) => {
                let acceptor = RustlsAcceptor::new(config).handshake_timeout(limits.head);
                let server = server.acceptor(acceptor.acceptor(bounded)).handle(handle.clone());
                within(server, limits).serve(router.into_make_service()).await
            }
            None => {
                let server = server.acceptor(bounded).handle(handle.clone()).http1_only();
                within(server, limits).serve(router.into_make_service()).await
            }
        }
    };
    until(shutdown, serving, &handle, limits).await
}

/// Answers the operator's requests on a Unix socket, as [`serve`] does the players'. Connections of other users than
/// `owner` and root are closed.
///
/// # Errors
/// What the listener says when it can no longer accept.
pub async fn serve_owner(
    listener: UnixListener,
    owner: u32,
    limits: Limits,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let handle = Handle::new();
    let server = axum_server::from_unix(listener)?.acceptor(OwnerOnly { owner });
    let server = within(server.handle(handle.clone()).http1_only(), limits);
    let serving = server.serve(router.into_make_service());
    until(shutdown, serving, &handle, limits).await
}

/// The limits that the HTTP implementation keeps.
fn within<A: Address, Acceptor>(
    mut server: Server<A, Acceptor>,
    limits: Limits,
) -> Server<A, Acceptor> {
    let builder = server.http_builder();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle / 2)
        .keep_alive_timeout(limits.head)
        .max_header_list_size(HEAD_BYTES_MAX.try_into().unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS_MAX);
    server
}

async fn until<A: Address>(
    shutdown: impl Future<Output = ()>,
    serving: impl Future<Output = io::Result<()>>,
    handle: &Handle<A>,
    limits: Limits,
) -> io::Result<()> {
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return served,
        () = shutdown => handle.graceful_shutdown(Some(limits.shutdown)),
    }
    serving.await
}
