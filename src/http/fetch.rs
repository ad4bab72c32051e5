//! Fetches one small document: an issuer's keys, or where they are.
//!
//! Whatever the server does, it is over after five seconds and 256 KiB: no redirects, no compression, no second attempt, a
//! connection of its own. Plain HTTP goes to loopback addresses alone, also where a name leads elsewhere.
//!
//! Deliberately absent: what the document says, and when it is fetched.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, HOST, USER_AGENT};
use axum::http::{self, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::crypto::trust::{self, Trust};
use crate::domain::key_url::KeyUrl;

/// The longest document, in bytes.
pub const BYTES_MAX: usize = 256 * 1024;

/// How long all of it may take: the name, the connection, TLS, the answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

const AGENT: &str = concat!("reelkey/", env!("CARGO_PKG_VERSION"));

/// A document.
#[derive(Debug)]
pub struct Document {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What the server says about keeping it (RFC 9111 section 5.2).
    pub cache_control: Option<String>,
}

/// There is no document.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It took too long.
    #[error("there was no whole answer within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// The name leads nowhere.
    #[error("the name {0} cannot be looked up")]
    Name(String, #[source] io::Error),
    /// Plain HTTP may not leave this machine.
    #[error("{0} is not an address of this machine, and keys come from elsewhere by HTTPS only")]
    NotLocal(String),
    /// Nobody is there.
    #[error("the connection to {0} failed")]
    Connection(String, #[source] io::Error),
    /// The certificate is not good for this name, or the server speaks no TLS.
    #[error("TLS with {0} failed")]
    Tls(String, #[source] io::Error),
    /// No certificate authority is trusted.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// The request cannot be written as HTTP.
    #[error("the request is malformed")]
    Request(#[from] http::Error),
    /// The other end does not speak HTTP, or hung up.
    #[error("the exchange failed")]
    Exchange(#[from] hyper::Error),
    /// The server sends the client elsewhere.
    #[error(
        "the server answers with a redirect ({0}), which is not followed: name the address that it leads to"
    )]
    Redirect(u16),
    /// The server has no such document.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// The answer is compressed although that was not asked for.
    #[error("the answer has a Content-Encoding, which was not asked for")]
    Encoded,
    /// The document is too long.
    #[error("the answer is longer than {BYTES_MAX} bytes")]
    TooLong,
    /// The document ended too early.
    #[error("the answer broke off")]
    BrokeOff(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Fetches the document at `url` from a server that `trust` believes.
///
/// # Errors
/// [`Error`].
pub async fn fetch(url: &KeyUrl, trust: &Trust) -> Result<Document, Error> {
    timeout(PATIENCE, fetch_in_own_time(url, trust)).await.unwrap_or(Err(Error::TooSlow))
}

async fn fetch_in_own_time(url: &KeyUrl, trust: &Trust) -> Result<Document, Error> {
    let stream = connect(url).await?;
    if !url.is_tls() {
        return exchange(url, stream).await;
    }
    let failed = |error| Error::Tls(url.host().to_owned(), error);
    let name = trust::server_name(url.host()).map_err(|error| failed(io::Error::other(error)))?;
    let trust = trust.clone();
    // Reads the files of the system's store.
    let config = spawn_blocking(move || trust.client()).await;
    let config = config.map_err(|error| failed(io::Error::other(error)))??;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(failed)?;
    exchange(url, stream).await
}

/// Connects to the first address of the host that answers.
async fn connect(url: &KeyUrl) -> Result<TcpStream, Error> {
    let host = || url.host().to_owned();
    let found = lookup_host((url.host(), url.port())).await;
    let found = found.map_err(|error| Error::Name(host(), error))?;
    let may_ask = |address: &SocketAddr| url.is_tls() || address.ip().to_canonical().is_loopback();
    let addresses: Vec<_> = found.filter(may_ask).collect();
    if addresses.is_empty() {
        return Err(Error::NotLocal(host()));
    }
    TcpStream::connect(&*addresses).await.map_err(|error| Error::Connection(host(), error))
}

async fn exchange<S>(url: &KeyUrl, stream: S) -> Result<Document, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = Request::get(url.path())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, AGENT)
        .body(Body::empty())?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Dropped with this function, it ends the connection.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    read(sender.send_request(request).await?).await
}

async fn read(answer: Response<Incoming>) -> Result<Document, Error> {
    match answer.status().as_u16() {
        200 => {}
        status @ 300..=399 => return Err(Error::Redirect(status)),
        status => return Err(Error::Status(status)),
    }
    let headers = answer.headers();
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Error::Encoded);
    }
    let said = headers.get_all(CACHE_CONTROL).iter();
    let said: Vec<_> = said.map(|value| value.to_str().unwrap_or("no-cache")).collect();
    let cache_control = (!said.is_empty()).then(|| said.join(", "));
    let body = Limited::new(answer.into_body(), BYTES_MAX).collect().await;
    let bytes = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Error::TooLong,
        false => Error::BrokeOff(error),
    })?;
    Ok(Document { bytes: bytes.to_bytes().into(), cache_control })
}
