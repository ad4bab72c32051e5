//! The service behind a socket, and clients that write HTTP/1.1 by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use reelkey::http::app::App;
use reelkey::http::frame::address::Proxies;
use reelkey::http::frame::bearer::TokenPlaces;
use reelkey::http::frame::limits::Limits;
use reelkey::http::listener::server::{Rules, serve};
use reelkey::http::listener::tls::Tls;
use reelkey::http::log_health::LogHealth;
use reelkey::http::router::router_within;
use reelkey_client::time::UnixTime;

use crate::world::{NOW, World};

/// A listener within these limits.
pub(crate) async fn listen(limits: Limits) -> SocketAddr {
    listen_with(Rules { limits, ..Rules::default() }, None).await
}

/// A listener that believes these proxies.
pub(crate) async fn listen_behind(limits: Limits, proxies: Proxies) -> SocketAddr {
    listen_with(Rules { limits, proxies, ..Rules::default() }, None).await
}

/// A listener, with TLS or without.
pub(crate) async fn listen_with(rules: Rules, tls: Option<Tls>) -> SocketAddr {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let clock = std::sync::Arc::new(|| UnixTime::from_secs(NOW));
    let app = App { authority: world.authority.clone(), clock, log: LogHealth::default() };
    let router = router_within(app, rules.limits, rules.proxies.clone(), TokenPlaces::default());
    tokio::spawn(async move {
        serve(listener, tls, rules, router, std::future::pending()).await.unwrap();
        drop(world);
    });
    address
}

/// What comes back until the connection is closed.
pub(crate) fn read_to_end(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = Vec::new();
    // A connection that is closed with something unread is reset.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "never closed");
    }
    String::from_utf8(answer).unwrap()
}

/// One answer, head and body.
pub(crate) fn read_answer(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = Vec::new();
    let length = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
        if answer.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            break length.unwrap().parse::<usize>().unwrap();
        }
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    answer.append(&mut body);
    String::from_utf8(answer).unwrap()
}

/// One request for a page and its answer, on a connection that stays open.
pub(crate) fn ask(stream: &mut TcpStream, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_answer(stream)
}

/// A connection that was answered once and stays open.
pub(crate) fn hold(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    assert!(ask(&mut stream, "/healthz").starts_with("HTTP/1.1 200"));
    stream
}

/// A connection on which `name` has begun a license request that the service waits for the rest of.
pub(crate) fn stuck(address: SocketAddr, name: &str) -> TcpStream {
    const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /v1/license HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {name}\r\n\
         Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    )
    .unwrap();
    let mut answer = [0; GO_ON.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, GO_ON);
    stream.write_all(b"ab").unwrap();
    stream
}
