//! The output for people and programs: results, failures, tables, the log.
//!
//! Deliberately absent: knowledge of any single command.

pub(crate) mod log;
pub(crate) mod output;
