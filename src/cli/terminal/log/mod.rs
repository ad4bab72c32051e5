//! The log: one line per event on standard error, written by a thread of its own. A log that cannot be written never
//! stops or delays anybody else.
//!
//! `start` puts it together, `filter` reads `--log`, `layer` makes lines of events, `value` makes text of their fields,
//! `queue` holds lines until they are written, `descriptor` writes.
//!
//! Deliberately absent: the layer that `tracing-subscriber` brings along, which prints to standard error when it cannot
//! write there; files and their rotation.

mod descriptor;
pub(crate) mod filter;
pub(crate) mod layer;
mod queue;
pub(crate) mod start;
mod value;
