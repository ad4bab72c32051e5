//! HTTP: routes, proof extractors, problem documents.
//!
//! Top to bottom: [`router`] and [`admin`] name the routes, [`player`] answers them, [`frame`] surrounds them all, and
//! [`app`] is what they share. [`listener`] keeps the connections; [`client`] is the other end.
//!
//! A handler reads what came, calls one use case of [`crate::authority`] and writes what it returns.
//!
//! Deliberately absent: rules, keys, and any knowledge of what is stored.

pub mod admin;
pub mod app;
pub mod client;
pub mod frame;
pub mod listener;
pub mod player;
pub mod router;
