//! The metrics' listener of `reelkey serve`. What helps never stops what matters: if it cannot listen, the log says so,
//! and the service goes on.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::http::app::App;
use crate::http::frame::limits::Limits;
use crate::http::listener::server::{self, Rules};
use crate::http::metrics::{LinesLost, MetricsApp, metrics_router};

/// The most connections at once; one more takes the place of the one that is idle longest.
const CONNECTIONS_MAX: usize = 16;

/// How long a connection may take over a head.
const HEAD: Duration = Duration::from_secs(5);

/// The listener, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Metrics {
    /// Listens there. `None` if that is not possible, which the log tells.
    pub(crate) fn start(
        address: SocketAddr,
        app: App,
        log_lines_lost: Option<Arc<LinesLost>>,
    ) -> Option<Self> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            listener.local_addr().map(|address| (listener, address))
        };
        let listened = listen().inspect_err(|error| {
            tracing::error!(%error, %address, "no metrics: their address cannot be listened on");
        });
        let (listener, address) = listened.ok()?;
        let limits = Limits {
            connections: CONNECTIONS_MAX,
            connections_per_peer: CONNECTIONS_MAX,
            head: HEAD,
            ..Limits::default()
        };
        let serving = tokio::spawn(async move {
            let authority = Arc::clone(&app.authority);
            let router = metrics_router(MetricsApp { app, log_lines_lost });
            let rules = Rules { limits, ..Rules::default() };
            let served = server::serve(listener, None, rules, router, std::future::pending());
            tokio::select! {
                Err(error) = served => tracing::error!(%error, "no more metrics"),
                () = authority.keep_stock() => {}
            }
        });
        Some(Self { address, serving })
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
