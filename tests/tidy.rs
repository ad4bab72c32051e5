//! The rules of the house that a machine can hold. Each says where it is broken and how to mend it.
#![expect(clippy::unwrap_used, reason = "a test may fail where its expectation does")]

#[path = "tidy/floors.rs"]
mod floors;

use std::fs;
use std::path::{Path, PathBuf};

use reelkey::crypto::device_ca::{DeviceCa, Kind};
use reelkey::crypto::issuer_keys::IssuerKeys;

use crate::floors::FLOORS;

/// Words that may stand in these places only.
const FENCES: &[(&str, &[&str])] = &[
    ("maxminddb", &["src/authority/atlas/database.rs"]),
    ("proxy_header", &["src/http/listener/proxied.rs"]),
    ("roxmltree", &["src/http/keys/xml/reader.rs", "tests/"]),
    (
        "prometheus_client",
        &["src/authority/counters.rs", "src/authority/issuer_counters.rs", "src/store/meter.rs"],
    ),
    ("archmage", &["client/src/cenc/wide.rs"]),
    ("unsafe", &["client/ffi/src/"]),
    ("ring", &["src/crypto/"]),
    ("jsonwebtoken", &["src/crypto/"]),
    // Its private-key operations take times that tell of the key; that file has none.
    ("::rsa", &["src/crypto/rsa.rs"]),
    ("use rsa", &["src/crypto/rsa.rs"]),
    ("sled", &["src/store/"]),
    ("SledStore", &["src/store/"]),
    ("NewStore", &["src/store/"]),
    ("axum", &["src/http/"]),
    ("tokio_rustls", &["src/http/fetch.rs", "src/http/listener/tls.rs"]),
    ("rustls", &["src/crypto/"]),
    ("webpki", &["src/crypto/"]),
    ("hyper", &["src/http/"]),
    (
        "expose",
        &[
            "client/src/key.rs",
            "client/src/cenc/cipher.rs",
            "client/src/pssh/playready/checksum.rs",
            "src/crypto/wrap.rs",
            "src/crypto/seal.rs",
            "src/crypto/plain_key.rs",
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

/// The longest file, its unit tests included.
const LINES_MAX: usize = 500;

/// A longer one says why in its head, with these words.
const LINES_EXPLAINED: usize = 400;
const EXPLAINED_BY: &str = "//! One file because";

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

    /// Lines of code, each import as one line.
    fn statements(&self) -> Vec<(usize, String)> {
        let mut all: Vec<(usize, String)> = Vec::new();
        let mut is_open = false;
        for (number, line) in self.lines() {
            match all.last_mut() {
                Some((_, statement)) if is_open => statement.push_str(line.trim()),
                _ => all.push((number, line.to_owned())),
            }
            is_open = all.last().is_some_and(|(_, line)| {
                let line = line.trim_start();
                (line.starts_with("use ") || line.starts_with("pub use ")) && !line.contains(';')
            });
        }
        all
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

/// The modules that a line imports, from the crate's root on: `use crate::a::{b, c::d}` gives `a/b` and `a/c/d`.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let path = &line[at + "crate::".len()..];
        let base = path.split(['{', ';', '<', '(', ')', ',', ' ', '}']).next().unwrap_or_default();
        let group = path[base.len()..]
            .strip_prefix('{')
            .map_or("", |group| group.split('}').next().unwrap_or_default());
        if group.is_empty() {
            found.push(base.replace("::", "/"));
        }
        for name in group.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name = name.split(" as ").next().unwrap_or_default();
            found.push(format!("{base}{name}").replace("::", "/"));
        }
    }
    found
}

/// Which floor a room is on, from the top.
fn floor_of(folder: &str, room: &str) -> Option<usize> {
    let (_, floors) = FLOORS.iter().find(|(name, _)| *name == folder)?;
    floors.iter().position(|floor| floor.split(' ').any(|name| name == room))
}

/// The room of `folder` that a path leads into, and the rest of the path.
fn room_in<'a>(folder: &str, path: &'a str) -> Option<(&'a str, Option<&'a str>)> {
    let path = path.strip_prefix(folder)?.strip_prefix('/')?;
    Some(path.split_once('/').map_or((path, None), |(room, rest)| (room, Some(rest))))
}

fn upward_imports(source: &Source) -> Vec<String> {
    let own = source.path.trim_end_matches(".rs");
    // Where `crate::` leads; the C interface has one file and is nobody's floor.
    let root = if own.starts_with("client/src/") { "client/src" } else { "src" };
    let mut broken = Vec::new();
    for (folder, _) in FLOORS {
        let Some((room, _)) = room_in(folder, own) else { continue };
        if matches!(room, "mod" | "lib" | "main") {
            continue;
        }
        let Some(floor) = floor_of(folder, room) else {
            broken.push(format!(
                "{}: give {room} a floor of {folder} in tests/tidy/floors.rs",
                source.path
            ));
            continue;
        };
        for (number, line) in source.statements() {
            for import in imports(&line) {
                let import = format!("{root}/{import}");
                let Some((other, rest)) = room_in(folder, &import) else { continue };
                let broken_rule = match floor_of(folder, other) {
                    _ if other == room => continue,
                    Some(below) if below > floor => continue,
                    Some(_) => format!("{room} may not import {other}; move what is shared down"),
                    // What is no room is defined by the folder's mod.rs.
                    None if rest.is_none() && *folder != root => {
                        format!("{other} is defined in {folder}/mod.rs; give it a file")
                    }
                    None => continue,
                };
                broken.push(format!("{}:{number}: {broken_rule}", source.path));
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
    let lines = source.text.lines().count();
    if lines > LINES_EXPLAINED && !source.text.contains(EXPLAINED_BY) {
        broken.push(format!(
            "{}: {lines} lines; split it, or say in its head: {EXPLAINED_BY} ..",
            source.path
        ));
    }
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
    let up = source("src/domain/region.rs", "//! x\nuse crate::store::engine::Store;\n");
    assert_eq!(upward_imports(&up).len(), 1);
    let across = source("src/domain/region.rs", "use crate::crypto::wrap;");
    assert_eq!(upward_imports(&across).len(), 1);
    let down = "use crate::store::record::{\n    key::KeyRecord,\n    stored,\n};";
    assert!(upward_imports(&source("src/authority/commit.rs", down)).is_empty());
    let inside = source("src/store/record/stored.rs", down);
    assert_eq!(upward_imports(&inside).len(), 1, "a kind of record is above what reads them all");
    let of_the_folder = source("src/store/batch.rs", "use crate::store::Batch;");
    assert_eq!(upward_imports(&of_the_folder).len(), 1, "mod.rs defines nothing");
    let unknown = source("src/store/new_room.rs", "//! x");
    assert_eq!(upward_imports(&unknown).len(), 1, "a new room needs a floor");
    let fenced =
        source("src/cli/x.rs", "use ring::rand;\nlet x = key.expose();\n// ring\nlet s: String;");
    assert_eq!(broken_fences(&fenced).len(), 2);
    assert_eq!(broken_fences(&source("src/x.rs", "use super::super::y;")).len(), 1);
    assert_eq!(shape(&source("src/x.rs", "fn x() {}")).len(), 1);
    let long = |lines, head: &str| source("src/x.rs", &format!("{head}\n{}", "\n".repeat(lines)));
    assert_eq!(shape(&long(401, "//! x")).len(), 1);
    assert!(shape(&long(401, "//! One file because x")).is_empty());
    assert_eq!(shape(&long(501, "//! One file because x")).len(), 1);
}

/// The examples that ship are read as their users will read them.
#[test]
fn the_example_keys_are_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("keys");
    let mut read = 0;
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let is_read = match path.extension().and_then(|ending| ending.to_str()) {
            Some("pem") => DeviceCa::from_pem("example", Kind::Certificates, &bytes).is_ok(),
            _ => IssuerKeys::parse(&bytes).is_ok_and(|keys| keys.count() > 0),
        };
        assert!(is_read, "{}", path.display());
        read += 1;
    }
    assert_eq!(read, 2, "a key set of an issuer and a device CA");
}
