//! `reelkey inspect`: what a film is and which keys it needs, from its boxes alone.
//!
//! From top to bottom: `command` has the arguments, `document` and `text` are the two forms of the output, `next_step` says
//! what to do with the film, and `reading` brings the bytes to the inspector. Deliberately absent: what boxes say, which the
//! client crate reads.

mod command;
mod document;
mod next_step;
mod reading;
mod terms;
mod text;

pub(crate) use crate::cli::inspect::command::{InspectArgs, inspect};
