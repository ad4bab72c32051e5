//! `reelkey inspect`: what a person and a program see of films, segments, pipes and what is no film.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::installation::REELKEY;
use crate::terminal::Terminal;

const KID: &str = "5ee1ce7a-0d3b-4c5d-8e6f-708192a3b4c5";
const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn clip(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/demo/clip").join(name)
}

fn inspect(words: &[&str]) -> Output {
    Command::new(REELKEY).arg("inspect").args(words).env_clear().output().unwrap()
}

/// The document about a file that is inspected to its end.
fn document(words: &[&str]) -> Value {
    let output = inspect(&[words, &["--json"]].concat());
    assert!(output.status.success(), "{words:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(words: &[&str]) -> String {
    let output = inspect(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&size[..], kind, body].concat()
}

/// The film with more boxes at the end of its `moov`.
fn with_in_moov(film: &[u8], more: &[u8]) -> Vec<u8> {
    let at = film.windows(4).position(|kind| kind == b"moov").unwrap() - 4;
    let size = u32::from_be_bytes(film[at..at + 4].try_into().unwrap());
    let (before, after) = film.split_at(at + usize::try_from(size).unwrap());
    let mut film = [before, more, after].concat();
    let size = size + u32::try_from(more.len()).unwrap();
    film[at..at + 4].copy_from_slice(&size.to_be_bytes());
    film
}

fn pssh(version: u8, system: u128, kids: &[[u8; 16]], data: &[u8]) -> Vec<u8> {
    let mut body = vec![version, 0, 0, 0];
    body.extend(system.to_be_bytes());
    if version > 0 {
        body.extend(u32::try_from(kids.len()).unwrap().to_be_bytes());
        body.extend(kids.concat());
    }
    body.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    body.extend(data);
    boxed(b"pssh", &body)
}

#[test]
fn a_clip_is_shown_with_its_scheme_and_its_key() {
    for (scheme, per_sample, constant, blocks) in
        [("cenc", 8, None, [0, 0]), ("cbcs", 0, Some(16), [1, 9])]
    {
        let file = clip(&format!("{scheme}/video.mp4"));
        let film = document(&[file.to_str().unwrap()]);
        assert_eq!(film["kind"], "fragmented_film");
        assert_eq!(film["is_encrypted"], true);
        assert_eq!((&film["error"], &film["decrypt_refuses"]), (&Value::Null, &Value::Null));
        let track = &film["tracks"][0];
        assert_eq!((&track["handler"], &track["samples"]), (&json!("vide"), &json!(75)));
        let entry = &track["entries"][0];
        assert_eq!((&entry["type"], &entry["format"]), (&json!("encv"), &json!("avc1")));
        assert!(entry["codec"].as_str().unwrap().starts_with("avc1.64"), "{entry}");
        let by = &entry["protections"][0];
        assert_eq!((&by["scheme"], &by["default_kid"]), (&json!(scheme), &json!(KID)));
        assert_eq!(by["per_sample_iv_size"], per_sample);
        assert_eq!(by["constant_iv_size"], json!(constant));
        assert_eq!(json!([by["crypt_byte_block"], by["skip_byte_block"]]), json!(blocks));
        let keys = json!([{ "kid": KID, "tracks": [track["id"]], "samples": 75 }]);
        assert_eq!(film["keys_needed"], keys);
    }
    let clear = clip("clear/audio.mp4");
    let film = document(&[clear.to_str().unwrap()]);
    assert_eq!((&film["is_encrypted"], &film["keys_needed"]), (&json!(false), &json!([])));
    assert_eq!(film["tracks"][0]["entries"][0]["codec"], "mp4a.40.2");
    assert!(text(&[clear.to_str().unwrap()]).ends_with("\n\nnothing is encrypted.\n"));
}

#[test]
fn the_next_step_decrypts_the_film_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("it's a film.mp4");
    fs::copy(clip("cbcs/video.mp4"), &film).unwrap();
    let shown = text(&[film.to_str().unwrap()]);
    let step = shown.lines().last().unwrap().strip_prefix("decrypt it with: reelkey ").unwrap();
    let out = folder.path().join("out.mp4");
    let step = step.replace(":KEY", &format!(":{KEY}"));
    let step = format!("{REELKEY} {}", step.replace(" OUT", &format!(" {}", out.display())));
    let ran = Command::new("bash").args(["-c", &step]).output().unwrap();
    assert!(ran.status.success(), "{step}: {ran:?}");
    let clear = document(&[out.to_str().unwrap()]);
    assert_eq!(
        (&clear["is_encrypted"], &clear["tracks"][0]["samples"]),
        (&json!(false), &json!(75))
    );
}

#[test]
fn a_segment_alone_asks_for_its_initialization_segment_and_both_name_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let film = fs::read(clip("cenc/video.mp4")).unwrap();
    let cut = film.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    let paths = ["init.mp4", "segment.m4s"].map(|name| folder.path().join(name));
    for (path, bytes) in paths.iter().zip([&film[..cut], &film[cut..]]) {
        fs::write(path, bytes).unwrap();
    }
    let [init, segment] = paths.each_ref().map(|path| path.to_str().unwrap());
    let alone = document(&[segment]);
    assert_eq!((&alone["kind"], &alone["is_encrypted"]), (&json!("media_segment"), &json!(true)));
    assert_eq!((&alone["keys_needed"], &alone["tracks"][0]["samples"]), (&json!([]), &json!(75)));
    let step = format!("reelkey inspect --init INIT {segment}\n");
    assert!(text(&[segment]).ends_with(&step));
    let first = document(&[init]);
    assert_eq!(first["kind"], "initialization_segment");
    assert_eq!(first["keys_needed"][0]["kid"], KID);
    let step = format!("--key {KID}:KEY --init {init} SEGMENT OUT\n");
    assert!(text(&[init]).ends_with(&step));
    let both = document(&["--init", init, segment]);
    assert_eq!(both["keys_needed"][0]["samples"], 75);
    let step = format!("--key {KID}:KEY --init {init} {segment} OUT\n");
    assert!(text(&["--init", init, segment]).ends_with(&step));
}

#[test]
fn a_pipe_shows_what_its_file_does() {
    for name in ["cenc/video.mp4", "cbcs/audio.mp4"] {
        let file = clip(name);
        let mut expected = document(&[file.to_str().unwrap()]);
        expected["file"] = json!("-");
        let mut command = Command::new(REELKEY);
        command.args(["inspect", "--json", "-"]).env_clear();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        for piece in fs::read(file).unwrap().chunks(777) {
            input.write_all(piece).unwrap();
        }
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), expected);
    }
}

/// The limits leave room for the headers of a terabyte, and not for its bytes: neither for the time that reading them takes
/// the CPU, nor for the memory.
#[test]
fn a_long_film_is_inspected_by_its_headers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.mp4");
    let clip = fs::read(clip("cenc/video.mp4")).unwrap();
    let at = clip.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    for size in [8_u64 << 30, 1 << 40] {
        let mut file = File::create(&path).unwrap();
        file.write_all(b"\0\0\0\x18ftypisom\0\0\0\0isomcmfc").unwrap();
        file.write_all(&[b"\0\0\0\x01mdat".as_slice(), &size.to_be_bytes()].concat()).unwrap();
        let end = 24 + size;
        file.set_len(end).unwrap();
        // The moov and the fragments of the clip behind it.
        let moov = clip.windows(4).position(|kind| kind == b"moov").unwrap() - 4;
        assert!(moov < at);
        std::os::unix::fs::FileExt::write_all_at(&file, &clip[moov..], end).unwrap();
        let script = "ulimit -t 20 -v 4000000; exec \"$0\" inspect --json \"$1\"";
        let mut command = Command::new("bash");
        let output = command.args(["-c", script, REELKEY]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let film: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(film["keys_needed"][0]["samples"], 75);
    }
}

#[test]
fn what_a_film_says_to_each_drm_system_is_decoded() {
    let guid = "CpOXTXs9AFCAAFx72h8KEQ==";
    let header = format!(
        "<WRMHEADER version=\"4.3.0.0\"><DATA><PROTECTINFO><KIDS><KID ALGID=\"AESCBC\" VALUE=\"{guid}\"></KID></KIDS>\
         </PROTECTINFO><LA_URL>https://play.example/?a=1&amp;b=2</LA_URL></DATA></WRMHEADER>"
    );
    let utf16: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = u16::try_from(utf16.len()).unwrap().to_le_bytes();
    let object = [&[1, 0, 1, 0][..], &length, &utf16].concat();
    let total = u32::try_from(object.len() + 4).unwrap().to_le_bytes();
    let kid =
        [0x4d, 0x97, 0x93, 0x0a, 0x3d, 0x7b, 0x50, 0, 0x80, 0, 0x5c, 0x7b, 0xda, 0x1f, 0x0a, 0x11];
    let provider = b"\x1b[2J\nevil";
    let widevine =
        [&b"\x12\x10"[..], &kid, b"\x1a\x09", provider, b"\x22\x04film\x48\xf3\xc6\x89\x9b\x06"];
    let systems = [
        pssh(1, 0x1077_efec_c0b2_4d02_ace3_3c1e_52e2_fb4b, &[kid], b""),
        pssh(0, 0xedef_8ba9_79d6_4ace_a3c8_27dc_d51d_21ed, &[], &widevine.concat()),
        pssh(0, 0x9a04_f079_9840_4286_ab92_e65b_e088_5f95, &[], &[&total[..], &object].concat()),
        pssh(0, 0x94ce_86fb_07ff_4f43_adb8_93d2_fa96_8ca2, &[], b"fairplay"),
        pssh(0, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10, &[], b"?"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let film = fs::read(clip("cenc/video.mp4")).unwrap();
    fs::write(&path, with_in_moov(&film, &systems.concat())).unwrap();
    let path = path.to_str().unwrap();

    let film = document(&[path]);
    let all = film["pssh"].as_array().unwrap();
    let of =
        |id: &str| all.iter().find(|it| it["system_id"].as_str().unwrap().starts_with(id)).unwrap();
    let uuid = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";
    assert!(all.iter().any(|it| it["system"] == "W3C Common" && it["kids"] == json!([uuid])));
    let expected = json!({ "kids": [uuid], "provider": "\u{1b}[2J\nevil", "content_id": "film",
        "content_id_hex": "66696c6d", "policy": null, "crypto_period_index": null,
        "crypto_period_seconds": null, "protection_scheme": "cbcs" });
    assert_eq!(
        (&of("edef8ba9")["system"], &of("edef8ba9")["widevine"]),
        (&json!("Widevine"), &expected)
    );
    let url = "https://play.example/?a=1&b=2";
    let keys = json!([{ "kid": uuid, "algorithm": "AESCBC", "checksum": null }]);
    let expected = json!({ "version": "4.3.0.0", "kids": [uuid], "keys": keys, "la_url": url,
        "lui_url": null, "ds_id": null, "decryptor_setup": null });
    assert_eq!(of("9a04f079")["playready"], expected);
    assert_eq!(
        (&of("94ce86fb")["system"], &of("94ce86fb")["data_size"]),
        (&json!("FairPlay"), &json!(8))
    );
    assert_eq!(
        (&of("01020304")["system"], &of("01020304")["in_moov"]),
        (&Value::Null, &json!(true))
    );

    let shown = text(&[path]);
    let says =
        format!("KID {uuid}; provider \\u{{1b}}[2J\\u{{a}}evil; content ID film; scheme cbcs");
    for said in [&says, url, "FairPlay", "W3C Common", "01020304-0506-0708-090a-0b0c0d0e0f10"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn damage_and_other_files_end_in_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let name = path.to_str().unwrap();
    let film = fs::read(clip("cenc/video.mp4")).unwrap();
    fs::write(&path, &film[..film.len() - 10]).unwrap();
    let output = inspect(&[name]);
    let (shown, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert!(shown.contains(KID) && !shown.contains("decrypt it with"), "{shown}");
    assert!(said.starts_with("error: ") && said.contains("10 bytes are missing"), "{said}");
    let output = inspect(&[name, "--json"]);
    let cut: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &cut["keys_needed"][0]["kid"]), (Some(1), &json!(KID)));
    assert!(cut["error"]["message"].as_str().unwrap().contains("10 bytes are missing"));
    for (bytes, expected) in [
        (&b"#EXTM3U\n#EXT-X-VERSION:7\n"[..], "an HLS playlist"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23", "WebM"),
        (b"", "the file is empty"),
        (b"some words of somebody", "this is text"),
    ] {
        fs::write(&path, bytes).unwrap();
        let output = inspect(&[name]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(expected), "{said}");
    }
    let missing = inspect(&["no such film.mp4"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no such film.mp4"), "{missing:?}");
}

#[test]
fn tables_fit_the_terminal() {
    for columns in [80, 120] {
        let mut terminal = Terminal::new(columns);
        let mut command = Command::new(REELKEY);
        command.arg("inspect").arg("video.mp4").current_dir(clip("cbcs")).env_clear();
        command.stdin(terminal.open()).stdout(terminal.open()).stderr(terminal.open());
        let mut child = command.spawn().unwrap();
        drop(command);
        let mut shown = Vec::new();
        let mut some = [0; 4096];
        while let Ok(read @ 1..) = std::io::Read::read(&mut terminal.controller, &mut some) {
            shown.extend(&some[..read]);
        }
        assert!(child.wait().unwrap().success());
        let shown = String::from_utf8(shown).unwrap();
        // The first and the last line are sentences, which the terminal itself wraps.
        let lines: Vec<_> = shown.trim_end().lines().map(str::trim_end).collect();
        let tables = &lines[1..lines.len() - 1];
        let longest = tables.iter().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= usize::from(columns) && tables.len() > 6, "{shown}");
    }
}
