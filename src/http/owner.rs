//! A Unix socket for the folder's owner and root, and nobody else.

use std::io;

use axum::serve::Listener;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};

/// Accepts connections of one user and of root. Anybody else's is closed before a byte is read.
#[derive(Debug)]
pub struct OwnerOnly {
    listener: UnixListener,
    owner: u32,
}

impl OwnerOnly {
    /// Guards `listener` for the user with this id.
    #[must_use]
    pub fn new(listener: UnixListener, owner: u32) -> Self {
        Self { listener, owner }
    }
}

impl Listener for OwnerOnly {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.listener).await;
            match stream.peer_cred() {
                Ok(peer) if peer.uid() == self.owner || peer.uid() == 0 => {
                    return (stream, address);
                }
                Ok(peer) => tracing::warn!(uid = peer.uid(), "a stranger at the admin socket"),
                Err(error) => tracing::warn!(%error, "nobody knows who is at the admin socket"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
