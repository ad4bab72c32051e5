//! The command line as a person meets it: questions, tables, help, errors, hostile text.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitStatus};

use reelkey_client::strict::base64url;
use rustix::pty::OpenptFlags;
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};

use crate::film::CONTENT;
use crate::installation::{Installation, REELKEY};

/// A terminal: the end that a person sees, and how programs get theirs.
pub(crate) struct Terminal {
    /// What is read from it was shown; what is written to it was typed.
    pub(crate) controller: File,
    name: String,
}

impl Terminal {
    pub(crate) fn new(columns: u16) -> Self {
        // No program of a test may hold this end itself.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&controller).unwrap();
        rustix::pty::unlockpt(&controller).unwrap();
        let name = rustix::pty::ptsname(&controller, Vec::new()).unwrap();
        let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&controller, size).unwrap();
        Self { controller: controller.into(), name: name.into_string().unwrap() }
    }

    /// The programs' end.
    pub(crate) fn open(&self) -> OwnedFd {
        File::options().read(true).write(true).open(&self.name).unwrap().into()
    }
}

/// Runs a command at a terminal that is so wide, types an answer, and returns what was shown.
fn at_terminal(
    installation: &Installation,
    columns: u16,
    words: &[&str],
    typed: &str,
) -> (ExitStatus, String) {
    let mut terminal = Terminal::new(columns);
    terminal.controller.write_all(typed.as_bytes()).unwrap();
    let mut command = installation.command(words);
    command.stdin(terminal.open()).stdout(terminal.open()).stderr(terminal.open());
    let mut child = command.spawn().unwrap();
    // It holds copies of the programs' end, without which reading comes to an end.
    drop(command);
    let mut shown = Vec::new();
    let mut some = [0; 4096];
    while let Ok(read @ 1..) = terminal.controller.read(&mut some) {
        shown.extend(&some[..read]);
    }
    (child.wait().unwrap(), String::from_utf8(shown).unwrap().replace("\r\n", "\n"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn what_cannot_be_undone_is_asked_at_a_terminal_only() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    let kid = installation.succeed(&["key", "generate", CONTENT, "--track", "HD"])["kid"].clone();
    let kid = kid.as_str().unwrap();
    let root_key = || fs::read_to_string(installation.data.path().join("keys/root.key")).unwrap();
    let first = root_key();
    for words in [&["root", "rotate"][..], &["key", "retire", kid], &["content", "remove", CONTENT]]
    {
        for typed in ["no\n", "\n", "yess\n"] {
            let (status, shown) = at_terminal(&installation, 100, words, typed);
            assert_eq!(status.code(), Some(1), "{shown}");
            assert!(
                shown.contains("Type yes:") && shown.contains("nothing was changed"),
                "{shown}"
            );
        }
    }
    assert_eq!(root_key(), first);
    assert_eq!(installation.succeed(&["key", "show", kid])["state"], "active");
    // A person who answers yes, a person who has given --yes, and a script, which is not asked.
    let (status, shown) = at_terminal(&installation, 100, &["root", "rotate"], "yes\n");
    assert!(status.success() && shown.contains("keep no copy of the old one"), "{shown}");
    let second = root_key();
    let (status, shown) = at_terminal(&installation, 100, &["root", "rotate", "--yes"], "");
    assert!(status.success() && !shown.contains("Type yes"), "{shown}");
    let third = root_key();
    installation.succeed(&["root", "rotate"]);
    let all = [first, second, third, root_key()];
    assert!((1..4).all(|at| !all[..at].contains(&all[at])), "each is a new one");
    installation.succeed(&["key", "retire", kid]);
    installation.succeed(&["content", "remove", CONTENT]);
}

#[test]
fn the_old_root_key_is_kept_where_it_is_asked_for_and_opens_an_older_copy() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    installation.succeed(&["key", "generate", CONTENT, "--track", "HD"]);
    let older = Installation::copy_of(installation.data.path());
    let other = tempfile::tempdir().unwrap();
    let kept = other.path().join("old.key");
    let path = kept.to_str().unwrap();
    for service in [None, Some(installation.serve())] {
        let before = fs::read(installation.data.path().join("keys/root.key")).unwrap();
        let rotated = installation.run(&["root", "rotate", "--keep-old", path]);
        let said = text(&rotated.stdout);
        assert!(rotated.status.success(), "{rotated:?}");
        assert!(said.contains(path) && said.contains("copies of the store"), "{said}");
        assert_eq!(fs::read(&kept).unwrap(), before);
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(fs::read(installation.data.path().join("keys/root.key")).unwrap(), before);
        if service.is_none() {
            fs::copy(&kept, older.data.path().join("keys/root.key")).unwrap();
            older.succeed(&["doctor"]);
        }
        // A file that is there is not the place, and nothing is rotated then.
        let said = installation.fail(&["root", "rotate", "--keep-old", path]);
        assert!(said.contains("exists"), "{said}");
        fs::remove_file(&kept).unwrap();
    }
    // Beside the store it would be of use to nobody but a thief, and a link that leads nowhere is no new file.
    let inside = installation.data.path().join("keys/old.key");
    let said = installation.fail(&["root", "rotate", "--keep-old", inside.to_str().unwrap()]);
    assert!(said.contains("outside of the data folder"), "{said}");
    std::os::unix::fs::symlink("/nowhere", &kept).unwrap();
    let said = installation.fail(&["root", "rotate", "--keep-old", path]);
    assert!(said.contains("name a new file"), "{said}");
    let missing = other.path().join("missing/old.key");
    let said = installation.fail(&["root", "rotate", "--keep-old", missing.to_str().unwrap()]);
    assert!(said.contains("the root key was not changed"), "{said}");
    let said = text(&installation.run(&["root", "rotate"]).stdout);
    assert!(said.contains("only if you have a copy of it"), "{said}");
}

#[test]
fn tables_fit_the_terminal_and_a_pipe_gets_whole_lines() {
    let installation = Installation::new();
    let long = format!("movies/{}", "long-name-".repeat(12));
    installation.succeed(&[
        "content",
        "add",
        &long,
        "--policy",
        "default",
        "--policy",
        "premium-movie",
    ]);
    let kid = installation.succeed(&["key", "generate", &long, "--track", "HD"])["kid"].clone();
    for (columns, words) in [
        (60, &["content", "list"][..]),
        (80, &["key", "list"]),
        (70, &["issuer", "list"]),
        (50, &["policy", "list"]),
        (60, &["doctor"]),
    ] {
        let (status, shown) = at_terminal(&installation, columns, words, "");
        let longest = shown.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(status.success() && longest <= usize::from(columns), "{longest}: {shown}");
    }
    let piped = text(&installation.run(&["key", "list"]).stdout);
    let row = piped.lines().nth(1).unwrap();
    assert!(row.contains(&long) && row.contains(kid.as_str().unwrap()), "{piped}");
}

/// Text of somebody else that would clear the screen, colour it, turn lines around or hide.
const HOSTILE: &str = "x\u{1b}[2J\u{9b}31m\u{202e}y\u{2066}\u{200b}\u{feff}\u{7f}";

fn is_harmless(text: &str) -> bool {
    let obeyed = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
    let hidden =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !text.replace('\n', "").chars().any(|c| obeyed(c) || hidden(c))
}

#[test]
fn a_terminal_gets_nothing_that_it_would_obey() {
    let installation = Installation::new();
    installation.configure(&format!(
        "[[issuer]]\niss = \"https://evil.example/\\u202e\\u009b\"\njwks = {:?}\nalgorithms = [\"ES256\"]\ncontent = [\"*\"]\n",
        installation.succeed(&["issuer", "list"])[0]["jwks"].as_str().unwrap()
    ));
    let header = base64url::encode(br#"{"alg":"ES256","typ":"JWT"}"#);
    let claims = json!({ "iss": "https://auth.example", "sub": HOSTILE, HOSTILE: [HOSTILE] });
    let claims = base64url::encode(claims.to_string().as_bytes());
    let token = installation.write("token", format!("{header}.{claims}.AAAA").as_bytes());
    let token = format!("@{}", token.display());
    let file = format!("/nowhere/{HOSTILE}");
    let hostile_argument = format!("--{HOSTILE}");
    for words in [
        &["token", "inspect", &token][..],
        &["issuer", "list"],
        &["policy", "check", &file],
        &["key", "import", "--from", &file],
        &["decrypt", "--key", "@pairs", &file, "out"],
        &["content", "show", &format!("movies/{HOSTILE}")],
        &["key", "list", &hostile_argument],
        &[HOSTILE],
    ] {
        for more in [&[][..], &["--json"]] {
            let output = installation.run(&[words, more].concat());
            let shown = text(&output.stdout) + &text(&output.stderr);
            assert!(!shown.is_empty() && is_harmless(&shown), "{words:?}: {shown:?}");
            if !more.is_empty() {
                let document: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert!(document.is_object() || document.is_array());
            }
        }
    }
    // What a program reads is what was there.
    let inspected = installation.run(&["token", "inspect", &token, "--json"]);
    let inspected: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(inspected["claims"]["sub"], HOSTILE, "{inspected}");
    let ready = installation.serve();
    ready.terminate();
}

#[test]
fn wrong_usage_is_a_document_with_a_remedy_where_documents_are_asked_for() {
    let installation = Installation::new();
    for words in [
        &["key", "lst"][..],
        &["key", "import"],
        &["key", "generate", CONTENT, "--track", "4K"],
        &["nothing"],
        &["key"],
        &["content", "add", CONTENT],
        &["key", "show", "not-a-kid"],
        &["completion", "tcsh"],
    ] {
        let output = installation.run(&[words, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        for member in ["message", "remedy"] {
            assert!(
                document["error"][member].as_str().is_some_and(|text| !text.is_empty()),
                "{document}"
            );
        }
        let output = installation.run(words);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        assert!(!output.stderr.is_empty());
    }
    let refused =
        installation.run(&["key", "show", "4d97930a-3d7b-5000-8000-5c7bda1f0a11", "--json"]);
    let document: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(document["error"]["remedy"], "see `reelkey key list`");
}

fn run(words: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(REELKEY);
    let output = command.args(words).env_clear().envs(variables.iter().copied()).output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_folder_without_an_installation_is_named_and_the_way_out_too() {
    let empty = tempfile::tempdir().unwrap();
    let there = empty.path().to_str().unwrap();
    let missing = format!("{there}/missing");
    for folder in [there, &missing] {
        for words in
            [&["key", "list"][..], &["serve"], &["doctor"], &["policy", "list"], &["reload"]]
        {
            let (code, _, said) = run(&[words, &["--data", folder]].concat(), &[]);
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains(folder) && said.contains("--data DIR or REELKEY_DATA"), "{said}");
            assert!(said.contains(&format!("reelkey init --data {folder}")), "{said}");
        }
    }
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}

#[test]
fn variables_stand_in_for_the_folder_and_the_configuration() {
    let installation = Installation::new();
    let folder = installation.data.path().to_str().unwrap();
    let (code, listed, _) = run(&["issuer", "list"], &[("REELKEY_DATA", folder)]);
    assert!(code == Some(0) && listed.contains("https://auth.example"), "{listed}");
    let other = installation.write("other.toml", b"service_id = \"other\"\n");
    let both = [("REELKEY_DATA", folder), ("REELKEY_CONFIG", other.to_str().unwrap())];
    let (code, listed, _) = run(&["issuer", "list"], &both);
    assert!(code == Some(0) && listed.contains("no issuers yet"), "{listed}");
    // What is typed counts more.
    let (code, _, said) = run(&["key", "list", "--data", "/nowhere"], &both[..1]);
    assert!(code == Some(1) && said.contains("/nowhere"), "{said}");
}

#[test]
fn a_service_says_what_it_serves() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    installation.succeed(&["key", "generate", CONTENT, "--track", "HD"]);
    installation.configure("[metrics]\nlisten = \"127.0.0.1:0\"\n");
    installation.identify();
    let mut command = installation.command(&["serve", "--listen", "127.0.0.1:0", "--log", "off"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut shown = String::new();
    let mut out = child.stdout.take().unwrap();
    let mut some = [0; 4096];
    while !shown.contains("private key is in the data folder\n") {
        let read = out.read(&mut some).unwrap();
        assert!(read > 0, "{shown}");
        shown.push_str(&text(&some[..read]));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = shown.lines().next().unwrap();
    assert!(first.starts_with("reelkey is ready on https://127.0.0.1:"), "{shown}");
    for part in [
        "TLS       certificate valid until ",
        "keys      1 active keys of 1 contents",
        "issuers   https://auth.example",
        "policies  default, kiosk, live-event, offline, premium-movie, rental",
        "metrics   http://127.0.0.1:",
        "warning   https://auth.example is for development",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains(installation.data.path().join("store").to_str().unwrap()), "{shown}");
}

#[test]
fn doctor_tells_of_pages_on_which_browsers_play_nothing_protected() {
    let installation = Installation::new();
    let browsers = || {
        let found = installation.succeed(&["doctor"]);
        let found = found.as_array().unwrap().iter().find(|one| one["part"] == "browsers").cloned();
        found.map(|one| (one["verdict"].clone(), one["text"].as_str().unwrap().to_owned()))
    };
    assert_eq!(browsers(), None, "no page is allowed");
    installation
        .configure("[cors]\nallowed_origins = [\"https://tv.example\", \"http://192.168.1.5\"]\n");
    let (verdict, text) = browsers().unwrap();
    assert!(verdict == "warning" && text.contains("http://192.168.1.5 without HTTPS"), "{text}");
    assert!(text.contains("docs/https-on-a-lan.md"), "{text}");
}

#[test]
fn a_port_that_is_taken_and_a_second_service_say_what_to_do() {
    let installation = Installation::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = installation.fail(&["serve", "--listen", &address, "--log", "off"]);
    assert!(said.contains(&address) && said.contains("another program listens there"), "{said}");
    let said = installation.fail(&["serve", "--listen", "192.0.2.1:7420", "--log", "off"]);
    assert!(said.contains("no TLS"), "{said}");
    installation.configure("tls_terminated_by_proxy = true\n");
    let service = installation.serve();
    let said = installation.fail(&["serve", "--listen", "127.0.0.1:0", "--log", "off"]);
    let folder = installation.data.path().to_str().unwrap();
    assert!(said.contains("in use: a service runs already") && said.contains(folder), "{said}");
    assert!(said.contains("reelkey reload") && said.contains("--data"), "{said}");
    service.terminate();
}

#[test]
fn shells_and_man_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completion", shell], &[]);
        assert_eq!(code, Some(0));
        for word in ["set-policy", "keep-old", "inspect", "reelkey"] {
            assert!(script.contains(word), "{shell} completes {word}");
        }
        if shell == "bash" {
            let path = folder.path().join("completion");
            fs::write(&path, script).unwrap();
            let asked = "source $0; COMP_WORDS=(reelkey key exp); COMP_CWORD=2; _reelkey reelkey exp key; echo ${COMPREPLY[@]}";
            let answer = Command::new("bash").args(["-c", asked]).arg(path).output().unwrap();
            assert_eq!(text(&answer.stdout).trim(), "export", "{answer:?}");
        }
    }
    let (code, page, _) = run(&["man", "key", "export"], &[]);
    assert!(code == Some(0) && page.contains(".TH reelkey-key-export 1"), "{page}");
    assert!(page.contains("bento4") && page.contains("Examples:"), "{page}");
    let pages = folder.path().join("man1");
    assert_eq!(run(&["man", "--to", pages.to_str().unwrap()], &[]).0, Some(0));
    for name in ["reelkey.1", "reelkey-key-export.1", "reelkey-root-rotate.1", "reelkey-decrypt.1"]
    {
        assert!(pages.join(name).exists(), "{name}");
    }
    let (code, version, _) = run(&["--version"], &[]);
    assert!(code == Some(0) && version.starts_with("reelkey 0."), "{version}");
    if fs::exists(concat!(env!("CARGO_MANIFEST_DIR"), "/.git")).unwrap() {
        let (_, commit) = version.trim().split_once(" (").expect("the commit is named");
        let (commit, day) = commit.trim_end_matches(')').split_once(' ').unwrap();
        assert!(
            commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{version}"
        );
        assert!(day.len() == 10 && day.starts_with("20"), "{version}");
    }
}

#[test]
fn a_stream_stands_in_for_a_file() {
    use std::process::Stdio;

    let installation = Installation::new();
    let feed = |words: &[&str], input: &[u8]| {
        let mut child = installation.command(&[words, &["--json"]].concat());
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), text(&output.stdout))
    };
    let policy = fs::read(installation.data.path().join("policies/default.toml")).unwrap();
    assert_eq!(feed(&["policy", "check", "-"], &policy).0, Some(0));
    let (code, said) = feed(&["policy", "check", "-"], b"can_play = 1\n");
    assert!(code == Some(1) && said.contains("can_play: "), "{said}");
    let named = installation.succeed(&["issuer", "list"])[0]["jwks"].clone();
    let jwks = fs::read(installation.data.path().join(named.as_str().unwrap())).unwrap();
    let add = ["issuer", "add", "https://one.example", "--content", "*", "--jwks", "-"];
    assert_eq!(feed(&add, &jwks).0, Some(0));
    let add = ["issuer", "add", "https://two.example", "--content", "*", "--secret-file", "-"];
    assert_eq!(feed(&add, b"a secret of thirty-two bytes or more\n").0, Some(0));
    assert_eq!(feed(&add, b"short\n").0, Some(1));
    let (code, said) = feed(&["policy", "check", "-", "-"], &policy);
    assert!(code == Some(1) && said.contains("once"), "{said}");
    let (code, key) = feed(&["root", "rotate", "--keep-old", "-"], b"");
    assert!(code == Some(0) && !key.is_empty() && !key.contains("wrapped again"), "{code:?}");
}
