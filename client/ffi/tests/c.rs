//! The C interface from C: its header is the one that this crate makes, and a C program plays real films with it
//! under valgrind, to the same bytes as the client crate.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail where its expectation does"
)]
#![expect(clippy::disallowed_methods, reason = "a test is configured by its environment")]

mod built;

use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use reelkey_client::cenc::stream::append_to;
use reelkey_client::cenc::{Error, Init, Keys, Stream, decrypt_file};
use reelkey_client::key::ContentKey;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_header_is_made_from_the_source() {
    let path = Path::new(ROOT).join("include/reelkey.h");
    let config = cbindgen::Config::from_file(Path::new(ROOT).join("cbindgen.toml")).unwrap();
    let made = cbindgen::Builder::new()
        .with_config(config)
        .with_src(Path::new(ROOT).join("src/lib.rs"))
        .generate()
        .unwrap();
    let mut text = Vec::new();
    made.write(&mut text);
    let text = String::from_utf8(text).unwrap();
    if std::env::var_os("REELKEY_WRITE_HEADER").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{} is old: run this test with REELKEY_WRITE_HEADER=1", path.display());
}

struct Film {
    path: PathBuf,
    init: Option<PathBuf>,
    pairs: Vec<(String, String)>,
}

impl Film {
    fn keys(&self) -> Keys {
        let pair = |(kid, key): &(String, String)| {
            (kid.parse().unwrap(), ContentKey::parse_hex(key).unwrap())
        };
        self.pairs.iter().map(pair).collect()
    }

    /// In place, or the error's words.
    fn place(&self) -> Vec<u8> {
        let mut film = fs::read(&self.path).unwrap();
        let decrypted = match &self.init {
            None => decrypt_file(&self.keys(), &mut film),
            Some(init) => Init::parse(&fs::read(init).unwrap())
                .map_err(Error::from)
                .and_then(|init| init.plan(&film))
                .and_then(|plan| plan.decrypt(&self.keys(), &mut film)),
        };
        decrypted.map_or_else(words, |_notes| film)
    }

    fn stream(&self) -> Vec<u8> {
        let film = fs::read(&self.path).unwrap();
        let mut stream = match &self.init {
            None => Stream::new(self.keys()),
            Some(init) => {
                Stream::with_init(self.keys(), Init::parse(&fs::read(init).unwrap()).unwrap())
            }
        };
        let mut clear = Vec::new();
        let pushed =
            film.chunks(1000).try_for_each(|piece| stream.push(piece, append_to(&mut clear)));
        let streamed = pushed.and_then(|()| stream.finish(append_to(&mut clear)));
        streamed.map_or_else(|error| words(error.into()), |_| clear)
    }
}

fn words(error: Error) -> Vec<u8> {
    format!("error: {error}").into_bytes()
}

/// The films that the demonstration plays, and the corpus where it is.
fn films() -> Vec<Film> {
    let clips = Path::new(ROOT).join("../../src/cli/demo/clip");
    let mut films = Vec::new();
    for scheme in ["cenc", "cbcs"] {
        films.push(Film {
            path: clips.join(scheme).join("video.mp4"),
            init: None,
            pairs: vec![(
                "5ee1ce7a0d3b4c5d8e6f708192a3b4c5".into(),
                "0f1e2d3c4b5a69788796a5b4c3d2e1f0".into(),
            )],
        });
        films.push(Film {
            path: clips.join(scheme).join("video.mp4"),
            init: None,
            pairs: Vec::new(),
        });
    }
    let named = std::env::var("REELKEY_CORPUS").map(PathBuf::from);
    let corpus = named.unwrap_or_else(|_| Path::new(ROOT).join("../../../shared/corpus"));
    let corpus = corpus.join("public");
    let Ok(manifest) = fs::read(corpus.join("manifest.json")) else { return films };
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    for entry in manifest["files"].as_array().unwrap() {
        let pairs = entry["keys"].as_array().unwrap().iter().filter_map(|pair| {
            let (kid, key) = pair.as_str()?.split_once(':')?;
            (kid.len() == 32).then(|| (kid.into(), key.into()))
        });
        films.push(Film {
            path: corpus.join(entry["file"].as_str().unwrap()),
            init: entry["init"].as_str().map(|init| corpus.join(init)),
            pairs: pairs.collect(),
        });
    }
    films
}

/// Builds the program with a library, as a user of it would.
fn program(folder: &Path, library: &Path) -> PathBuf {
    let program = folder.join("play");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g", "-I"]);
    cc.arg(Path::new(ROOT).join("include")).arg(Path::new(ROOT).join("tests/play.c"));
    cc.arg(library).args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&program);
    let built = cc.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}

#[test]
fn a_c_program_plays_what_the_client_plays() {
    play_all(&built::library(&[], "libreelkey_c.a"));
}

#[test]
fn a_c_program_plays_the_same_with_the_shared_library() {
    play_all(&built::library(&[], "libreelkey_c.so"));
}

fn play_all(library: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let (films, list) = (films(), folder.path().join("list"));
    let mut lines = String::new();
    for (number, film) in films.iter().enumerate() {
        let init = film.init.as_deref().unwrap_or(Path::new("-"));
        write!(lines, "{} {}", film.path.display(), init.display()).unwrap();
        for form in ["streamed", "placed"] {
            write!(lines, " {}/{form}-{number}", folder.path().display()).unwrap();
        }
        for (kid, key) in &film.pairs {
            write!(lines, " {kid}:{key}").unwrap();
        }
        lines.push('\n');
    }
    fs::write(&list, lines).unwrap();
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=all"]);
    valgrind.args(["--errors-for-leak-kinds=definite,indirect,possible"]);
    let played = valgrind.arg(program(folder.path(), library)).stdin(File::open(&list).unwrap());
    let played = played.output().unwrap();
    let said = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success() && said.is_empty(), "{:?}: {said}", played.status);

    let mut clear = 0;
    for (number, film) in films.iter().enumerate() {
        let path = |form: &str| folder.path().join(format!("{form}-{number}"));
        let (streamed, placed) =
            (fs::read(path("streamed")).unwrap(), fs::read(path("placed")).unwrap());
        assert!(streamed == film.stream(), "{} as a stream", film.path.display());
        assert!(placed == film.place(), "{} in place", film.path.display());
        clear += usize::from(!placed.starts_with(b"error"));
    }
    assert!(clear >= 2, "{clear} films came out");
}
