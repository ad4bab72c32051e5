//! The routes that players use. A handler reads what came, calls one use case and writes what it returns.
//!
//! Deliberately absent: rules. Devices and license status enter here, one file each.

pub(crate) mod account;
pub(crate) mod clear_keys;
pub(crate) mod health;
pub(crate) mod license;
pub(crate) mod module;
pub(crate) mod pages;
