//! TLS over a connection, with an identity that can be replaced while the service listens.
//!
//! Deliberately absent: certificates, keys and protocol versions (`crypto/tls.rs`).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::crypto::client_auth::{Wanted, asking};
use crate::crypto::tls::ServerConfig;
use crate::http::frame::address::ClientCertificates;

/// The TLS side of a listener, replaced while it listens.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ArcSwap<ServerConfig>>,
    /// Whether clients are asked for a certificate.
    wanted: Option<Asking>,
}

/// When clients are asked for a certificate. It has a `Debug`.
#[derive(Clone)]
struct Asking(Wanted);

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asking(..)")
    }
}

impl Tls {
    /// With this identity.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self { config: Arc::new(ArcSwap::new(config)), wanted: None }
    }

    /// With this identity; clients are asked for a certificate while `wanted` says so.
    #[must_use]
    pub fn asking(config: Arc<ServerConfig>, wanted: Wanted) -> Self {
        let tls = Self { wanted: Some(Asking(wanted)), ..Self::new(Arc::clone(&config)) };
        tls.replace(config);
        tls
    }

    /// Shows another identity to connections from now on. Those that are open stay.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        let asking = self.wanted.as_ref().map(|Asking(wanted)| asking(&config, Arc::clone(wanted)));
        match asking.transpose() {
            Ok(asking) => self.config.store(asking.unwrap_or(config)),
            // Then packagers have only their secrets.
            Err(error) => {
                tracing::error!(%error, "clients are not asked for certificates");
                self.config.store(config);
            }
        }
    }

    /// Shakes hands.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        within: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let handshake = TlsAcceptor::from(self.config.load_full()).accept(stream);
        tokio::time::timeout(within, handshake).await?
    }
}

/// Whether both sides agreed on HTTP/2 (RFC 9113 section 3.2).
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// The certificates that the client showed, its own first.
pub(super) fn client_certificates(stream: &TlsStream<TcpStream>) -> Option<ClientCertificates> {
    let shown = stream.get_ref().1.peer_certificates()?;
    Some(ClientCertificates(shown.iter().map(|der| der.to_vec()).collect()))
}
