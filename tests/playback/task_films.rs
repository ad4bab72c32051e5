//! The files that the pages of docs/decrypting work on: the clear clip, encrypted by packagers in the forms that people have.
//!
//! | file | what it is |
//! |---|---|
//! | `video.mp4`, `audio.mp4` | `cbcs` of Shaka Packager, each with a key of its own |
//! | `two-keys.mp4` | both in one fragmented film |
//! | `film.mp4` | both in a film of ffmpeg, `cenc` with one key, its `moov` last |
//! | `init.mp4`, `segment-N.m4s` | the audio in segments |
//! | `hls/` | MPEG-TS with AES-128 |
//! | `encrypted.webm`, `manifest.mpd` | no MP4 |
//! | `keys.txt` | both keys |
//! | `reelkey-data`, `license`, `request`, `key.jwk`, `jwks.json` | a service that has both keys, and its license |

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use reelkey::crypto::random::SystemRng;
use reelkey_client::exchange::device::DeviceKey;

use crate::film::{CONTENT, ask, clear};
use crate::installation::{Installation, tool};

const VIDEO: [&str; 2] = ["5ee1ce7a0d3b4c5d8e6f708192a3b4c5", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"];
const AUDIO: [&str; 2] = ["a0d10e7a1d3b4c5d8e6f708192a3b4c5", "102132435465768798a9bacbdcedfe0f"];

/// Writes all of them into the folder.
pub(crate) fn make(folder: &Path) {
    by_packager(folder);
    let tracks = ["video.mp4", "audio.mp4"].map(|name| fs::read(folder.join(name)).unwrap());
    fs::write(folder.join("two-keys.mp4"), joined(&tracks[0], &tracks[1])).unwrap();
    let hyphens = |kid: &str| kid.parse::<reelkey_client::key::KeyId>().unwrap();
    let lines = [(VIDEO, "video"), (AUDIO, "audio")]
        .map(|([kid, key], track)| format!("{}:{key} # {track}\n", hyphens(kid)));
    fs::write(folder.join("keys.txt"), format!("# KID:KEY\n{}", lines.concat())).unwrap();
    by_ffmpeg(folder);
    segments(folder);
    no_mp4(folder);
    licensed(folder);
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn ffmpeg(folder: &Path) -> Command {
    let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
    ffmpeg.current_dir(folder).args(["-v", "error", "-i"]).arg(clear("video"));
    ffmpeg
}

/// A film of both tracks with one key, and HLS with AES-128.
fn by_ffmpeg(folder: &Path) {
    let mut film = ffmpeg(folder);
    film.arg("-i").arg(clear("audio")).args(["-c", "copy", "-encryption_scheme", "cenc-aes-ctr"]);
    film.args(["-encryption_kid", VIDEO[0], "-encryption_key", VIDEO[1], "film.mp4"]);
    run(&mut film);
    let hls = folder.join("hls");
    fs::create_dir(&hls).unwrap();
    let key = u128::from_str_radix(VIDEO[1], 16).unwrap().to_be_bytes();
    fs::write(hls.join("film.key"), key).unwrap();
    fs::write(hls.join("key-info"), "film.key\nfilm.key\n").unwrap();
    let mut film = ffmpeg(&hls);
    film.arg("-i").arg(clear("audio")).args(["-c", "copy", "-hls_time", "1", "-hls_list_size"]);
    film.args(["0", "-hls_playlist_type", "vod", "-hls_key_info_file", "key-info"]);
    run(film.args(["-hls_segment_filename", "segment-%d.ts", "index.m3u8"]));
}

fn packager(folder: &Path) -> Command {
    let mut packager = Command::new(tool("bin/packager"));
    packager.current_dir(folder).args(["--quiet", "--enable_raw_key_encryption"]);
    let keys = [("SD", VIDEO), ("AUDIO", AUDIO)]
        .map(|(label, [kid, key])| format!("label={label}:key_id={kid}:key={key}"));
    packager.args(["--clear_lead", "0", "--keys", &keys.join(",")]);
    packager
}

/// A film of several fragments for each track.
fn by_packager(folder: &Path) {
    let mut packager = packager(folder);
    packager.args(["--protection_scheme", "cbcs", "--segment_duration", "1"]);
    for (track, label) in [("video", "SD"), ("audio", "AUDIO")] {
        let (input, output) = (clear(track), format!("{track}.mp4"));
        let input = input.display();
        packager.arg(format!("in={input},stream={track},output={output},drm_label={label}"));
    }
    run(&mut packager);
}

/// Short ones, so that there are more than nine.
fn segments(folder: &Path) {
    let mut packager = packager(folder);
    let input = clear("audio");
    let stream = "stream=audio,init_segment=init.mp4,segment_template=segment-$Number$.m4s";
    packager.args(["--segment_duration", "0.25"]);
    run(packager.arg(format!("in={},{stream},drm_label=AUDIO", input.display())));
}

fn no_mp4(folder: &Path) {
    let manifest = "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"/>\n";
    fs::write(folder.join("manifest.mpd"), manifest).unwrap();
    run(ffmpeg(folder).args(["-c:v", "libvpx", "-b:v", "100k", "clear-vp8.webm"]));
    let webm = "in=clear-vp8.webm,stream=video,output=encrypted.webm,drm_label=SD";
    run(packager(folder).arg(webm));
}

/// What a device keeps that obtained a license, and the data folder of the service that granted it.
fn licensed(folder: &Path) {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    for (label, [kid, key]) in [("SD", VIDEO), ("AUDIO", AUDIO)] {
        installation.import(CONTENT, label, kid, key);
    }
    let token = installation.mint(&["--content", CONTENT]);
    let service = installation.serve();
    let device = DeviceKey::generate(&mut SystemRng).unwrap();
    let draft = ask(&token).draft(&device.public_key(), None, &mut SystemRng).unwrap();
    let (request, pending) = draft.sign(&device);
    let (status, license) = service.send("POST", "/v1/license", &token, &request);
    assert_eq!(status, 200, "{license}");
    let (_, jwks) = service.send("GET", "/.well-known/jwks.json", "", "");
    service.terminate();
    let private = pending.to_private_jwk();
    let files = [("license", &license[..]), ("request", &request), ("key.jwk", &private)];
    for (name, text) in files.into_iter().chain([("jwks.json", &jwks[..])]) {
        fs::write(folder.join(name), text).unwrap();
    }
    let data = folder.join("reelkey-data");
    run(Command::new("cp").arg("-a").arg(installation.data.path()).arg(data));
}

/// The boxes of some bytes: kind, and the whole box.
fn boxes(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut boxes = Vec::new();
    while let Some(size) = bytes.first_chunk() {
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap();
        let (one, rest) = bytes.split_at(size);
        boxes.push((&one[4..8], one));
        bytes = rest;
    }
    boxes
}

fn child<'a>(parent: &'a [u8], kind: &[u8; 4]) -> &'a [u8] {
    boxes(parent).into_iter().find(|(there, _)| there == kind).unwrap().1
}

fn container(kind: &[u8; 4], children: &[u8]) -> Vec<u8> {
    let size = u32::try_from(children.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, children].concat()
}

/// The bytes, whose boxes of this kind name track 2 so many bytes behind their kind.
fn of_track_2(bytes: &[u8], kind: &[u8; 4], behind: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(4).position(|there| there == kind).unwrap() + 4 + behind;
    bytes[at..at + 4].copy_from_slice(&2_u32.to_be_bytes());
    bytes
}

/// One film of two that have a track each: the fragments take turns. Offsets in fragments count from their `moof`, so they
/// stay right.
fn joined(video: &[u8], audio: &[u8]) -> Vec<u8> {
    let [video_moov, audio_moov] = [video, audio].map(|film| child(film, b"moov"));
    let mut moov = Vec::new();
    for (kind, whole) in boxes(&video_moov[8..]) {
        match kind {
            b"trak" => {
                moov.extend(whole);
                moov.extend(of_track_2(child(&audio_moov[8..], b"trak"), b"tkhd", 12));
            }
            b"mvex" => {
                let more = child(&child(&audio_moov[8..], b"mvex")[8..], b"trex");
                let more = of_track_2(more, b"trex", 4);
                moov.extend(container(b"mvex", &[&whole[8..], &more].concat()));
            }
            _ => moov.extend(whole),
        }
    }
    let mut film = [child(video, b"ftyp"), &container(b"moov", &moov)].concat();
    let fragments = |film| -> Vec<Vec<u8>> {
        let parts = boxes(film).into_iter().filter(|(kind, _)| matches!(*kind, b"moof" | b"mdat"));
        let parts: Vec<_> = parts.map(|(_, whole)| whole).collect();
        parts.chunks(2).map(<[&[u8]]>::concat).collect()
    };
    for (picture, sound) in fragments(video).iter().zip(fragments(audio)) {
        film.extend(picture);
        film.extend(of_track_2(&sound, b"tfhd", 4));
    }
    film
}
