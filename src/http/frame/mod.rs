//! What surrounds every route: the exchange and its id, who sent it, how many there may be, problem documents, CORS,
//! the bearer token.
//!
//! Deliberately absent: knowledge of any single route.

pub mod address;
pub(crate) mod admission;
pub mod bearer;
pub(crate) mod body;
pub mod cors;
pub(crate) mod crowd;
pub(crate) mod exchange;
pub mod limits;
pub(crate) mod problem;
pub(crate) mod throttle;
