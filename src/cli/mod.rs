//! The command line: one file per noun. Only this folder reads configuration, the clock and the environment.
//!
//! Top to bottom: `command` parses the command line, a file for each noun runs its commands, `operator` has operations
//! executed by the running service or on the store, `folder` knows the files of an installation, and `terminal` writes
//! the output.
//!
//! An operation runs in the service if there is one. Otherwise the command opens the store under its lock. A command
//! prints its result as text, or with `--json` as one document. Exit codes: 0 done, 1 refused or failed, 2 wrong
//! usage.

mod account;
mod account_argument;
mod announcement;
mod aside;
mod clock;
mod command;
mod content;
mod decrypt;
mod demo;
mod device;
mod device_ca;
mod device_doctor;
mod doctor;
mod examples;
mod explain;
mod finding;
mod folder;
mod hygiene;
mod init;
mod inspect;
mod issuer;
mod issuer_doctor;
mod issuer_keys;
mod issuer_source;
mod kek;
mod key;
mod key_fetching;
mod key_file;
mod key_format;
mod license;
mod listeners;
mod manifest;
mod manual;
mod metrics;
mod operator;
mod packager;
mod packager_doctor;
mod policy;
mod policy_summary;
mod pssh;
mod reload;
mod root;
mod secret_argument;
mod serve;
mod session;
mod signer;
mod source;
mod sweeping;
mod terminal;
mod token;
mod usage;

pub use command::run;
