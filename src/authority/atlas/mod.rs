//! Where addresses are: the operator's networks, and databases in MaxMind's format.
//!
//! Everything is in memory: a file that changes under the running service changes nothing. Deliberately absent: files, and
//! where an address comes from.

pub mod asked;
pub mod database;
mod embedded;
