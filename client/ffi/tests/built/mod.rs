//! The library as `cargo build` makes it for its users.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Builds it with these arguments more. Answers the one of its files that has this name.
pub(super) fn library(arguments: &[&str], name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--package", "reelkey-client-ffi", "--message-format=json"]);
    let messages = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(messages.status.success(), "{}", String::from_utf8_lossy(&messages.stderr));
    messages
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| message.get("filenames")?.as_array().cloned())
        .flatten()
        .filter_map(|path| path.as_str().map(PathBuf::from))
        .find(|path| path.ends_with(name))
        .expect("cargo names the library that it built")
}
