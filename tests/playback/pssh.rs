//! `reelkey pssh`: boxes that equal those of a real packager, and what is said of boxes from anywhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::film::clear;
use crate::installation::{Installation, REELKEY, tool};

const KID: &str = "f3c5e036-1e66-54b2-8f80-49c778b23946";
const KEY: &str = "a4631a153a443df9eed0593043db7519";
const PAIR: &str = "f3c5e036-1e66-54b2-8f80-49c778b23946:a4631a153a443df9eed0593043db7519";
const OTHER: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";

fn pssh(words: &[&str]) -> Output {
    Command::new(REELKEY).arg("pssh").args(words).env_clear().output().unwrap()
}

/// What a command prints that succeeds.
fn text(words: &[&str]) -> String {
    let output = pssh(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn decoded(words: &[&str]) -> Vec<Value> {
    let document = text(&[&["decode", "--json"], words].concat());
    let document: Value = serde_json::from_str(&document).unwrap();
    document["pssh"].as_array().unwrap().clone()
}

/// The exit code and what is said on standard error.
fn refused(words: &[&str]) -> (Option<i32>, String) {
    let output = pssh(words);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn piped(words: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(REELKEY);
    command.arg("pssh").args(words).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// The clear clip, packaged for every system with an MPD and a playlist beside it.
fn packaged(folder: &Path, scheme: &str) {
    let mut packager = Command::new(tool("bin/packager"));
    packager.args(["--quiet", "--enable_raw_key_encryption", "--clear_lead", "0", "--keys"]);
    packager.arg(format!("label=SD:key_id={}:key={KEY}", KID.replace('-', "")));
    packager.args(["--protection_systems", "Widevine,PlayReady,CommonSystem,FairPlay"]);
    packager.args(["--protection_scheme", scheme, "--mpd_output", "film.mpd"]);
    if ["cenc", "cbcs"].contains(&scheme) {
        packager.args(["--hls_master_playlist_output", "film.m3u8", "--hls_key_uri", "skd://a"]);
    }
    let input = clear("video");
    packager.arg(format!("in={},stream=video,output=film.mp4,drm_label=SD", input.display()));
    let output = packager.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Every `pssh` box in the bytes of a film, in hexadecimal digits.
fn boxes_of(film: &[u8]) -> BTreeSet<String> {
    let starts = film.windows(4).enumerate().filter(|(_, kind)| kind == b"pssh");
    let boxes = starts.map(|(at, _)| {
        let size = u32::from_be_bytes(film[at - 4..at].try_into().unwrap());
        let whole = &film[at - 4..at - 4 + usize::try_from(size).unwrap()];
        whole.iter().map(|byte| format!("{byte:02x}")).collect()
    });
    boxes.collect()
}

#[test]
fn boxes_equal_those_of_shaka_packager_in_every_scheme() {
    for scheme in ["cenc", "cens", "cbc1", "cbcs"] {
        let folder = tempfile::tempdir().unwrap();
        packaged(folder.path(), scheme);
        let film = fs::read(folder.path().join("film.mp4")).unwrap();
        let systems = ["--system", "widevine", "--system", "playready", "--system", "common"];
        let words = ["encode", "--key", PAIR, "--scheme", scheme, "--format", "hex"];
        let written: BTreeSet<_> =
            text(&[&words[..], &systems].concat()).lines().map(str::to_owned).collect();
        assert_eq!(boxes_of(&film), written, "{scheme}");

        let file = folder.path().join("film.mp4");
        let said = decoded(&["--key", PAIR, file.to_str().unwrap()]);
        let of = |system: &str| said.iter().find(|one| one["system"] == system).unwrap();
        assert_eq!(of("W3C Common")["kids"], json!([KID]));
        let widevine = &of("Widevine")["widevine"];
        assert_eq!(
            (&widevine["protection_scheme"], &widevine["kids"]),
            (&json!(scheme), &json!([KID]))
        );
        let is_cbc = scheme.starts_with("cbc");
        let playready = &of("PlayReady")["playready"];
        let (version, algorithm) =
            if is_cbc { ("4.3.0.0", "AESCBC") } else { ("4.0.0.0", "AESCTR") };
        assert_eq!(playready["version"], version);
        assert_eq!(playready["keys"][0]["algorithm"], algorithm);
        let fits = if is_cbc { Value::Null } else { json!(true) };
        assert_eq!(playready["keys"][0]["checksum_fits"], fits, "{scheme}");
        assert_eq!(of("Widevine")["in_moov"], true);
    }
}

#[test]
fn a_manifest_and_a_playlist_say_the_same_as_the_film() {
    for scheme in ["cenc", "cbcs"] {
        let folder = tempfile::tempdir().unwrap();
        packaged(folder.path(), scheme);
        let said = |name: &str| {
            let file = folder.path().join(name);
            let all = decoded(&[file.to_str().unwrap()]);
            let said = all.into_iter().map(|mut one| {
                for place in ["in_moov", "fragments", "form"] {
                    one.as_object_mut().unwrap().remove(place);
                }
                one.to_string()
            });
            said.collect::<BTreeSet<_>>()
        };
        assert_eq!(said("film.mp4").len(), 3);
        assert_eq!(said("film.mpd"), said("film.mp4"));
        let of_playlist = said("stream_0.m3u8");
        assert!(of_playlist.is_subset(&said("film.mp4")) && !of_playlist.is_empty());
    }
}

#[test]
fn what_is_encoded_is_decoded_from_every_form_and_from_standard_input() {
    let all = ["widevine", "playready", "common", "clearkey", "fairplay"];
    let mut words = vec!["encode", "--kid", KID, "--kid", OTHER, "--kid", KID, "--scheme", "cbcs"];
    words.extend(all.iter().flat_map(|system| ["--system", system]));
    words.extend(["--content-id", "movies/bunny", "--provider", "intel", "--policy", "p"]);
    words.extend(["--crypto-period-index", "7", "--crypto-period-seconds", "60"]);
    words.extend(["--la-url", "https://drm.example/?a=1&b=<2>", "--lui-url", "https://l.example"]);
    let base64 = text(&words);
    assert_eq!(base64.lines().count(), 5);
    let hex = text(&[&words[..], &["--format", "hex"]].concat());
    let binary = pssh(&[&words[..], &["--format", "binary"]].concat()).stdout;
    assert_eq!(hex.trim().len() - 4, binary.len() * 2, "four line breaks");
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for bytes in [base64.as_bytes(), hex.as_bytes(), &binary] {
        let output = piped(&["decode", "--json", "-"], bytes);
        let file = folder.path().join("boxes");
        fs::write(&file, bytes).unwrap();
        let of_file = decoded(&[file.to_str().unwrap()]);
        let of_pipe: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(of_pipe["pssh"], json!(of_file));
        seen.push(of_file);
    }
    assert!(seen[0] == seen[1] && seen[1] == seen[2]);
    let [widevine, playready, common, clearkey, fairplay] = &*seen[0] else { panic!("{seen:?}") };
    let kids = json!([KID, OTHER]);
    assert_eq!(
        widevine["widevine"],
        json!({ "kids": kids, "provider": "intel", "content_id": "movies/bunny",
            "content_id_hex": "6d6f766965732f62756e6e79", "policy": "p", "crypto_period_index": 7,
            "crypto_period_seconds": 60, "protection_scheme": "cbcs" })
    );
    let header = &playready["playready"];
    assert_eq!((&header["version"], &header["kids"]), (&json!("4.3.0.0"), &kids));
    assert_eq!(header["la_url"], "https://drm.example/?a=1&b=<2>");
    assert_eq!(header["lui_url"], "https://l.example");
    assert_eq!((&common["kids"], &clearkey["kids"]), (&kids, &kids));
    assert_eq!((&fairplay["system"], &fairplay["data_size"]), (&json!("FairPlay"), &json!(0)));

    // A person reads it, too.
    let shown = text(&["decode", base64.lines().next().unwrap()]);
    for said in ["Widevine", KID, OTHER, "movies/bunny", "intel", "cbcs", "crypto period"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}

#[test]
fn payloads_are_what_tools_take_that_write_the_box_themselves() {
    let payload = |system| {
        let words = ["encode", "--system", system, "--kid", KID, "--format", "payload"];
        text(&words).trim().to_owned()
    };
    let forms = [("widevine", "Widevine payload"), ("playready", "PlayReady object")];
    for (system, form) in forms {
        let said = decoded(&[&payload(system)]);
        assert_eq!((said.len(), &said[0]["form"]), (1, &json!(form)));
    }
    // nginx-vod-module copies it behind the SystemID.
    assert_eq!(payload("common"), "AAAAAfPF4DYeZlSyj4BJx3iyOUYAAAAA");
    assert_eq!(payload("fairplay"), "");
    let words = ["encode", "--system", "common", "--kid", KID, "--json", "--format", "binary"];
    let document: Value = serde_json::from_str(&text(&words)).unwrap();
    assert_eq!(document["pssh"][0]["payload"], payload("common"));
    assert_eq!(document["pssh"][0]["system_id"], "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b");
}

#[test]
fn a_checksum_that_does_not_fit_is_said_and_no_key_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pairs");
    fs::write(&file, format!("# keys\n{PAIR}\n")).unwrap();
    let from_file = format!("@{}", file.display());
    let encode = ["encode", "--system", "playready", "--key"];
    let boxed = text(&[&encode[..], &[&from_file]].concat());
    assert_eq!(boxed, text(&[&encode[..], &[PAIR, "--kid", KID]].concat()));
    let by_pipe = piped(&[&encode[..], &["-"]].concat(), PAIR.as_bytes());
    assert_eq!(boxed.as_bytes(), by_pipe.stdout);

    let shown = text(&["decode", "--key", &from_file, boxed.trim()]);
    assert!(shown.contains("5Tu7Xer/ZZo= (fits the key)") && !shown.contains(KEY), "{shown}");
    let wrong = format!("{KID}:{}", "0".repeat(32));
    let output = pssh(&["decode", "--key", &wrong, boxed.trim()]);
    let (shown, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(shown.contains("(does not fit the key)") && said.contains(KID), "{shown}{said}");
    let output = pssh(&["decode", "--json", "--key", &wrong, boxed.trim()]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["pssh"][0]["playready"]["keys"][0]["checksum_fits"], false);
    // A key for which there is no checksum is a note, and no failure.
    let other = format!("{OTHER}:{KEY}");
    let output = pssh(&["decode", "--key", &other, boxed.trim()]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains(OTHER));
}

#[test]
fn kids_come_from_the_store_too() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", "movies/bunny", "--policy", "default"]);
    let mut kids = BTreeSet::new();
    for track in ["SD", "AUDIO"] {
        let made = installation.succeed(&["key", "generate", "movies/bunny", "--track", track]);
        kids.insert(made["kid"].as_str().unwrap().to_owned());
    }
    let encode = ["pssh", "encode", "--system", "common", "--content"];
    let written = installation.succeed(&[&encode[..], &["movies/bunny"]].concat());
    let named = |written: &Value| {
        let said = decoded(&[written["pssh"][0]["box"].as_str().unwrap()]);
        let kids = said[0]["kids"].as_array().unwrap().clone();
        kids.iter().map(|kid| kid.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(named(&written), kids);
    let sd = installation.succeed(&[&encode[..], &["movies/bunny", "--track", "SD"]].concat());
    assert_eq!(named(&sd).len(), 1);
    let none = installation.fail(&[&encode[..], &["movies/bunny", "--track", "HD"]].concat());
    assert!(none.contains("no such active key"), "{none}");
}

#[test]
fn what_cannot_be_written_or_read_is_refused_with_the_next_step() {
    let wide = "https://a b";
    for (words, said) in [
        (&["encode", "--system", "widevine"][..], "--kid"),
        (&["encode", "--system", "widevine", "--kid", KID, "--la-url", "https://a"], "playready"),
        (&["encode", "--system", "common", "--kid", KID, "--policy", "p"], "widevine"),
        (&["encode", "--system", "playready", "--kid", KID, "--la-url", wide], "whitespace"),
        (
            &[
                "encode",
                "--system",
                "playready",
                "--kid",
                KID,
                "--kid",
                OTHER,
                "--playready-version",
                "4.1",
            ],
            "one key only",
        ),
        (
            &[
                "encode",
                "--system",
                "playready",
                "--kid",
                KID,
                "--scheme",
                "cbcs",
                "--playready-version",
                "4.2",
            ],
            "AES-CBC",
        ),
        (&["encode", "--system", "common", "--kid", OTHER, "--key", PAIR], "no box names"),
        (&["encode", "--system", "common", "--key", KEY], "KID:KEY"),
        (&["decode", "no such file"], "no such file"),
        (&["decode", "AAAAAAAA"], "base64"),
        (&["decode", env!("CARGO_MANIFEST_DIR")], "irectory"),
    ] {
        let (code, error) = refused(words);
        assert_eq!(code, Some(1), "{words:?}: {error}");
        assert!(error.starts_with("error: ") && error.contains(said), "{words:?}: {error}");
        assert!(!error.contains(KEY), "{error}");
    }
    let clear = clear("video");
    let (code, error) = refused(&["decode", clear.to_str().unwrap()]);
    assert!(code == Some(1) && error.contains("no pssh box"), "{error}");
    for usage in [
        &["encode"][..],
        &["encode", "--system", "marlin", "--kid", KID],
        &["encode", "--system", "common", "--kid", "4d97"],
        &["encode", "--system", "common", "--kid", KID, "--scheme", "CENC"],
        &["encode", "--system", "playready", "--kid", KID, "--playready-version", "4.4"],
        &["encode", "--system", "common", "--kid", KID, "--track", "SD"],
        &["encode", "--system", "common", "--key", PAIR, "--track", "SD"],
        &["decode"],
    ] {
        assert_eq!(refused(usage).0, Some(2), "{usage:?}");
    }
    let too_long = vec![b' '; 64 * 1024 * 1024 + 1];
    let output = piped(&["decode", "-"], &too_long);
    assert!(String::from_utf8(output.stderr).unwrap().contains("64 MiB"));
    let damaged = piped(&["decode", "-"], b"\0\0\x03\xe8ftypisom");
    assert_eq!(damaged.status.code(), Some(1), "{damaged:?}");
}
