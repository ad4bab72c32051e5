//! Listening: sockets, TLS, and the limits that a connection is kept within before the first byte of HTTP is read.
//!
//! Deliberately absent: routes, and everything that is said in HTTP.

pub(crate) mod connection;
pub mod server;
