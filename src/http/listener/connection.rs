//! Connections before the first byte of HTTP: who may have one, how many there are, and how long one may be idle.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower_layer::Layer;

/// Accepts as many connections as there are slots, each of which ends when nothing moves on it.
#[derive(Clone, Debug)]
pub(crate) struct Bounded {
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) idle: Duration,
}

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = BoundedStream;
    type Service = S;
    type Future = Ready<io::Result<(BoundedStream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            tracing::warn!("too many connections; one is closed");
            return ready(Err(io::ErrorKind::ConnectionRefused.into()));
        };
        // Answers are small and whole; nothing is gained by waiting for more.
        stream.set_nodelay(true).ok();
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(self.idle));
        stream.set_write_timeout(Some(self.idle));
        ready(Ok((BoundedStream { stream: Box::pin(stream), _slot: slot }, service)))
    }
}

/// A connection and its slot.
#[derive(Debug)]
pub(crate) struct BoundedStream {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    _slot: OwnedSemaphorePermit,
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

/// Accepts connections of one user and of root. Anybody else's is closed before a byte is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnerOnly {
    /// The user's id.
    pub(crate) owner: u32,
}

/// Who is at the other end of the admin socket: an extension of each request that comes over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The user's id.
    pub(crate) uid: u32,
}

impl<S> Accept<UnixStream, S> for OwnerOnly {
    type Stream = UnixStream;
    type Service = AddExtension<S, Peer>;
    type Future = Ready<io::Result<(UnixStream, AddExtension<S, Peer>)>>;

    fn accept(&self, stream: UnixStream, service: S) -> Self::Future {
        ready(match stream.peer_cred() {
            Ok(peer) if peer.uid() == self.owner || peer.uid() == 0 => {
                let peer = Peer { uid: peer.uid() };
                Ok((stream, Extension(peer).layer(service)))
            }
            Ok(peer) => {
                tracing::warn!(uid = peer.uid(), "a stranger at the admin socket");
                Err(io::ErrorKind::PermissionDenied.into())
            }
            Err(error) => {
                tracing::warn!(%error, "nobody knows who is at the admin socket");
                Err(error)
            }
        })
    }
}
