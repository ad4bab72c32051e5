//! Documents of packagers: whatever they are, they are read or refused. A key is asked for or brought, never both.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reelkey::http::keys::cpix::plain_document;
use reelkey::http::keys::cpix::request::{Dialect, kids};

fuzz_target!(|bytes: &[u8]| {
    let content = "movies/any".parse().unwrap();
    let brought = plain_document::keys(bytes, Some(&content));
    for dialect in [Dialect::Cpix, Dialect::Speke1, Dialect::Speke2] {
        if let Ok(asked) = kids(bytes, dialect) {
            assert!(!asked.is_empty() && brought.is_err());
        }
    }
    if let Ok(keys) = brought {
        assert!(!keys.is_empty() && keys.iter().all(|key| key.key.len() == 32));
    }
});
