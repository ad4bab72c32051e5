//! The Rust program of docs/decrypting/own-program.md. The page shows this function as it stands here, and a test of `tasks`
//! runs it.

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::Path;

use reelkey_client::cenc::{Keys, Reader};
use reelkey_client::key::ContentKey;

pub(crate) fn decrypt(input: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let mut keys = Keys::default();
    let kid = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5".parse()?;
    keys.insert(kid, ContentKey::parse_hex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")?);
    let mut film = Reader::new(File::open(input)?, keys);
    io::copy(&mut film, &mut File::create(output)?)?;
    match film.stream().notes().first() {
        // Notes say, for example, that a key does not seem to fit.
        Some(note) => Err(note.to_string().into()),
        None => Ok(()),
    }
}
