//! `reelkey decrypt` as people use it: keys in every notation, segments, films that are not whole, files that are no films.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::installation::{REELKEY, tool};

const KID: &str = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5";
const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const OTHER_KEY: &str = "00112233445566778899aabbccddeeff";

fn pair() -> String {
    format!("{KID}:{KEY}")
}

fn clip(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/demo/clip").join(name)
}

fn decrypt(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(REELKEY);
    command.arg("decrypt").args(words).current_dir(folder).stdin(Stdio::null());
    command.output().unwrap()
}

/// What the command says, whose exit code is this.
fn said(output: &Output, code: i32) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains(KEY) && !text.contains(OTHER_KEY), "a key is printed: {text}");
    text
}

/// The KID and the key of the clip's audio.
const AUDIO: [&str; 2] =
    ["a0d10e7a-1d3b-4c5d-8e6f-708192a3b4c5", "102132435465768798a9bacbdcedfe0f"];

/// A folder with the clip as `in.mp4`, and the clear film.
fn folder(name: &str) -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(clip(name), folder.path().join("in.mp4")).unwrap();
    said(&decrypt(folder.path(), &["--key", &pair(), "in.mp4", "right.mp4"]), 0);
    let clear = fs::read(folder.path().join("right.mp4")).unwrap();
    (folder, clear)
}

#[test]
fn keys_come_in_every_notation() {
    let (folder, clear) = folder("cbcs/video.mp4");
    let path = folder.path();
    let plain = KID.replace('-', "");
    let files = [
        ("comments", format!("# the video\n\n{KID}:{KEY} # and nothing else\n")),
        ("lines", format!("{{\"content_id\":\"x\",\"kid\":\"{KID}\",\"key\":\"{KEY}\"}}\n")),
        ("tracks", format!("1:{KEY}\n2:{OTHER_KEY}\n")),
    ];
    for (name, text) in &files {
        fs::write(path.join(name), text).unwrap();
    }
    for key in [
        format!("{plain}={KEY}"),
        format!("0x{}:0x{}", plain.to_uppercase(), KEY.to_uppercase()),
        format!("1:{KEY}"),
        KEY.to_owned(),
        "@comments".to_owned(),
        "@lines".to_owned(),
        "@tracks".to_owned(),
    ] {
        let words = ["--overwrite", "--jobs", "2", "--key", &key, "in.mp4", "out.mp4"];
        said(&decrypt(path, &words), 0);
        assert!(fs::read(path.join("out.mp4")).unwrap() == clear, "another film");
    }
    // A file may be named in PlayReady's byte order, which is said.
    let swapped = format!("7ace e15e-3b0d-5d4c-8e6f-708192a3b4c5:{KEY}").replace(' ', "");
    let note = said(&decrypt(path, &["--key", &swapped, "in.mp4", "swapped.mp4"]), 0);
    assert!(note.contains("PlayReady") && note.contains(KID), "{note}");

    for (key, part) in [
        (format!("{KID}:{KEY}0"), "KID:KEY"),
        (format!("{plain}:"), "KID:KEY"),
        (format!("9:{KEY}"), "no key for KID"),
        (format!("{}:{KEY}", "11".repeat(16)), "keys were given for 11111111-"),
    ] {
        let text = said(&decrypt(path, &["--key", &key, "in.mp4", "none.mp4"]), 1);
        assert!(text.contains(part), "{text}");
        assert!(!path.join("none.mp4").exists());
    }
    let words = ["--license", "a", "--license-request", "b", "--jwks", "c", "--license-key", "d"];
    let text = said(&decrypt(path, &[&words[..], &["in.mp4", "none.mp4"]].concat()), 1);
    assert!(text.contains("--license-key") && text.contains("@FILE"), "{text}");
}

/// Where each fragment of a film begins.
fn moofs(film: &[u8]) -> Vec<usize> {
    let kinds = film.windows(4).enumerate().filter(|(_, kind)| kind == b"moof");
    kinds.map(|(at, _)| at - 4).collect()
}

#[test]
fn segments_are_decrypted_into_a_folder() {
    let (folder, clear) = folder("cenc/video.mp4");
    let path = folder.path();
    let film = fs::read(path.join("in.mp4")).unwrap();
    let cuts = moofs(&film);
    fs::create_dir(path.join("segments")).unwrap();
    fs::write(path.join("init.mp4"), &film[..cuts[0]]).unwrap();
    let mut names = Vec::new();
    for (number, start) in cuts.iter().enumerate() {
        let end = cuts.get(number + 1).copied().unwrap_or(film.len());
        let name = format!("segments/{number}.m4s");
        fs::write(path.join(&name), &film[*start..end]).unwrap();
        names.push(name);
    }
    assert!(names.len() > 1);
    let pair = pair();
    let words = ["--key", &pair, "--init", "init.mp4", "--out", "clear", "--jobs", "2"];
    // A shell would replace the pattern; a quoted one comes as it is.
    let text = said(&decrypt(path, &[&words[..], &["segments/*.m4s"]].concat()), 0);
    assert!(text.contains(&format!("{} files", names.len())), "{text}");
    let mut whole = fs::read(path.join("clear/init.mp4")).unwrap();
    for number in 0..names.len() {
        whole.extend(fs::read(path.join(format!("clear/{number}.m4s"))).unwrap());
    }
    assert!(whole == clear, "the segments are another film");
    // One alone comes with its initialization segment.
    said(&decrypt(path, &["--key", &pair, "--init", "init.mp4", &names[0], "one.mp4"]), 0);
    assert!(clear.starts_with(&fs::read(path.join("one.mp4")).unwrap()));

    let again = [&words[..], &["segments/*.m4s"]].concat();
    assert!(said(&decrypt(path, &again), 1).contains("--overwrite"));
    said(&decrypt(path, &[&again[..], &["--overwrite"]].concat()), 0);
    let twice = [&words[..], &[&names[0], &names[0], "--overwrite"]].concat();
    assert!(said(&decrypt(path, &twice), 1).contains("same name"));
    let none = [&words[..], &["segments/*.mp4"]].concat();
    assert!(said(&decrypt(path, &none), 1).contains("no file fits"));
    let itself = ["--key", &pair, "--init", "init.mp4", "--out", "segments", "--overwrite"];
    let text = said(&decrypt(path, &[&itself[..], &[&names[0]]].concat()), 1);
    assert!(text.contains("its own output"), "{text}");
    // Without its initialization segment, a segment says so.
    let text = said(&decrypt(path, &["--key", &pair, &names[0], "none.mp4"]), 1);
    assert!(text.contains("--init"), "{text}");
    for wrong in [&["in.mp4"][..], &["in.mp4", "a", "b"], &["--in-place", "in.mp4", "a"]] {
        said(&decrypt(path, &[&["--key", &pair], wrong].concat()), 2);
    }
}

#[test]
fn what_is_whole_of_a_film_is_kept_on_demand() {
    let (folder, clear) = folder("cbcs/video.mp4");
    let path = folder.path();
    let film = fs::read(path.join("in.mp4")).unwrap();
    let last = *moofs(&film).last().unwrap();
    fs::write(path.join("cut.mp4"), &film[..film.len() - 10]).unwrap();
    let text = said(&decrypt(path, &["--key", &pair(), "cut.mp4", "out.mp4"]), 1);
    assert!(text.contains("mdat") && !path.join("out.mp4").exists(), "{text}");
    let text = said(&decrypt(path, &["--key", &pair(), "--partial", "cut.mp4", "out.mp4"]), 1);
    assert!(text.contains("breaks off"), "{text}");
    assert!(fs::read(path.join("out.mp4")).unwrap() == clear[..last], "not the whole fragments");

    // Without any key, the film is left as it is.
    let other = format!("{}:{OTHER_KEY}", "11".repeat(16));
    let words = ["--json", "--key", &other, "--partial", "in.mp4", "left.mp4"];
    let output = decrypt(path, &words);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["complete"]), (Some(1), &Value::Bool(false)));
    assert!(document["notes"].to_string().contains(KID), "{document}");
    assert!(fs::read(path.join("left.mp4")).unwrap() == film, "a film without keys was changed");
}

#[test]
fn a_key_that_does_not_fit_is_noticed() {
    for name in ["cenc/video.mp4", "cbcs/video.mp4", "cenc/audio.mp4", "cbcs/audio.mp4"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::copy(clip(name), path.join("in.mp4")).unwrap();
        let [kid, key] = if name.contains("audio") { AUDIO } else { [KID, KEY] };
        let wrong = format!("{kid}:{OTHER_KEY}");
        let text = said(&decrypt(path, &["--key", &wrong, "in.mp4", "out.mp4"]), 1);
        assert!(text.contains("does not seem to fit"), "{name}: {text}");
        assert!(path.join("out.mp4").exists(), "{name}: the film is written all the same");
        said(&decrypt(path, &["--key", &wrong, "--force", "in.mp4", "forced.mp4"]), 0);
        let right = format!("{kid}:{key}");
        let right = said(&decrypt(path, &["--key", &right, "in.mp4", "right.mp4"]), 0);
        assert!(!right.contains("note"), "{name}: {right}");
    }
}

#[test]
fn what_is_no_film_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let packet = [&[0x47, 0x40, 0, 0x10][..], &[0xff; 184]].concat();
    let noise: Vec<u8> =
        (0..4096_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    let not_boxes = [&[0x9d, 0xe3, 0x11, 0xf0, 0x85, 0x03, 0xd7, 0x99][..], &noise].concat();
    for (bytes, part) in [
        (&b""[..], "empty"),
        (b"#EXTM3U\n#EXT-X-VERSION:6\n", "HLS playlist"),
        (
            b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"/>",
            "MPD",
        ),
        (b"<html><body>403 Forbidden</body></html>", "text"),
        (b"{\"error\":\"forbidden\"}", "text"),
        (&[&b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01"[..], &[0; 100]].concat(), "WebM"),
        (&packet.repeat(10), "transport stream"),
        (&not_boxes, "AES-128"),
    ] {
        fs::write(path.join("in"), bytes).unwrap();
        let text = said(&decrypt(path, &["--key", KEY, "in", "out"]), 1);
        assert!(text.contains(part), "{part}: {text}");
        assert!(!path.join("out").exists());
        let mut piped = Command::new(REELKEY);
        piped.args(["decrypt", "--key", KEY, "-", "-"]);
        let piped = piped.stdin(fs::File::open(path.join("in")).unwrap()).output().unwrap();
        assert!(said(&piped, 1).contains(part), "{part} through a pipe");
        assert!(piped.stdout.is_empty(), "{part}: something was copied");
    }
}

#[test]
fn outputs_follow_the_umask_and_are_never_inputs() {
    let (folder, _) = folder("cenc/video.mp4");
    let path = folder.path();
    for (umask, mode) in [("022", 0o644), ("027", 0o640), ("077", 0o600)] {
        let script = format!(
            "umask {umask}; exec \"$0\" decrypt --overwrite --key {} in.mp4 out.mp4",
            pair()
        );
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script, REELKEY]).current_dir(path);
        said(&shell.output().unwrap(), 0);
        let there = fs::metadata(path.join("out.mp4")).unwrap().permissions().mode();
        assert_eq!(there & 0o777, mode, "umask {umask}");
    }
    let before = fs::read(path.join("in.mp4")).unwrap();
    fs::hard_link(path.join("in.mp4"), path.join("same.mp4")).unwrap();
    std::os::unix::fs::symlink("in.mp4", path.join("link.mp4")).unwrap();
    for output in ["in.mp4", "same.mp4", "link.mp4"] {
        let words = ["--overwrite", "--key", &pair(), "in.mp4", output];
        let text = said(&decrypt(path, &words), 1);
        assert!(text.contains("--in-place"), "{text}");
    }
    assert!(fs::read(path.join("in.mp4")).unwrap() == before);
}

#[test]
fn a_film_whose_moov_lists_its_samples_comes_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let plain = KID.replace('-', "");
    for (name, flags) in [("first.mp4", "+faststart"), ("last.mp4", "-faststart")] {
        let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
        ffmpeg.args(["-v", "error", "-i"]).arg(clip("clear/video.mp4"));
        ffmpeg.args(["-c", "copy", "-movflags", flags, "-encryption_scheme", "cenc-aes-ctr"]);
        ffmpeg.args(["-encryption_key", KEY, "-encryption_kid", &plain]).arg(path.join(name));
        let made = ffmpeg.output().unwrap();
        assert!(made.status.success(), "{made:?}");
        said(&decrypt(path, &["--key", &pair(), name, &format!("right-{name}")]), 0);
        let right = fs::read(path.join(format!("right-{name}"))).unwrap();
        for output in ["-", "piped.mp4"] {
            let mut piped = Command::new(REELKEY);
            piped.args(["decrypt", "--overwrite", "--key", &pair(), "-", output]).current_dir(path);
            piped.stdin(fs::File::open(path.join(name)).unwrap());
            let done = piped.output().unwrap();
            assert!(done.status.success(), "{done:?}");
            let film =
                if output == "-" { done.stdout } else { fs::read(path.join(output)).unwrap() };
            assert!(film == right, "{name} to {output}: another film");
            let note = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(note.contains("temporary file"), name == "last.mp4", "{note}");
        }
    }
    let left = fs::read_dir(path).unwrap().count();
    assert_eq!(left, 5, "something is left behind");
}
