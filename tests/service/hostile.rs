//! Clients that take up room and ask for nothing: they compete with each other and keep nobody else from being answered.

use std::net::{SocketAddr, TcpStream};
use std::thread;

use reelkey::http::frame::address::Proxies;
use reelkey::http::frame::limits::Limits;

use crate::wire::{ask, hold, listen, listen_behind, read_answer, read_to_end, stuck};

/// Proxies that are this machine: clients can then be made up.
fn behind_a_proxy() -> Proxies {
    Proxies { trusted: vec!["127.0.0.0/8".parse().unwrap()], ..Proxies::default() }
}

/// A license request with a whole body that is refused for having no token: it was judged.
fn is_judged(address: SocketAddr, name: &str) -> bool {
    let mut stream = stuck(address, name);
    std::io::Write::write_all(&mut stream, b"cd").unwrap();
    let answer = read_answer(&mut stream);
    answer.starts_with("HTTP/1.1 403") && answer.contains("token-missing")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_too_many_takes_the_place_of_the_longest_idle_one() {
    let address = listen(Limits { connections: 3, ..Limits::default() }).await;
    let work = move || {
        let mut held = [hold(address), hold(address), hold(address)];
        // The first one asks again, so the second one is now the longest idle.
        ask(&mut held[0], "/healthz");
        let _new = hold(address);
        let [mut first, second, mut third] = held;
        assert_eq!(read_to_end(second), "");
        ask(&mut third, "/healthz");
        ask(&mut first, "/healthz");
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_come_deny_nothing() {
    let address = listen(Limits { connections: 4096, ..Limits::default() }).await;
    let work = move || {
        let stuck: Vec<_> = (0..600).map(|_| stuck(address, "")).collect();
        let mut honest = hold(address);
        for path in ["/healthz", "/readyz", "/.well-known/jwks.json", "/problems/timeout"] {
            assert!(ask(&mut honest, path).starts_with("HTTP/1.1 200"), "{path}");
        }
        assert!((0..50).all(|_| is_judged(address, "")));
        drop(stuck);
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_come_on_every_connection_deny_nothing() {
    let address = listen(Limits { connections: 40, ..Limits::default() }).await;
    let work = move || {
        let stuck: Vec<_> = (0..100).map(|_| stuck(address, "")).collect();
        assert!(ask(&mut hold(address), "/readyz").starts_with("HTTP/1.1 200"));
        assert!(is_judged(address, ""));
        drop(stuck);
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_too_many_open_requests_loses_the_one_that_waits_longest() {
    let limits = Limits { requests_per_peer: 3, requests: 6, ..Limits::default() };
    let address = listen_behind(limits, behind_a_proxy()).await;
    let work = move || {
        let mut hostile: Vec<_> = (0..4).map(|_| stuck(address, "6.6.6.6")).collect();
        let first = read_answer(&mut hostile[0]);
        assert!(first.starts_with("HTTP/1.1 503") && first.contains("retry-after"), "{first}");
        assert!(is_judged(address, "6.6.6.6") && is_judged(address, "192.0.2.1"));
        // Many addresses: the whole service is full, and whoever waits longest makes room.
        let others: Vec<_> =
            (1..9).map(|last| stuck(address, &format!("2001:db8:{last}::1"))).collect();
        assert!(is_judged(address, "192.0.2.1"));
        drop((hostile, others));
    };
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_deny_nothing() {
    let address = listen(Limits { connections: 300, ..Limits::default() }).await;
    let work = move || {
        let mut honest = hold(address);
        let mut idle = Vec::new();
        for round in 0..8 {
            idle.extend((0..100).map(|_| TcpStream::connect(address).unwrap()));
            assert!(ask(&mut honest, "/healthz").starts_with("HTTP/1.1 200"), "{round}");
            assert!(is_judged(address, ""), "{round}");
        }
    };
    thread::spawn(work).join().unwrap();
}
