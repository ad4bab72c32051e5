//! What surrounds every route: the exchange and its id, problem documents, CORS, the bearer token.
//!
//! Deliberately absent: knowledge of any single route.

pub(crate) mod bearer;
pub mod cors;
pub(crate) mod exchange;
pub(crate) mod problem;
