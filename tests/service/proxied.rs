//! Load balancers that name the client in front of the first byte: the PROXY protocol, version 2, over real connections.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use reelkey::http::frame::address::{Peer, Proxies};
use reelkey::http::frame::limits::Limits;
use reelkey::http::listener::server::{Rules, serve};
use reelkey::http::listener::tls::Tls;

use crate::wire::read_to_end;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const GET: &[u8] = b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// The header of a client at 192.0.2.7, with some TLVs.
fn client() -> Vec<u8> {
    let tlvs = [0x04, 0, 2, 0, 0];
    header(0x21, 0x11, &[&[192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb], &tlvs[..]].concat())
}

/// A listener that answers who is at the other end.
async fn listen(trusted: &str, limits: Limits, tls: Option<Tls>) -> SocketAddr {
    let who = |peer: Option<Extension<Peer>>| async move {
        peer.map_or_else(|| "nobody".to_owned(), |Extension(Peer(peer))| peer.ip().to_string())
    };
    let router = Router::new().route("/who", get(who));
    let proxies = Proxies { trusted: vec![trusted.parse().unwrap()], ..Proxies::default() };
    let rules = Rules { limits, proxies, proxy_protocol: true, ..Rules::default() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, tls, rules, router, std::future::pending()));
    address
}

/// Writes these pieces, with pauses, and returns what comes back.
fn send(address: SocketAddr, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    read_to_end(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_balancer_says_whose_its_connection_is() {
    let address = listen("127.0.0.0/8", Limits::default(), None).await;
    let work = move || {
        let whole = [&client()[..], GET].concat();
        let answer = send(address, &[&whole]);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("192.0.2.7"), "{answer}");
        let header = client();
        let answer = send(address, &[&header[..5], &header[5..20], &header[20..], GET]);
        assert!(answer.ends_with("192.0.2.7"), "{answer}");
        let local = self::header(0x20, 0, &[]);
        assert!(send(address, &[&local, GET]).ends_with("127.0.0.1"));
        let unknown = self::header(0x21, 0, &[]);
        assert!(send(address, &[&unknown, GET]).ends_with("nobody"));
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_balancer_without_a_header_is_not_listened_to() {
    let head = Duration::from_secs(2);
    let address = listen("127.0.0.0/8", Limits { head, ..Limits::default() }, None).await;
    let work = move || {
        for wrong in [
            GET.to_vec(),
            [b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n", GET].concat(),
            [&header(0x21, 0x12, &client()[16..])[..], GET].concat(),
            [&header(0x21, 0x11, &[0; 5000])[..], GET].concat(),
            // Begun, and never finished.
            client()[..20].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(send(address, &[&wrong]), "", "{wrong:?}");
        }
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_can_say_who_it_is() {
    let address = listen("10.0.0.0/8", Limits::default(), None).await;
    let work = move || {
        assert!(send(address, &[GET]).ends_with("127.0.0.1"));
        let whole = [&client()[..], GET].concat();
        let answer = send(address, &[&whole]);
        assert!(!answer.contains("200 OK") && !answer.contains("192.0.2.7"), "{answer}");
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_header_comes_before_tls() {
    let names = ["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let identity = reelkey::crypto::tls::Identity::from_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
    );
    let tls = Tls::new(identity.unwrap().config);
    let address = listen("127.0.0.0/8", Limits::default(), Some(tls)).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth();
    let work = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&client()).unwrap();
        let name = "localhost".try_into().unwrap();
        let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        tls.write_all(GET).unwrap();
        let mut answer = Vec::new();
        std::io::Read::read_to_end(&mut tls, &mut answer).ok();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("192.0.2.7"), "{answer}");
    };
    thread::spawn(work).join().unwrap();
}
