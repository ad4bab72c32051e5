//! The data folder: where its files lie, what `reelkey.toml` says, and how an installation is opened.
//!
//! Deliberately absent: what commands do with it.

pub(crate) mod anchors;
pub(crate) mod config;
pub(crate) mod device_ca;
pub(crate) mod geography;
pub(crate) mod installation;
pub(crate) mod issuer_entry;
pub(crate) mod issuer_files;
pub(crate) mod issuer_name;
pub(crate) mod kept_keys;
pub(crate) mod limits;
pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod packagers;
pub(crate) mod paths;
pub(crate) mod players;
pub(crate) mod reading;
pub(crate) mod retention;
pub(crate) mod surroundings;
pub(crate) mod tls;
