//! The pages of docs/packagers: every command is run as it is written, from an empty folder on, and what it prints is what the
//! page shows. The form of the pages is that of docs/decrypting (see `tasks`).
//!
//! `reelkey serve` runs until the page starts the next one or ends. The port that a page names is replaced by a free one.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::installation::{REELKEY, tool};
use crate::tasks::{Step, is_as_shown, steps};

/// The port in the pages.
const PORT: &str = "8080";

/// A service that a page has started, killed when it is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A shell in this folder, with our programs and those of the tools in its path.
fn shell(folder: &Path, command: &str) -> Command {
    let folders = [Path::new(REELKEY).parent().unwrap(), &tool("bin")];
    let path = folders.map(|folder| folder.display().to_string()).join(":");
    let mut shell = Command::new("bash");
    shell.args(["-e", "-c", &format!("exec 2>&1\numask 022\n{command}")]).current_dir(folder);
    shell.env_clear().env("PATH", format!("{path}:/usr/bin:/bin")).env("HOME", folder);
    shell.stdin(Stdio::null());
    shell
}

/// Starts the service, and waits until it is ready.
fn serve(folder: &Path, command: &str) -> Serving {
    let mut shell = shell(folder, &format!("exec {command}"));
    let mut serving = Serving(shell.stdout(Stdio::piped()).spawn().unwrap());
    let mut output = BufReader::new(serving.0.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("is ready on") {
        assert_ne!(output.read_line(&mut said).unwrap(), 0, "$ {command}\n{said}");
    }
    // Whatever it logs is read, so that it never waits for a reader.
    thread::spawn(move || output.read_to_end(&mut Vec::new()));
    serving
}

fn follow(page: &str, folder: &Path) -> usize {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let (mut serving, mut run) = (None, 0);
    for Step { command, shown, code } in steps(page) {
        let [command, shown] = [command, shown].map(|text| text.replace(PORT, &free));
        run += 1;
        if command.starts_with("reelkey serve") {
            // The store has one owner, so the other one ends first.
            drop(serving.take());
            serving = Some(serve(folder, &command));
            continue;
        }
        let output = shell(folder, &command).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.code() == Some(code), "$ {command}\n{text}{}", output.status);
        assert!(
            is_as_shown(&shown, &text),
            "$ {command}\nis shown with\n{shown}\nand says\n{text}"
        );
    }
    run
}

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/packagers");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn shaka_packager_works_as_its_page_says() {
    let page = pages().into_iter().find(|path| path.ends_with("shaka-packager.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert!(follow(&fs::read_to_string(page).unwrap(), folder.path()) > 15);
}
