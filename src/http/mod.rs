//! HTTP: routes, problem documents, listeners.
//!
//! Top to bottom: [`router`] and [`admin`] list the routes, [`player`] handles the requests of players, [`frame`]
//! surrounds every route, and [`app`] is the state that handlers share. [`listener`] accepts connections. [`client`]
//! sends requests, and [`fetch`] gets the keys of issuers.
//! [`metrics`] is for whoever measures the service, and [`demo`] has the page of the demo.
//!
//! A handler reads the request, calls one use case of [`crate::authority`] and writes its result.
//!
//! Deliberately absent: rules, keys, and any knowledge of what the store holds.

pub mod admin;
pub mod app;
pub mod client;
pub mod demo;
pub mod fetch;
pub mod frame;
pub mod keys;
pub mod listener;
pub mod log_health;
pub mod metrics;
pub mod player;
pub mod router;
