//! The pages of docs/decrypting: every command is run as it is written, and what it prints is what the page shows.
//!
//! In a block marked as `console`, lines that begin with `$ ` are commands. The lines behind a command are what it prints, on
//! standard output and standard error together, where `...` stands for any text; then `(exit code N)`, or the exit code is 0.
//! A command that has `<<` goes on until a line that is `END`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::film::clear;
use crate::installation::{REELKEY, tool};
use crate::{program, task_films};

/// How many questions have a page.
const QUESTIONS: usize = 10;

/// A film that the commands of a page leave behind, and which tracks of the clear clip it has to have.
type Made = (&'static str, &'static [&'static str]);

/// The pages, each with the films that it makes.
const RESULTS: [(&str, &[Made]); QUESTIONS] = [
    ("which-keys.md", &[]),
    (
        "one-file.md",
        &[
            ("clear.mp4", BOTH),
            ("clear-2.mp4", BOTH),
            ("clear-3.mp4", BOTH),
            // In place.
            ("film.mp4", BOTH),
        ],
    ),
    ("audio-and-video.md", &[("clear.mp4", BOTH), ("joined.mp4", BOTH), ("clear-2.mp4", BOTH)]),
    ("segments.md", &[("clear.mp4", &["audio"]), ("clear-2.mp4", &["audio"])]),
    ("pipes.md", &[("clear.mp4", BOTH), ("clear-2.mp4", BOTH), ("clear-film.mp4", BOTH)]),
    ("garbage.md", &[("clear.mp4", &["video"])]),
    ("missing-parts.md", &[("clear.mp4", BOTH)]),
    ("not-mp4.md", &[]),
    (
        "hidden-keys.md",
        &[
            ("clear.mp4", BOTH),
            ("clear-2.mp4", BOTH),
            ("clear-3.mp4", BOTH),
            ("clear-4.mp4", BOTH),
            ("clear-5.mp4", BOTH),
        ],
    ),
    ("own-program.md", &[]),
];

/// Films of which only the pictures are compared, and how many they have: parts, and what came from a transport stream, which
/// does not say how many sound samples are to be skipped.
const PICTURES: [(&str, &str, usize); 3] = [
    ("missing-parts.md", "begin.mp4", 50),
    ("not-mp4.md", "clear.mp4", 75),
    ("not-mp4.md", "clear.ts", 25),
];

const BOTH: &[&str] = &["video", "audio"];

/// A command of a page, and what the page says of it.
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) shown: String,
    pub(crate) code: i32,
}

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decrypting")
}

fn page(name: &str) -> String {
    fs::read_to_string(pages().join(name)).expect(name)
}

/// The blocks of a page in this language.
pub(crate) fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

pub(crate) fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = blocks(page, "console").into_iter().flat_map(str::lines);
    while let Some(line) = lines.next() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (mut command, shown) = (command.to_owned(), String::new());
            if command.contains("<<") {
                let rest = lines.by_ref().take_while(|line| *line != "END").chain(["END"]);
                rest.for_each(|line| command.extend(["\n", line]));
            }
            steps.push(Step { command, shown, code: 0 });
            continue;
        }
        let step = steps.last_mut().expect("a block begins with a command");
        match line.strip_prefix("(exit code ").and_then(|line| line.strip_suffix(')')) {
            Some(code) => step.code = code.parse().unwrap(),
            None => step.shown.extend([line, "\n"]),
        }
    }
    steps
}

/// Whether the text is what is shown, where `...` may be anything.
pub(crate) fn is_as_shown(shown: &str, text: &str) -> bool {
    // A line of dots stands for lines, and also for none.
    let shown = shown.replace("...\n", "...");
    let mut parts = shown.split("...");
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

/// Runs the commands of a page in this folder.
pub(crate) fn follow(page: &str, folder: &Path) {
    let folders = [Path::new(REELKEY).parent().unwrap(), &tool("bin"), &tool("nginx/usr/sbin")];
    let path = folders.map(|folder| folder.display().to_string()).join(":");
    for Step { command, shown, code } in steps(page) {
        // A page may wait for what never comes.
        let mut shell = Command::new("timeout");
        shell.args(["300", "sh", "-e", "-c", &format!("exec 2>&1\n{command}")]);
        shell.current_dir(folder);
        shell.env_clear().env("PATH", format!("{path}:/usr/bin:/bin")).env("HOME", folder);
        let output = shell.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.code() == Some(code), "$ {command}\n{text}{}", output.status);
        assert!(
            is_as_shown(&shown, &text),
            "$ {command}\nis shown with\n{shown}\nand says\n{text}"
        );
    }
}

/// The checksum of each decoded frame of some tracks. The options are those of ffmpeg for its input.
pub(crate) fn frames(film: &Path, tracks: &str, options: &[&str]) -> Vec<String> {
    let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
    ffmpeg.args(["-v", "error"]).args(options).arg("-i").arg(film);
    ffmpeg.args(["-map", tracks, "-f", "framemd5", "-"]);
    let lines = String::from_utf8(ffmpeg.output().unwrap().stdout).unwrap();
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

/// Compares a film with tracks of the clear clip; it has no others.
fn assert_clear(film: &Path, tracks: &[&str]) {
    for (track, map) in [("video", "0:v"), ("audio", "0:a")] {
        let expected = match tracks.contains(&track) {
            true => frames(&clear(track), map, &[]),
            false => Vec::new(),
        };
        assert_eq!(expected.is_empty(), !tracks.contains(&track));
        assert!(frames(film, map, &[]) == expected, "{}: {track} is not clear", film.display());
    }
}

#[test]
fn every_page_does_what_it_says() {
    let films = tempfile::tempdir().unwrap();
    task_films::make(films.path());
    // A player without a window.
    let settings = films.path().join(".config/mpv");
    fs::create_dir_all(&settings).unwrap();
    fs::write(settings.join("mpv.conf"), "vo=null\nao=null\nuntimed=yes\n").unwrap();
    for (name, results) in RESULTS {
        let folder = tempfile::tempdir().unwrap();
        let from = format!("{}/.", films.path().display());
        let copied = Command::new("cp").args(["-a", &from]).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        println!("{name}");
        follow(&page(name), folder.path());
        for (result, tracks) in results {
            assert_clear(&folder.path().join(result), tracks);
        }
        let pictures = PICTURES.iter().filter(|(page, ..)| *page == name);
        for (_, result, count) in pictures {
            let there = frames(&folder.path().join(result), "0:v", &[]);
            assert_eq!(there, frames(&clear("video"), "0:v", &[])[..*count], "{name}: {result}");
        }
        if name == "not-mp4.md" {
            let [before, after] = ["clear-vp8.webm", "clear.webm"]
                .map(|film| frames(&folder.path().join(film), "0:v", &[]));
            assert!(before == after && before.len() == 75, "{name}");
        }
    }
}

#[test]
fn the_index_has_every_page_once_with_its_question() {
    let index = page("README.md");
    let rows: BTreeMap<_, _> = index
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(") |")?.split_once(" | ["))
        .map(|(question, link)| (link.split_once("](").unwrap(), question))
        .collect();
    let mut listed = Vec::new();
    for ((name, link), question) in rows {
        assert_eq!(name, link);
        let page = page(name);
        assert_eq!(page.lines().next(), Some(&format!("# {question}")[..]), "{name}");
        assert!(question.ends_with('?'), "{name}: this is no question: {question}");
        let lines = page.lines().count();
        assert!((20..=60).contains(&lines), "{name} has {lines} lines");
        listed.push(name.to_owned());
    }
    let files = fs::read_dir(pages()).unwrap().map(|file| file.unwrap().file_name());
    let mut files: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    files.retain(|name| name != "README.md");
    files.sort();
    assert_eq!(files, listed);
    let mut run: Vec<_> = RESULTS.map(|(name, _)| name).into();
    run.sort_unstable();
    assert_eq!(run, listed);
    assert_eq!(listed.len(), QUESTIONS);
}

/// The pages have commands; those of a page that has none are a program, which is run here and by the tests of `client/ffi`.
#[test]
fn every_block_is_run() {
    for (name, _) in RESULTS {
        let page = page(name);
        let all = page.matches("\n```").count() / 2;
        let [console, rust, c] = ["console", "rust", "c"].map(|kind| blocks(&page, kind).len());
        assert_eq!(all, console + rust + c, "{name} has blocks that nobody runs");
        assert_eq!(steps(&page).is_empty(), rust + c > 0, "{name}");
    }
}

#[test]
fn the_program_in_rust_is_the_one_that_is_shown_and_decrypts() {
    let page = page("own-program.md");
    let [shown] = blocks(&page, "rust")[..] else { panic!("one program in Rust") };
    let source = include_str!("program.rs");
    assert!(
        source.contains(shown),
        "the page shows another program than tests/playback/program.rs"
    );

    let folder = tempfile::tempdir().unwrap();
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/demo/clip/cbcs");
    let output = folder.path().join("clear.mp4");
    program::decrypt(&clip.join("video.mp4"), &output).unwrap();
    assert_clear(&output, &["video"]);
    let error = program::decrypt(&clip.join("audio.mp4"), &output).unwrap_err().to_string();
    assert!(error.contains("no key for KID"), "{error}");
}

#[test]
fn what_is_shown_is_compared() {
    let right = [
        ("", ""),
        ("a\n", "a\n"),
        ("...\n", ""),
        ("...\n", "a\nb\n"),
        ("a\n...\nc\n", "a\nb\nc\n"),
        ("a ...\nb\n", "a x\nb\n"),
        ("a ... c\n", "a b c\n"),
    ];
    for (shown, text) in right {
        assert!(is_as_shown(shown, text), "{shown:?} {text:?}");
    }
    for (shown, text) in
        [("", "a\n"), ("a\n", ""), ("a\n", "b\n"), ("a ... c\n", "a b\n"), ("...\nb\n", "a\n")]
    {
        assert!(!is_as_shown(shown, text), "{shown:?} {text:?}");
    }
}
