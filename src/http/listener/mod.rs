//! Listening: sockets, TLS, and the limits that a connection is kept within before the first byte of HTTP is read.
//!
//! Top to bottom: [`server`] serves players and operators; `accept` takes connections from a socket until it is told to
//! stop, `connection` keeps one, `proxied` reads whose it is behind a load balancer, `socket` and [`tls`] are what a connection is made of, [`descriptors`] is what they
//! may use up.
//!
//! Deliberately absent: routes, and everything that is said in HTTP.

mod accept;
mod connection;
pub mod descriptors;
mod proxied;
pub mod server;
mod socket;
pub mod tls;
