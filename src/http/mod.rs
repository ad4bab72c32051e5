//! HTTP: routes, proof extractors, problem documents.
//!
//! A handler reads what came, calls one use case of [`crate::authority`] and writes what it answers.
//! `exchange` wraps them all: it names the request, tells the time once, and writes every refusal,
//! the framework's own included, as a problem document.
//!
//! Deliberately absent: rules, keys, and any knowledge of what is stored.

mod admin;
mod app;
mod bearer;
pub mod client;
mod connection;
mod cors;
mod exchange;
mod health;
mod license;
mod pages;
mod problem;
mod router;
mod server;

pub use admin::{AdminApp, ReadIssuers, admin_router};
pub use app::App;
pub use cors::{AllowedOrigin, InvalidOrigin};
pub use router::router;
pub use server::{Limits, Tls, serve, serve_owner};
