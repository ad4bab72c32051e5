//! `reelkey decrypt`: a Common Encryption file or stream, with known keys or those of a license.
//!
//! From top to bottom, and each file imports only from files below it:
//!
//! - `command` reads the arguments and says what was done;
//! - `in_place` decrypts a file where it lies, once `check` looked through it; `segments` decrypts many files into a folder;
//! - `to_output` writes a clear film elsewhere, `pipe` reads one from a pipe;
//! - `transfer` decrypts from file to file, several parts at once;
//! - `way` decides how a file is read, `whole` reads one that has to be in memory;
//! - `layout` looks at the boxes of a file, `part` reads some bytes of it, `window` maps it;
//! - `license` reads the keys of a license;
//! - `next_step` says which option may help, `keys` and `kept` read keys, `lock` keeps other processes away, and `report` counts.
//!
//! Deliberately absent: boxes and ciphers. The client crate has them.

mod check;
mod command;
mod in_place;
mod kept;
pub(crate) mod keys;
mod layout;
mod license;
mod lock;
mod next_step;
mod part;
mod pipe;
mod report;
mod segments;
mod to_output;
mod transfer;
mod way;
mod whole;
mod window;

pub(crate) use crate::cli::decrypt::command::{DecryptArgs, decrypt};
