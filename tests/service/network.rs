//! What the listener and the frame around the routes keep away: pages of other origins, slow clients, too many of
//! them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use reelkey::http::listener::server::{Limits, serve};

use crate::world::World;

const ORIGIN: &str = "https://player.example";

fn from(origin: &str, method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header("origin", origin)
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read_refusals() {
    let world = World::new().await;
    let preflight = from(ORIGIN, Method::OPTIONS, "/v1/license")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let reply = world.send(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 200);
    let says = |name: &str| reply.headers[name].to_str().unwrap().to_lowercase();
    assert_eq!(says("access-control-allow-origin"), ORIGIN);
    assert_eq!(says("access-control-allow-credentials"), "true");
    assert!(says("access-control-allow-headers").contains("authorization"));
    assert!(says("access-control-allow-headers").contains("content-type"));
    assert!(says("access-control-allow-methods").contains("post"));
    assert_eq!(says("access-control-max-age"), "7200");
    assert!(says("vary").contains("origin"));

    for (method, path, status) in [
        (Method::GET, "/healthz", 200),
        (Method::POST, "/v1/license", 403),
        (Method::GET, "/v1/license", 405),
        (Method::GET, "/none", 404),
    ] {
        let reply = world.send(from(ORIGIN, method, path).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.headers["access-control-allow-origin"], ORIGIN, "{path}");
        assert_eq!(reply.headers["access-control-allow-credentials"], "true", "{path}");
        let exposed = reply.headers["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("x-request-id") && exposed.contains("retry-after"), "{exposed}");
        assert!(reply.headers["vary"].to_str().unwrap().contains("origin"), "{path}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_learns_nothing() {
    let world = World::new().await;
    for origin in
        ["https://other.example", "https://player.example.evil", "null", "http://player.example"]
    {
        let preflight = from(origin, Method::OPTIONS, "/v1/license")
            .header("access-control-request-method", "POST")
            .body(Body::empty());
        let plain = from(origin, Method::GET, "/healthz").body(Body::empty());
        for request in [preflight, plain] {
            let reply = world.send(request.unwrap()).await;
            assert!(!reply.headers.contains_key("access-control-allow-origin"), "{origin}");
        }
    }
}

/// A listener of this world with little patience.
async fn listen(limits: Limits) -> SocketAddr {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let router = world.router.clone();
        serve(listener, None, limits, router, std::future::pending()).await.unwrap();
        drop(world);
    });
    address
}

/// What comes back until the connection is closed.
fn read_to_end(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    // A connection that is closed with something unread is reset.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "never closed");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_off() {
    // Long enough for a client who does not dawdle, also where all of it shares a busy CPU.
    let (head, idle) = (Duration::from_secs(2), Duration::from_secs(5));
    let address = listen(Limits { head, idle, ..Limits::default() }).await;
    let clients: [fn(&mut TcpStream); 4] = [
        // Says nothing; begins a head and stops; sends it byte by byte; asks once and stays.
        |_| {},
        |stream| stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x").unwrap(),
        |stream| {
            for byte in b"GET /healthz HTTP/1.1\r\nHost: some.example.with.a.long.name\r\n" {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(50));
            }
        },
        |stream| stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(),
    ];
    let ends: Vec<_> = clients
        .into_iter()
        .map(|client| {
            thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                client(&mut stream);
                read_to_end(stream)
            })
        })
        .collect();
    let ends: Vec<_> = ends.into_iter().map(|end| end.join().unwrap()).collect();
    assert!(ends[..3].iter().all(|end| !end.contains("200 OK")), "{ends:?}");
    assert!(ends[3].starts_with("HTTP/1.1 200 OK"), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_too_many_is_closed_and_the_others_go_on() {
    let address = listen(Limits { connections: 3, ..Limits::default() }).await;
    let ask = |mut stream: TcpStream| {
        let sent =
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        sent.map(|()| read_to_end(stream)).unwrap_or_default()
    };
    // A connection that was answered and stays open.
    let hold = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        stream
    };
    let connected = move || TcpStream::connect(address).unwrap();
    let work = move || {
        let mut held = [hold(), hold(), hold()];
        assert_eq!(ask(connected()), "");
        held[1].write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        drop(held);
        // The slots are free a moment after the connections have ended.
        let is_answered = |_| {
            thread::sleep(Duration::from_millis(20));
            ask(connected()).starts_with("HTTP/1.1 200 OK")
        };
        assert!((0..500).any(is_answered));
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_long_is_refused() {
    let address = listen(Limits::default()).await;
    for head in [
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024)),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: a\r\n".repeat(100)),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).ok();
        let answer = read_to_end(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}
