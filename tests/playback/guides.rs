//! The pages of docs/packagers: every command is run as it is written, with the real tools, and what it plays is the film.
//!
//! The ports of the pages become free ones, and the folder of Debian's nginx the one that `tests/tools/install` has made.
//! Absent: what the pages play in a browser, which `tests/browser/guides.mjs` watches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installation::{free_port, tool};
use crate::tasks::{blocks, follow, frames, steps};

/// The pages, each with the films that it plays.
const PAGES: [(&str, &[&str]); 6] = [
    ("README.md", &[]),
    ("bento4.md", &[]),
    ("ffmpeg.md", &["played.mp4", "live.mp4"]),
    ("nginx-rtmp.md", &["live.mp4"]),
    ("nginx-vod-module.md", &[]),
    ("shaka-packager.md", &["decrypted.mp4"]),
];

/// The ports that the pages have.
const PORTS: [&str; 3] = ["7420", "8080", "1935"];

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/packagers")
}

/// A folder whose services are ended where a page was not followed to its end.
struct Folder(tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for entry in fs::read_dir(self.0.path()).unwrap().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "pid") {
                let pid = fs::read_to_string(entry.path()).unwrap_or_default();
                Command::new("kill").arg(pid.trim()).status().ok();
            }
        }
    }
}

/// The page without the sections that need a browser.
fn without_browser(page: &str) -> String {
    let in_browser = |section: &&str| {
        section.lines().next().is_some_and(|heading| heading.ends_with(" in a browser"))
    };
    let sections: Vec<_> = page.split("\n## ").filter(|section| !in_browser(section)).collect();
    sections.join("\n## ")
}

/// Follows a page and compares the pictures of what it plays with the film.
fn follow_page(name: &str) {
    let mut page = without_browser(&fs::read_to_string(pages().join(name)).unwrap());
    for port in PORTS {
        let free = free_port();
        for host in ["127.0.0.1", "localhost"] {
            page = page.replace(&format!("{host}:{port}"), &format!("{host}:{free}"));
        }
        // The commands that take the port alone, or none.
        page = page.replace(&format!(" {port} >"), &format!(" {free} >"));
        if port == "7420" {
            let listen = format!("reelkey serve --listen 127.0.0.1:{free} >");
            page = page.replace("reelkey serve >", &listen);
        }
    }
    let modules = tool("nginx/usr/lib/nginx").display().to_string();
    page = page.replace("/usr/lib/nginx", &modules);
    let folder = Folder(tempfile::tempdir().unwrap());
    follow(&page, folder.0.path());
    let (_, played) = PAGES.iter().find(|(page, _)| *page == name).unwrap();
    for film in *played {
        let expected = frames(&folder.0.path().join("film.mp4"), "0:v", &[]);
        assert!(expected.len() >= 150);
        assert!(frames(&folder.0.path().join(film), "0:v", &[]) == expected, "{name}: {film}");
    }
}

#[test]
fn ffmpeg_packages_and_plays() {
    follow_page("ffmpeg.md");
}

#[test]
fn the_keys_of_nginx_rtmp_are_served_and_play() {
    follow_page("nginx-rtmp.md");
}

#[test]
fn shaka_packager_asks_for_keys() {
    follow_page("shaka-packager.md");
}

#[test]
fn the_other_pages_do_what_they_say() {
    for name in ["README.md", "nginx-vod-module.md", "bento4.md"] {
        println!("{name}");
        follow_page(name);
    }
}

/// The pages that this file knows, every one with commands; configurations of tools that are not here are marked as text.
#[test]
fn every_page_of_this_list_is_run() {
    let index = fs::read_to_string(pages().join("README.md")).unwrap();
    for (name, _) in PAGES {
        let page = fs::read_to_string(pages().join(name)).unwrap();
        let all = page.matches("\n```").count() / 2;
        let [console, text] = ["console", "text"].map(|kind| blocks(&page, kind).len());
        assert_eq!(all, console + text, "{name} has blocks that nobody runs");
        assert!(!steps(&page).is_empty(), "{name}");
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "{name}");
    }
}
