//! The command line: one file per command group, and the only reader of configuration, clocks and the
//! environment.
//!
//! Top to bottom: `command` reads what was typed, a file for each noun does it, `operator` gets it executed by the
//! running service or on the store, `folder` knows the files and `terminal` the person.
//!
//! A command opens the stopped store under its lock, does one thing and says what it did, as text for
//! people or, with `--json`, as one document. Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

mod clock;
mod command;
mod content;
mod decrypt;
mod demo;
mod doctor;
mod folder;
mod hygiene;
mod init;
mod issuer;
mod kek;
mod key;
mod key_file;
mod operator;
mod policy;
mod root;
mod secret_argument;
mod serve;
mod signer;
mod terminal;
mod token;

pub use command::{Cli, run};
