//! An HTTP client: sends one request over a connection that the caller has opened. The command line uses it for the
//! admin socket, and the demo's player uses it for the service.

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{self, Request};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// A request.
#[derive(Debug)]
pub struct Call<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The value of the `Host` header.
    pub host: &'a str,
    /// The path and the query.
    pub path: &'a str,
    /// An authorization token.
    pub token: Option<&'a str>,
    /// The body.
    pub body: Vec<u8>,
    /// The longest accepted body of the response, in bytes.
    pub answer_bytes_max: usize,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// There is no usable response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be written as HTTP.
    #[error("the request is malformed")]
    Request(#[from] http::Error),
    /// The connection ended, or the other end does not speak HTTP.
    #[error("the connection failed")]
    Connection(#[from] hyper::Error),
    /// The response is too long, or ended too early.
    #[error("the answer could not be read")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Call<'_> {
    /// Sends the request over `stream`, and closes it afterwards.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send<S>(self, stream: S) -> Result<Answer, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut request = Request::builder().method(self.method).uri(self.path);
        request = request.header(HOST, self.host);
        if let Some(token) = self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(self.body))?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), self.answer_bytes_max);
        let body = body.collect().await.map_err(Error::Answer)?.to_bytes();
        connection.abort();
        Ok(Answer { status, body: body.into() })
    }
}
