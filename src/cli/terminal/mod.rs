//! What a person or a program at the terminal sees: results, failures, tables, the log.
//!
//! Deliberately absent: knowledge of any single command.

pub(crate) mod log;
pub(crate) mod output;
