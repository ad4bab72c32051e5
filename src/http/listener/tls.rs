//! TLS over a connection, with an identity that can be replaced while the service listens.
//!
//! Deliberately absent: certificates, keys and protocol versions (`crypto/tls.rs`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::crypto::tls::ServerConfig;

/// The TLS side of a listener, replaced while it listens.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>);

impl Tls {
    /// With this identity.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(config)))
    }

    /// Shows another identity to connections from now on. Those that are open stay.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        self.0.store(config);
    }

    /// Shakes hands.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        within: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let handshake = TlsAcceptor::from(self.0.load_full()).accept(stream);
        tokio::time::timeout(within, handshake).await?
    }
}

/// Whether both sides agreed on HTTP/2 (RFC 9113 section 3.2).
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}
