//! A page of the demo in a browser: its listener, what its buttons ask for, and how it ends.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use reelkey_client::strict::base64url;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::cli::terminal::output::Failure;
use crate::crypto::{digest, random};
use crate::http::demo::{Acted, Decisions, DemoPage, PageFile, demo_router};
use crate::http::listener::server::{self, Rules};

/// Where the page is unless that port is taken.
pub(super) const PORT: u16 = 7430;

/// What a button has as parameters.
type Query = BTreeMap<String, String>;

/// What a page's address has behind `#`: whoever does not know it cannot use the page.
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self(base64url::encode(&random::bytes::<16>()?)))
    }

    /// Where media of the stream's folder is, beside the page.
    pub(super) fn media(&self, name: &str) -> String {
        format!("stream/{}/{name}", self.0)
    }
}

/// What a page is made of.
pub(super) struct Page {
    /// The files, by path.
    pub(super) files: BTreeMap<String, PageFile>,
    /// The decisions of the service, if it is one of this process.
    pub(super) decisions: Arc<Decisions>,
    /// The folder whose media the page plays.
    pub(super) stream: Option<PathBuf>,
    pub(super) secret: Secret,
    /// The origin of the service.
    pub(super) service: String,
}

impl Page {
    /// Serves the page until `stopped`. `act` does what buttons ask for, one after the other.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        json: bool,
        act: impl AsyncFn(&str, &Query) -> Result<Value, Failure>,
        stopped: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        let address = listener.local_addr()?;
        let (asks, asked) = mpsc::channel(16);
        let page = DemoPage {
            files: Arc::new(self.files),
            act: Arc::new(move |action, query| ask(asks.clone(), action, query)),
            decisions: self.decisions,
            stream: self.stream,
            secret: digest::sha256(self.secret.0.as_bytes()),
            service: self.service,
        };
        announce(address, &self.secret, json)?;
        let serving = server::serve(listener, None, Rules::default(), demo_router(page), pending());
        tokio::select! {
            served = serving => served?,
            () = obey(act, asked) => {}
            () = stopped => {}
        }
        Ok(())
    }
}

/// Ends with the first signal that ends the demo. A terminal that is closed is one.
pub(super) fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// What a button asks for, and where the answer goes.
type Ask = (String, Query, oneshot::Sender<Result<Value, String>>);

/// Hands over what a button asks for. Commands run on one thread, and requests come on many.
fn ask(asks: mpsc::Sender<Ask>, action: String, query: Query) -> Acted {
    Box::pin(async move {
        let (tell, told) = oneshot::channel();
        let ended = |_| "the demo is ending".to_owned();
        asks.send((action, query, tell)).await.map_err(|_| ended(()))?;
        told.await.map_err(|_| ended(()))?
    })
}

/// Does what buttons ask for.
async fn obey(
    act: impl AsyncFn(&str, &Query) -> Result<Value, Failure>,
    mut asked: mpsc::Receiver<Ask>,
) {
    while let Some((action, query, tell)) = asked.recv().await {
        let done = act(&action, &query).await;
        let why = |failure: Failure| match failure.next_step() {
            Some(step) => format!("{failure}: {step}"),
            None => failure.to_string(),
        };
        tell.send(done.map_err(why)).ok();
    }
}

/// Takes a port, or any that is free.
pub(super) fn listen(port: Option<u16>) -> Result<TcpListener, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    let listener = TcpListener::bind(address).map_err(|error| {
        Failure::from(error).during(format_args!("listening on port {}", address.port())).remedy(
            "end what listens there, perhaps another demo, or name another port with --port",
        )
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn announce(address: SocketAddr, secret: &Secret, json: bool) -> Result<(), Failure> {
    use std::io::Write;

    let url = format!("http://localhost:{}/#{}", address.port(), secret.0);
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{}", json!({ "ready": true, "url": url }))?,
        false => {
            writeln!(
                out,
                "The demo is on {url}\nOpen it in a browser on this machine. Ctrl-C ends it."
            )?;
            if !std::io::stdin().is_terminal() {
                writeln!(out, "It ends with SIGTERM.")?;
            }
        }
    }
    Ok(out.flush()?)
}
