//! The names of the files that are kept for an issuer.
//!
//! A name contains the whole SHA-256 of the issuer's name, because two names may look alike, and collisions of a shorter
//! hash can be found.

use std::fmt::Write as _;

use crate::crypto::digest::sha256;

/// A file name for an issuer: what can be read of it, and the whole hash.
pub(crate) fn file_name(iss: &str) -> String {
    let mut name = format!("{}-", readable(iss));
    for byte in sha256(iss.as_bytes()) {
        write!(name, "{byte:02x}").ok();
    }
    name
}

/// What a person recognizes an issuer's file by. It names nobody.
pub(crate) fn readable(iss: &str) -> String {
    let bare = iss.split_once("://").map_or(iss, |(_, rest)| rest);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let readable: String = bare.chars().map(plain).take(48).collect();
    readable.trim_matches(['.', '-']).to_owned()
}
