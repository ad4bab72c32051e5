//! What the listener and the frame around the routes keep away: pages of other origins, slow clients, too many of
//! them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use axum::routing::get;
use axum::{Extension, Router};
use reelkey::http::frame::address::LocalPeer;
use reelkey::http::frame::limits::Limits;
use reelkey::http::listener::server::serve_owner;

use crate::wire::{ask, hold, listen, read_answer, read_to_end, stuck};
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
async fn a_connection_may_be_idle_longer_than_a_head_may_take() {
    let head = Duration::from_secs(1);
    let address = listen(Limits { head, ..Limits::default() }).await;
    let work = move || {
        let mut stream = hold(address);
        thread::sleep(3 * head);
        assert!(ask(&mut stream, "/healthz").starts_with("HTTP/1.1 200"));
        // The head of a later request is in no less of a hurry than that of the first.
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
        assert_eq!(read_to_end(stream), "");
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_with_a_request_is_not_idle_and_a_body_has_its_time() {
    let (idle, body) = (Duration::from_millis(300), Duration::from_secs(2));
    let address = listen(Limits { idle, body, ..Limits::default() }).await;
    let work = move || {
        let mut stream = stuck(address, "");
        thread::sleep(2 * idle);
        stream.write_all(b"cd").unwrap();
        let answer = read_answer(&mut stream);
        assert!(answer.contains("token-missing") || answer.contains("\"timeout\""), "{answer}");
        let answer = read_answer(&mut stuck(address, ""));
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"timeout\""), "{answer}");
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_long_is_refused() {
    let address = listen(Limits::default()).await;
    let send = |fields: String| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n")
            .ok();
        read_to_end(stream)
    };
    let long = |kib: usize| format!("X: {}\r\n", "a".repeat(kib * 1024));
    for fits in [long(31), "X: a\r\n".repeat(62)] {
        assert!(send(fits).starts_with("HTTP/1.1 200"));
    }
    for too_long in [long(33), long(40), long(60), "X: a\r\n".repeat(63)] {
        let answer = send(too_long);
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        assert!(answer.contains("application/problem+json") && answer.contains("\"too-large\""));
    }
    // So long that it is not read to its end.
    for endless in [long(200), "X: a\r\n".repeat(200)] {
        let answer = send(endless);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_at_the_admin_socket_tells_who_sent_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let who = |Extension(peer): Extension<LocalPeer>| async move { format!("{peer:?}") };
    let router = Router::new().route("/who", get(who));
    let uid = rustix::process::getuid().as_raw();
    tokio::spawn(serve_owner(listener, uid, Limits::default(), router, std::future::pending()));
    let work = move || {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let pid = Some(i32::try_from(std::process::id()).unwrap());
        assert!(answer.ends_with(&format!("{:?}", LocalPeer { uid, pid })), "{answer}");
    };
    thread::spawn(work).join().unwrap();
}
