//! The C interface from C: its header is the one that this crate makes, and a C program plays real films with it
//! under valgrind, to the same bytes as the client crate.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail where its expectation does"
)]
#![expect(clippy::disallowed_methods, reason = "a test is configured by its environment")]

mod built;

use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use reelkey_client::cenc::notes::Note;
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
    /// As the command line and the C program take them.
    keys: Vec<String>,
}

/// What came of a film: its bytes or the words of the error, and the lines of its notes.
#[derive(PartialEq)]
struct Outcome {
    bytes: Vec<u8>,
    notes: String,
}

impl Film {
    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        for given in &self.keys {
            match given.split_once(':') {
                None if given == "partial" => keys.leave_tracks_without_keys(),
                None => keys.insert_only(ContentKey::parse_hex(given).unwrap()),
                Some((kid, key)) => match (kid.parse(), ContentKey::parse_hex(key).unwrap()) {
                    (Ok(kid), key) => keys.insert(kid, key),
                    (Err(_), key) => keys.insert_for_track(kid.parse().unwrap(), key),
                },
            }
        }
        keys
    }

    /// In place, or the error's words.
    fn place(&self) -> Outcome {
        let mut film = fs::read(&self.path).unwrap();
        let decrypted = match &self.init {
            None => decrypt_file(&self.keys(), &mut film),
            Some(init) => Init::parse(&fs::read(init).unwrap())
                .map_err(Error::from)
                .and_then(|init| init.plan(&film))
                .and_then(|plan| plan.decrypt(&self.keys(), &mut film)),
        };
        decrypted.map_or_else(failed, |notes| decrypted_with(film, &notes))
    }

    fn stream(&self) -> Outcome {
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
        match streamed {
            Ok(_) => decrypted_with(clear, &stream.notes()),
            Err(error) => failed(error.into()),
        }
    }
}

fn failed(error: Error) -> Outcome {
    Outcome { bytes: format!("error: {error}").into_bytes(), notes: String::new() }
}

fn decrypted_with(bytes: Vec<u8>, notes: &[Note]) -> Outcome {
    let is_wrong = notes.iter().any(|note| matches!(note, Note::WrongKey { .. }));
    let mut lines = format!("{}\n", if is_wrong { 4 } else { 0 });
    for note in notes {
        writeln!(lines, "{note}").unwrap();
    }
    Outcome { bytes, notes: lines }
}

/// The films that the demonstration plays, with their key in every form, and the corpora where they are.
fn films() -> Vec<Film> {
    const KID: &str = "5ee1ce7a0d3b4c5d8e6f708192a3b4c5";
    const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    const OTHER: &str = "000102030405060708090a0b0c0d0e0f";
    let clips = Path::new(ROOT).join("../../src/cli/demo/clip");
    let mut films = Vec::new();
    for scheme in ["cenc", "cbcs"] {
        for keys in [
            vec![format!("{KID}:{KEY}")],
            vec![],
            vec![format!("1:{KEY}")],
            vec![KEY.into()],
            vec![format!("{KID}:{OTHER}")],
            vec!["partial".into()],
        ] {
            films.push(Film { path: clips.join(scheme).join("video.mp4"), init: None, keys });
        }
    }
    let named = std::env::var("REELKEY_CORPUS").map(PathBuf::from);
    let corpus = named.unwrap_or_else(|_| Path::new(ROOT).join("../../../shared/corpus"));
    for (folder, list, member) in
        [("public", "manifest.json", "/files"), ("reports", "cases.json", "")]
    {
        let folder = corpus.join(folder);
        let Ok(entries) = fs::read(folder.join(list)) else { continue };
        let entries: Value = serde_json::from_slice(&entries).unwrap();
        for entry in entries.pointer(member).unwrap().as_array().unwrap() {
            let keys = entry["keys"].as_array().unwrap().iter().filter_map(|key| {
                let key = key.as_str()?;
                let is_read = key.split_once(':').is_some_and(|(kid, _)| kid.len() <= 32);
                is_read.then(|| key.into())
            });
            films.push(Film {
                path: folder.join(entry["file"].as_str().unwrap()),
                init: entry["init"].as_str().map(|init| folder.join(init)),
                keys: keys.collect(),
            });
        }
    }
    films
}

/// Builds a program with a library, as a user of it would.
fn compiled(folder: &Path, source: &Path, library: &Path) -> PathBuf {
    let program = folder.join("play");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g", "-I"]);
    cc.arg(Path::new(ROOT).join("include")).arg(source);
    cc.arg(library).args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&program);
    let built = cc.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}

fn program(folder: &Path, library: &Path) -> PathBuf {
    compiled(folder, &Path::new(ROOT).join("tests/play.c"), library)
}

#[test]
fn a_c_program_plays_what_the_client_plays() {
    play_all(&built::library(&[], "libreelkey_c.a"));
}

#[test]
fn a_c_program_plays_the_same_with_the_shared_library() {
    play_all(&built::library(&[], "libreelkey_c.so"));
}

/// The program of docs/decrypting/own-program.md, as the page shows it, between two files.
#[test]
fn the_program_that_the_documents_show_decrypts() {
    let page = fs::read_to_string(Path::new(ROOT).join("../../docs/decrypting/own-program.md"));
    let page = page.unwrap();
    let shown = page.split_once("\n```c\n").unwrap().1.split_once("\n```").unwrap().0;
    let library = built::library(&[], "libreelkey_c.a");
    let folder = tempfile::tempdir().unwrap();
    let run = |program: &str, film: &str| {
        let source = folder.path().join("decrypt.c");
        fs::write(&source, program).unwrap();
        let mut program = Command::new(compiled(folder.path(), &source, &library));
        let path = Path::new(ROOT).join("../../src/cli/demo/clip").join(film);
        let output = program.stdin(File::open(path).unwrap()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said, output.stdout)
    };
    let (code, said, clear) = run(shown, "cbcs/video.mp4");
    assert_eq!((code, &said[..]), (Some(0), ""));
    let films = films();
    let film = films.iter().find(|film| film.path.ends_with("cbcs/video.mp4")).unwrap();
    assert!(film.keys.len() == 1 && clear == film.place().bytes && !clear.starts_with(b"error"));

    let (code, said, _) = run(shown, "cbcs/audio.mp4");
    assert!(code == Some(3) && said.starts_with("error: ") && said.contains("no key for KID"));
    let (code, said, other) = run(&shown.replace("{0x0f, 0x1e", "{0x00, 0x00"), "cbcs/video.mp4");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.starts_with("note: ") && said.contains("does not seem to fit"), "{said}");
    assert!(other.len() == clear.len() && other != clear);
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
        for key in &film.keys {
            write!(lines, " {key}").unwrap();
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

    let (mut clear, mut suspicious) = (0, 0);
    for (number, film) in films.iter().enumerate() {
        let outcome = |form: &str| {
            let path = folder.path().join(format!("{form}-{number}"));
            let notes = path.with_file_name(format!("{form}-{number}.notes"));
            let notes = fs::read_to_string(notes).unwrap_or_default();
            Outcome { bytes: fs::read(path).unwrap(), notes }
        };
        let placed = outcome("placed");
        assert!(outcome("streamed") == film.stream(), "{} as a stream", film.path.display());
        assert!(placed == film.place(), "{} in place", film.path.display());
        clear += usize::from(placed.notes.starts_with('0'));
        suspicious += usize::from(placed.notes.starts_with('4'));
    }
    assert!(clear >= 8 && suspicious >= 2, "{clear} films came out, {suspicious} with a wrong key");
}
