//! One connection: how long it may be idle, when it ends, and what its requests are told about its other end.
//!
//! Idle is measured in requests. What else moves on a connection, be it the PINGs of HTTP/2, keeps it from nothing.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::{Extensions, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::http::frame::address::{ClientCertificates, LocalPeer, Peer, Secured};
use crate::http::frame::crowd::Member;
use crate::http::frame::limits::Limits;

/// The longest head that is read. Longer than is answered, so that a head that is a little too long gets a document;
/// beyond it the connection ends.
const HEAD_BYTES_READ_MAX: usize = 64 * 1024;

/// The most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;

/// What may be on its way to the service on one HTTP/2 stream, and on all streams of a connection.
const WINDOWS: (u32, u32) = (64 * 1024, 256 * 1024);

/// How long a connection that is to end may take over what it has begun to write.
const LINGER: Duration = Duration::from_millis(100);

/// What is at the other end.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// A player or a packager. No peer where nobody tells who it is.
    Client {
        peer: Option<Peer>,
        is_secured: bool,
        certificates: Option<ClientCertificates>,
    },
    Operator(LocalPeer),
}

impl End {
    fn tell(&self, extensions: &mut Extensions) {
        match self {
            Self::Client { peer, is_secured, certificates } => {
                peer.map(|peer| extensions.insert(peer));
                is_secured.then(|| extensions.insert(Secured));
                certificates.clone().map(|shown| extensions.insert(shown));
            }
            Self::Operator(peer) => drop(extensions.insert(*peer)),
        }
    }
}

/// The version that both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// What connections have in common.
#[derive(Clone, Debug)]
pub(super) struct Common {
    pub(super) router: Router,
    pub(super) limits: Limits,
    /// Changes when the service is to end.
    pub(super) stopping: watch::Receiver<()>,
}

impl Common {
    /// Answers what comes on `stream` until either side ends it.
    pub(super) async fn keep<S>(self, stream: S, version: Version, end: End, member: Member)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pulse = Arc::new(Pulse::new(member, version, self.limits));
        let io = TokioIo::new(Watched { stream, pulse: Arc::clone(&pulse) });
        let router = TowerToHyperService::new(self.router);
        let at_requests = Arc::clone(&pulse);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let request_open = Pulse::request(&at_requests);
            end.tell(request.extensions_mut());
            let answer = router.call(request);
            async move {
                let answer = answer.await;
                drop(request_open);
                answer
            }
        });
        let shutdown = self.limits.shutdown;
        match version {
            Version::Http1 => {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(None)
                    .max_buf_size(HEAD_BYTES_READ_MAX)
                    .max_header_size(HEAD_BYTES_READ_MAX)
                    .serve_connection(io, service);
                watch(connection, &pulse, self.stopping, shutdown).await;
            }
            Version::Http2 => {
                let connection = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(WINDOWS.0)
                    .initial_connection_window_size(WINDOWS.1)
                    .max_header_list_size(HEAD_BYTES_READ_MAX.try_into().unwrap_or(u32::MAX))
                    .max_concurrent_streams(STREAMS_MAX)
                    .serve_connection(io, service);
                watch(connection, &pulse, self.stopping, shutdown).await;
            }
        }
    }
}

/// Drives a connection until it ends by itself, is idle for too long, loses its place, or the service stops.
async fn watch<C>(
    connection: C,
    pulse: &Pulse,
    mut stopping: watch::Receiver<()>,
    shutdown: Duration,
) where
    C: GracefulConnection,
{
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(pulse.deadline()));
    let idle = poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(false);
        }
        // A head may have begun, which ends earlier than the connection would have.
        if pulse.deadline() < timer.deadline() {
            timer.as_mut().reset(pulse.deadline());
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            let deadline = pulse.deadline();
            if deadline <= Instant::now() {
                return Poll::Ready(true);
            }
            timer.as_mut().reset(deadline);
        }
    });
    let patience = tokio::select! {
        is_idle = idle => if is_idle { LINGER } else { return },
        () = pulse.member.dismissed() => LINGER,
        _ = stopping.changed() => shutdown,
    };
    connection.as_mut().graceful_shutdown();
    timeout(patience, connection).await.ok();
}

/// What moves on a connection.
#[derive(Debug)]
struct Pulse {
    member: Member,
    version: Version,
    head: Duration,
    idle: Duration,
    beat: Mutex<Beat>,
}

#[derive(Debug)]
struct Beat {
    /// Requests that have begun and are not answered yet.
    requests: usize,
    /// When the last one was answered; before the first one, when the connection was made.
    quiet_since: Instant,
    /// When the head of the next request began; that of the first one begins with the connection.
    head_since: Option<Instant>,
}

impl Pulse {
    fn new(member: Member, version: Version, limits: Limits) -> Self {
        let now = Instant::now();
        let beat = Mutex::new(Beat { requests: 0, quiet_since: now, head_since: Some(now) });
        Self { member, version, head: limits.head, idle: limits.idle, beat }
    }

    /// A request begins. It is answered when what is returned is dropped.
    fn request(pulse: &Arc<Self>) -> OpenRequest {
        let mut beat = pulse.beat();
        beat.requests += 1;
        beat.head_since = None;
        if beat.requests == 1 {
            pulse.member.work();
        }
        OpenRequest(Arc::clone(pulse))
    }

    /// Something was read. On HTTP/2 that need not be a head.
    fn read(&self) {
        let mut beat = self.beat();
        if self.version == Version::Http1 && beat.requests == 0 && beat.head_since.is_none() {
            beat.head_since = Some(Instant::now());
        }
    }

    /// When the connection ends if nothing happens until then.
    fn deadline(&self) -> Instant {
        let beat = self.beat();
        if beat.requests > 0 {
            return Instant::now() + self.idle;
        }
        let quiet = beat.quiet_since + self.idle;
        beat.head_since.map_or(quiet, |since| quiet.min(since + self.head))
    }

    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is not answered yet.
struct OpenRequest(Arc<Pulse>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut beat = self.0.beat();
        beat.requests = beat.requests.saturating_sub(1);
        if beat.requests == 0 {
            beat.quiet_since = Instant::now();
            self.0.member.wait();
        }
    }
}

/// A stream that tells when something was read from it.
struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pulse.read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
