//! The rules of the house that a machine can hold. Each says where it is broken and how to mend it.
#![expect(clippy::unwrap_used, reason = "a test may fail where its expectation does")]

use std::fs;
use std::path::{Path, PathBuf};

/// The floors of the server, top to bottom: an import may only point down. `crypto` and `domain` are
/// side by side and do not know each other.
const FLOORS: [(&str, &[&str]); 6] = [
    ("cli", &["http", "authority", "store", "domain", "crypto"]),
    ("http", &["authority", "domain", "crypto"]),
    ("authority", &["store", "domain", "crypto"]),
    ("store", &["domain", "crypto"]),
    ("domain", &[]),
    ("crypto", &[]),
];

/// Words that may stand in these places only.
const FENCES: [(&str, &[&str]); 12] = [
    ("archmage", &["client/src/cenc/wide.rs"]),
    ("unsafe", &["client/ffi/src/"]),
    ("ring", &["src/crypto/"]),
    ("jsonwebtoken", &["src/crypto/"]),
    ("sled", &["src/store/"]),
    ("SledStore", &["src/store/"]),
    ("NewStore", &["src/store/"]),
    ("axum", &["src/http/"]),
    ("axum_server", &["src/http/"]),
    ("rustls", &["src/crypto/"]),
    ("hyper", &["src/http/"]),
    (
        "expose",
        &[
            "client/src/key.rs",
            "client/src/cenc/cipher.rs",
            "src/crypto/wrap.rs",
            "src/crypto/seal.rs",
        ],
    ),
];

/// Words that may stand nowhere in the code.
const BANNED: [(&str, &str); 5] = [
    ("super::super", "import from the file that defines, by its full path"),
    ("use crate::*", "name what you use"),
    ("TODO", "open an issue, or do it"),
    ("FIXME", "open an issue, or do it"),
    ("#[ignore", "a test runs, or it is deleted"),
];

/// The longest file, tests not counted.
const LINES_MAX: usize = 500;

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The part before the unit tests.
    fn code(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default()
    }

    /// Lines of code with their numbers, comments left out.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.code().lines().map(|line| line.split("//").next().unwrap_or_default());
        (1..).zip(code)
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "client/src", "client/ffi/src"] {
        collect(&root.join(folder), &mut found);
    }
    found
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Whether `word` stands in `line` as a word of its own: `ring` is not in `String`.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

fn upward_imports(source: &Source) -> Vec<String> {
    let floor = source.path.strip_prefix("src/").and_then(|path| path.split('/').next());
    let Some((floor, below)) = FLOORS.iter().find(|(name, _)| Some(*name) == floor) else {
        return Vec::new();
    };
    let mut broken = Vec::new();
    for (number, line) in source.lines() {
        for (other, _) in FLOORS {
            let imported = line.contains(&format!("crate::{other}::"));
            if imported && other != *floor && !below.contains(&other) {
                broken.push(format!(
                    "{}:{number}: {floor} may not import {other}; move what is shared down",
                    source.path
                ));
            }
        }
    }
    broken
}

fn broken_fences(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    for (number, line) in source.lines() {
        for (word, places) in FENCES {
            if has_word(line, word) && !places.iter().any(|place| source.path.starts_with(place)) {
                let places = places.join(", ");
                broken.push(format!("{}:{number}: {word} belongs in {places}", source.path));
            }
        }
        for (word, remedy) in BANNED {
            if line.contains(word) {
                broken.push(format!("{}:{number}: {word}: {remedy}", source.path));
            }
        }
    }
    broken
}

fn shape(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    if !source.text.starts_with("//!") {
        broken.push(format!(
            "{}:1: say in //! what lives here and what is deliberately absent",
            source.path
        ));
    }
    let lines = source.code().lines().count();
    if lines > LINES_MAX {
        broken.push(format!(
            "{}: {lines} lines; find the second idea and give it a file",
            source.path
        ));
    }
    broken
}

#[test]
fn the_house_is_in_order() {
    let sources = sources();
    assert!(sources.len() > 50, "the sources are found");
    let broken: Vec<_> = sources
        .iter()
        .flat_map(|source| [upward_imports(source), broken_fences(source), shape(source)].concat())
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_rules_find_what_they_are_for() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let up = source("src/domain/x.rs", "//! x\nuse crate::store::Store;\n");
    assert_eq!(upward_imports(&up).len(), 1);
    assert_eq!(upward_imports(&source("src/domain/x.rs", "use crate::crypto::wrap;")).len(), 1);
    assert!(upward_imports(&source("src/authority/x.rs", "use crate::store::Store;")).is_empty());
    let fenced =
        source("src/cli/x.rs", "use ring::rand;\nlet x = key.expose();\n// ring\nlet s: String;");
    assert_eq!(broken_fences(&fenced).len(), 2);
    assert_eq!(broken_fences(&source("src/x.rs", "use super::super::y;")).len(), 1);
    assert_eq!(shape(&source("src/x.rs", "fn x() {}")).len(), 1);
    assert_eq!(shape(&source("src/x.rs", &format!("//! x\n{}", "\n".repeat(501)))).len(), 1);
}

/// The examples that ship are read as their users will read them.
#[test]
fn the_example_keys_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("keys");
    let mut read = 0;
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let keys = reelkey::crypto::issuer_keys::IssuerKeys::parse(&bytes);
        assert!(keys.is_ok_and(|keys| keys.count() > 0), "{}", path.display());
        read += 1;
    }
    assert!(read > 0, "there are examples");
}
