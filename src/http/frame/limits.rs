//! What players may cost: how many connections and requests there are at once, and how long each may take.
//!
//! Deliberately absent: the counting (`crowd`) and the configuration file (`cli/folder/limits.rs`).

use std::time::Duration;

/// The limits of the players' listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at once. One more takes the place of the one that has been idle longest.
    pub connections: usize,
    /// The most connections at once of one client address (IPv6: of one /64). One more takes the place of the one of
    /// that address that has been idle longest.
    pub connections_per_peer: usize,
    /// The most requests at once, those included whose bodies have not arrived, and at most half of `connections`. One
    /// more takes the place of the one that has waited for its body longest.
    pub requests: usize,
    /// The same of one client address (IPv6: of one /64).
    pub requests_per_peer: usize,
    /// How long a TLS handshake, and how long the head of a request may take.
    pub head: Duration,
    /// How long the body of a request may take.
    pub body: Duration,
    /// How long a connection may be without a request.
    pub idle: Duration,
    /// How long requests that have begun may take to end once the service is told to stop.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            connections_per_peer: 512,
            requests: 4096,
            requests_per_peer: 256,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The most open requests, of all and of one client: no more than half as many as connections. So some connections
    /// are always without a request, and make room for new ones, however many requests wait for their bodies.
    pub(crate) fn open_requests(&self) -> (usize, usize) {
        let half = |connections: usize| (connections / 2).max(1);
        let of_one = self.requests_per_peer.min(half(self.connections_per_peer));
        (self.requests.min(half(self.connections)), of_one)
    }
}

/// The longest head of a request, in bytes: a token of 8 KiB, and what browsers send besides.
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;

/// The most header fields of a request.
pub(crate) const HEAD_FIELDS_MAX: usize = 64;
