//! The output for people and programs: results, failures, tables, the log.
//!
//! Deliberately absent: knowledge of any single command.

pub(crate) mod confirm;
pub(crate) mod foreign;
pub(crate) mod log;
pub(crate) mod output;
pub(crate) mod table;
