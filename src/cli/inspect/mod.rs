//! `reelkey inspect`: what a film is and which keys it needs, from its boxes alone.
//!
//! From top to bottom: `command` has the arguments, `document` and `text` are the two forms of the output, `next_step` says
//! what to do with the film, `signals` tells what a `pssh` box says, and `reading` brings the bytes to the inspector. Deliberately absent: what boxes say, which the
//! client crate reads.

mod command;
pub(crate) mod document;
mod next_step;
pub(crate) mod reading;
pub(crate) mod signals;
mod terms;
pub(crate) mod text;

pub(crate) use crate::cli::inspect::command::{InspectArgs, inspect};
