//! Keys on their way to packagers, and the order in which they are shown.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::film::{CONTENT, clear, samples};
use crate::installation::{Installation, tool};

/// Some key.
const PAIR: &str = "5ee1ce7a0d3b4c5d8e6f708192a3b4c5:0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A title with a key for each of these tracks.
fn titled(tracks: &[&str]) -> Installation {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    for track in tracks {
        installation.succeed(&["key", "generate", CONTENT, "--track", track]);
    }
    installation
}

fn texts(list: &Value, member: &str) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[member].as_str().unwrap_or("none").to_owned()).collect()
}

/// Exports to a file of mode 0600, and returns what is in it.
fn export(installation: &Installation, more: &[&str]) -> String {
    let to = installation.data.path().join("exported");
    let words = ["key", "export", "--yes", "--overwrite", "--to", to.to_str().unwrap()];
    installation.succeed(&[&words, more].concat());
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    fs::read_to_string(to).unwrap()
}

#[test]
fn keys_are_listed_by_track_and_the_newest_of_each_first() {
    let installation = titled(&["UHD2", "HD", "AUDIO", "SD", "UHD1"]);
    installation.succeed(&["key", "generate", CONTENT]);
    let mut newest = Vec::new();
    // Several in one second: the time alone would not tell them apart.
    for _ in 0..4 {
        newest.insert(
            0,
            texts(&installation.succeed(&["key", "rotate", CONTENT, "--track", "HD"]), "kid"),
        );
    }
    for service in [None, Some(installation.serve())] {
        let listed = installation.succeed(&["key", "list"]);
        let tracks = ["AUDIO", "SD", "HD", "HD", "HD", "HD", "HD", "UHD1", "UHD2", "none"];
        assert_eq!(texts(&listed, "track_type"), tracks);
        assert_eq!(texts(&listed, "kid")[2..6], newest.concat(), "{}", service.is_some());
        assert_eq!(installation.succeed(&["content", "show", CONTENT])["keys"], listed);
        let exported = export(&installation, &[]);
        let lines: Vec<Value> =
            exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(texts(&json!(lines), "kid"), texts(&listed, "kid"));
        assert!(lines.iter().all(|line| line["created_at"].is_u64()));
    }
    installation.succeed(&["key", "retire", &newest[0][0]]);
    let list = |more: &[&str]| installation.succeed(&[&["key", "list"], more].concat());
    assert_eq!(list(&["--track", "HD"]).as_array().unwrap().len(), 5);
    assert_eq!(texts(&list(&["--state", "retired"]), "kid"), newest[0]);
    let limited = list(&["--track", "HD", "--state", "active", "--limit", "1"]);
    assert_eq!(texts(&limited, "kid"), newest[1]);
    installation.succeed(&["content", "add", "series/one", "--policy", "default"]);
    let contents = |more: &[&str]| installation.succeed(&[&["content", "list"], more].concat());
    assert_eq!(texts(&contents(&["--prefix", "ser"]), "content_id"), ["series/one"]);
    assert_eq!(texts(&contents(&["--limit", "1"]), "content_id"), [CONTENT]);
}

/// The newest key of the track, as `decrypt --key` takes it.
fn newest_pair(installation: &Installation, track: &str) -> String {
    let exported = export(installation, &[CONTENT, "--track", track]);
    let first: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    format!("{}:{}", first["kid"].as_str().unwrap(), first["key"].as_str().unwrap())
}

/// Decrypts what a packager has made, and compares it with what went in.
fn assert_decrypts(installation: &Installation, track: &str, pair: &str, packaged: &str) {
    let key = format!("@{}", installation.write("pair", pair.as_bytes()).display());
    let out = installation.data.path().join("clear.mp4");
    let before = fs::read(packaged).unwrap();
    installation.succeed(&[
        "decrypt",
        "--overwrite",
        "--key",
        &key,
        packaged,
        out.to_str().unwrap(),
    ]);
    let (film, original) = (samples(&fs::read(out).unwrap()), samples_of_clear(track));
    assert!(!film.is_empty() && film == original, "{track}");
    assert!(samples(&before) != original, "{track} was encrypted");
}

fn samples_of_clear(track: &str) -> Vec<Vec<u8>> {
    samples(&fs::read(clear(track)).unwrap())
}

#[test]
fn shaka_packager_takes_an_export_and_reelkey_decrypts_what_it_makes() {
    let installation = titled(&["SD", "AUDIO"]);
    installation.succeed(&["key", "rotate", CONTENT]);
    let keys = export(&installation, &[CONTENT, "--format", "shaka"]);
    assert_eq!(keys.matches("key_id=").count(), 2, "the newest of each track");
    let folder = installation.data.path();
    let mut packager = Command::new(tool("bin/packager"));
    packager.args(["--quiet", "--enable_raw_key_encryption", "--clear_lead", "0", "--keys"]);
    packager.arg(keys.trim_end());
    for (stream, label) in [("video", "SD"), ("audio", "AUDIO")] {
        let (input, output) = (clear(stream), folder.join(format!("{stream}.mp4")));
        let (input, output) = (input.display(), output.display());
        packager.arg(format!("in={input},stream={stream},output={output},drm_label={label}"));
    }
    let packaged = packager.output().unwrap();
    assert!(packaged.status.success(), "{packaged:?}");
    for (stream, label) in [("video", "SD"), ("audio", "AUDIO")] {
        let pair = newest_pair(&installation, label);
        let file = folder.join(format!("{stream}.mp4"));
        assert_decrypts(&installation, stream, &pair, file.to_str().unwrap());
    }
}

#[test]
fn ffmpeg_takes_an_export_and_reelkey_decrypts_what_it_makes() {
    let installation = titled(&["SD", "AUDIO"]);
    installation.succeed(&["key", "rotate", CONTENT, "--track", "SD"]);
    let options = export(&installation, &[CONTENT, "--format", "ffmpeg", "--track", "SD"]);
    let packaged = installation.data.path().join("video.mp4");
    let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
    ffmpeg.args(["-loglevel", "error", "-i"]).arg(clear("video")).args(["-c", "copy"]);
    let done = ffmpeg.args(options.split_whitespace()).arg(&packaged).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let pair = newest_pair(&installation, "SD");
    assert_decrypts(&installation, "video", &pair, packaged.to_str().unwrap());
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_it_is_said() {
    let installation = titled(&["SD"]);
    let there = installation.write("there", b"mine");
    let to = there.to_str().unwrap();
    let words = ["key", "export", CONTENT, "--yes", "--to", to];
    assert!(installation.fail(&words).contains("--overwrite"));
    let clip = clear("video");
    let decrypt = ["decrypt", "--key", PAIR, clip.to_str().unwrap(), to];
    assert!(installation.fail(&decrypt).contains("--overwrite"));
    assert_eq!(fs::read(&there).unwrap(), b"mine");
    installation.succeed(&[&words[..], &["--overwrite"]].concat());
    assert!(fs::read_to_string(&there).unwrap().contains(CONTENT));
    let usage = ["key", "export", "--yes", "--to", to, "--format", "shaka"];
    assert_eq!(installation.run(&usage).status.code(), Some(2), "a packager gets one title");
}

#[test]
fn keys_go_from_one_store_to_another_through_a_pipe() {
    let (from, to) = (titled(&["SD", "HD"]), Installation::new());
    let exported = from.run(&["key", "export", "--yes", "--to", "-"]);
    assert!(exported.status.success(), "{exported:?}");
    let mut import = to.command(&["key", "import", "--policy", "default", "--from", "-"]);
    let mut import = import.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(&exported.stdout).unwrap();
    assert!(import.wait().unwrap().success());
    let kids = |one: &Installation| texts(&one.succeed(&["key", "list"]), "kid");
    assert_eq!(kids(&from), kids(&to));
}

/// `decrypt` reads a film that does not end, so it is in the middle of its work when the signal comes.
#[test]
fn an_export_that_a_signal_ends_leaves_nothing_behind() {
    let installation = titled(&["SD"]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("clear.mp4");
    let mut command = installation.command(&["decrypt", "--key", PAIR, "-", out.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A film that goes on, and more of it than a pipe holds: once it is written, some of it was read.
    stdin.write_all(&fs::read(clear("video")).unwrap()).unwrap();
    stdin.write_all(b"\x10\0\0\0free").unwrap();
    stdin.write_all(&vec![0; 1 << 20]).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(!child.wait().unwrap().success());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    // An export is short, so it is ended at many moments: it is whole, or it is not there.
    for _ in 0..20 {
        let to = folder.path().join("keys");
        let words = ["key", "export", "--yes", "--to", to.to_str().unwrap()];
        let mut child = installation.command(&words).stdout(Stdio::piped()).spawn().unwrap();
        let pid = child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(left.is_empty() || left == [to.clone()], "{left:?}");
        if to.exists() {
            assert_eq!(fs::read_to_string(&to).unwrap().lines().count(), 1, "it is whole");
            fs::remove_file(to).unwrap();
        }
    }
}

#[test]
fn a_key_that_nobody_would_get_is_not_made() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "premium-movie"]);
    for service in [None, Some(installation.serve())] {
        let said = installation.fail(&["key", "generate", CONTENT]);
        assert!(said.contains("no license would contain a key without a track"), "{said}");
        assert!(said.contains("AUDIO, SD, HD, UHD1") && said.contains("--track HD"), "{said}");
        let said = installation.fail(&["key", "generate", CONTENT, "--track", "UHD2"]);
        assert!(said.contains("a key of UHD2"), "{said}");
        installation.succeed(&["key", "generate", CONTENT, "--track", "HD"]);
        drop(service);
    }
    installation.succeed(&[
        "content",
        "set-policy",
        CONTENT,
        "--policy",
        "premium-movie",
        "--policy",
        "default",
    ]);
    installation.succeed(&["key", "generate", CONTENT]);
}

#[test]
fn policies_are_replaced_at_once_and_judged_as_when_they_are_added() {
    let installation = titled(&["SD"]);
    for service in [None, Some(installation.serve())] {
        let set = |names: &[&'static str]| {
            let words: Vec<_> = names.iter().flat_map(|name| ["--policy", name]).collect();
            [&["content", "set-policy", CONTENT][..], &words].concat()
        };
        let both = ["premium-movie", "default"];
        let done = installation.succeed(&set(&both));
        assert_eq!((&done["policies"], &done["changed"]), (&json!(both), &json!(true)));
        assert_eq!(installation.succeed(&set(&both))["changed"], false);
        let said = installation.fail(&set(&["default", "premium-movi"]));
        assert!(said.contains("no policy") && said.contains("mean premium-movie?"), "{said}");
        assert!(installation.fail(&set(&["default", "default"])).contains("twice"));
        assert_eq!(installation.succeed(&["content", "list"])[0]["policies"], json!(both));
        assert_eq!(installation.run(&set(&[])).status.code(), Some(2));
        installation.succeed(&set(&["default"]));
        drop(service);
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_one() {
    let installation = titled(&["SD"]);
    for words in [
        &["content", "show", "movies/buny"][..],
        &["content", "set-policy", "movies/buny", "--policy", "default"],
        &["key", "list", "movies/buny"],
        &["key", "generate", "movies/buny", "--track", "HD"],
        &["key", "rotate", "movies/buny"],
        &["key", "export", "movies/buny", "--yes", "--to", "-"],
    ] {
        let said = installation.fail(words);
        assert!(said.contains("there is no content movies/buny"), "{said}");
        assert!(said.contains("did you mean movies/bunny?"), "{said}");
    }
    let removed = installation.run(&["content", "remove", "movies/buny"]);
    assert!(removed.status.success());
    let said = String::from_utf8(removed.stdout).unwrap();
    assert!(said.contains("nothing was changed. Did you mean movies/bunny?"), "{said}");
}
