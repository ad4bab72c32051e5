//! HTTP/2: what many streams and PINGs on few connections can do, and how long a head may be there.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use reelkey::crypto::tls::Identity;
use reelkey::http::frame::limits::Limits;
use reelkey::http::listener::server::Rules;
use reelkey::http::listener::tls::Tls;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;

use crate::wire::listen_with;

/// A service that speaks HTTP/2, and what a client needs to believe that it is the one.
struct Secure {
    address: SocketAddr,
    connector: TlsConnector,
}

impl Secure {
    async fn new(limits: Limits) -> Self {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (identity.cert.pem(), identity.signing_key.serialize_pem());
        let config = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap().config;
        let rules = Rules { limits, ..Rules::default() };
        let address = listen_with(rules, Some(Tls::new(config))).await;
        let mut roots = RootCertStore::empty();
        roots.add(identity.cert.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self { address, connector: TlsConnector::from(Arc::new(config)) }
    }

    /// A connection that sends a PING all the time, and the task that ends with it.
    async fn connect(&self) -> (SendRequest<Body>, JoinHandle<()>) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let stream = self.connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let (client, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_millis(50))
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = async { drop(connection.await) };
        (client, tokio::spawn(connection))
    }
}

fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    let uri = format!("https://localhost{path}");
    Request::builder().method(method).uri(uri).body(body).unwrap()
}

async fn ask(client: &mut SendRequest<Body>, request: Request<Body>) -> (u16, String) {
    let response: Response<Incoming> = client.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap())
}

/// A body that never comes.
struct Never;

impl hyper::body::Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_connections_full_of_stuck_streams_deny_nothing() {
    let secure = Secure::new(Limits::default()).await;
    let (mut connections, mut streams) = (Vec::new(), JoinSet::new());
    for _ in 0..9 {
        let (mut client, connection) = secure.connect().await;
        for _ in 0..63 {
            let begun = client.send_request(request("POST", "/v1/license", Body::new(Never)));
            streams.spawn(async { drop(begun.await) });
        }
        // What is asked last is answered: the streams before it are there.
        assert_eq!(ask(&mut client, request("GET", "/healthz", Body::empty())).await.0, 200);
        connections.push((client, connection));
    }
    let (mut honest, _connection) = secure.connect().await;
    for path in ["/healthz", "/readyz", "/.well-known/jwks.json", "/problems/timeout"] {
        let answer = ask(&mut honest, request("GET", path, Body::empty())).await;
        assert_eq!(answer.0, 200, "{path}: {}", answer.1);
    }
    let judged = ask(&mut honest, request("POST", "/v1/license", Body::from("abcd"))).await;
    assert!(judged.0 == 403 && judged.1.contains("token-missing"), "{judged:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_keep_no_connection_open() {
    let idle = Duration::from_millis(500);
    let secure = Secure::new(Limits { idle, ..Limits::default() }).await;
    let (mut client, connection) = secure.connect().await;
    assert_eq!(ask(&mut client, request("GET", "/healthz", Body::empty())).await.0, 200);
    let (_silent, never_asked) = secure.connect().await;
    let ended = async { (connection.await, never_asked.await) };
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    assert!(ended.is_ok(), "the service never ends them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_has_the_same_length_over_http2() {
    let secure = Secure::new(Limits::default()).await;
    let (mut client, _connection) = secure.connect().await;
    let with = |bytes: usize| {
        let mut request = request("GET", "/healthz", Body::empty());
        request.headers_mut().insert("x", "a".repeat(bytes).parse().unwrap());
        request
    };
    assert_eq!(ask(&mut client, with(31 * 1024)).await.0, 200);
    let (status, document) = ask(&mut client, with(33 * 1024)).await;
    assert!(status == 431 && document.contains("\"too-large\""), "{status} {document}");
    let mut many = request("GET", "/healthz", Body::empty());
    for _ in 0..65 {
        many.headers_mut().append("x", "a".parse().unwrap());
    }
    let (status, document) = ask(&mut client, many).await;
    assert!(status == 431 && document.contains("\"too-large\""), "{status} {document}");
}
