//! Shaka Packager as it comes from its registry package, with keys from a running service: whatever it makes is the clear clip
//! again once it is decrypted with keys of Reelkey, by `reelkey decrypt` and by ffmpeg.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use crate::film::clear;
use crate::installation::tool;
use crate::studio::{AES, Pair, SECRET, Studio, is_clear, succeed};

/// The content ID as `--content_id` takes it.
fn hex(content: &str) -> String {
    content.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// One output for each: the name, the track of the clear clip, and its label.
const OUTPUTS: [(&str, &str, &str); 3] =
    [("sd.mp4", "video", "SD"), ("hd.mp4", "video", "HD"), ("audio.mp4", "audio", "AUDIO")];

fn aes() -> [&'static str; 6] {
    ["--signer", "encoder", "--aes_signing_key", AES[0], "--aes_signing_iv", AES[1]]
}

impl Studio {
    /// The streams of [`OUTPUTS`]. The packager gives one key to all outputs of one input, so each has a file of its own.
    fn streams(&self) -> Vec<String> {
        let stream = |(output, track, label): (&str, &str, &str)| {
            fs::copy(clear(track), self.folder().join(format!("in-{output}"))).unwrap();
            format!("in=in-{output},stream={track},output={output},drm_label={label}")
        };
        OUTPUTS.map(stream).into()
    }

    /// The clear clip, four times as long.
    fn long(&self, track: &str) -> PathBuf {
        let path = self.folder().join(format!("long-{track}.mp4"));
        let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
        ffmpeg.args(["-v", "error", "-y", "-stream_loop", "3", "-i"]).arg(clear(track));
        ffmpeg.args(["-c", "copy", "-movflags", "empty_moov+default_base_moof"]);
        succeed(ffmpeg.args(["-frag_duration", "1000000"]).arg(&path));
        path
    }

    /// The long clip in segments of a second.
    fn segments(&self) -> Vec<String> {
        let stream = |track: &str| {
            let input = self.long(track);
            let names =
                format!("init_segment={track}/init.mp4,segment_template={track}/$Number$.m4s");
            format!("in={},stream={track},{names},playlist_name={track}.m3u8", input.display())
        };
        ["video", "audio"].map(stream).into()
    }

    /// Packages streams with keys of the Widevine API.
    fn widevine(&self, url: &str, content: &str, streams: &[String], more: &[&str]) {
        let content = hex(content);
        let words = ["--enable_widevine_encryption", "--clear_lead", "0", "--key_server_url", url];
        let streams = streams.iter().map(String::as_str);
        let streams = streams.chain(words).chain(["--content_id", &content]);
        self.package(&streams.chain(more.iter().copied()).collect::<Vec<_>>());
    }

    /// Whether every output is the clear clip, with the keys that the store has for its track.
    fn plays(&self, content: &str) {
        for (film, track, label) in OUTPUTS {
            let pair = self.key(content, label);
            self.decrypts(film, std::slice::from_ref(&pair), &clear(track));
            self.ffmpeg_decrypts(film, &pair, &clear(track));
        }
    }

    /// Keys of crypto periods, asked for by an own request.
    fn period_keys(&self, content: &str, label: &str, periods: u32) -> Vec<Pair> {
        let content_id = Base64::encode_string(content.as_bytes());
        let request = json!({
            "content_id": content_id, "tracks": [{ "type": label }], "drm_types": ["WIDEVINE"],
            "first_crypto_period_index": 0, "crypto_period_count": periods,
        });
        let request = Base64::encode_string(request.to_string().as_bytes());
        let body = json!({ "request": request }).to_string();
        let (status, answer) = self.service.send("POST", "/v1/keys/widevine", SECRET, &body);
        assert_eq!(status, 200, "{answer}");
        let decode = |value: &Value| Base64::decode_vec(value.as_str().unwrap()).unwrap();
        let outer: Value = serde_json::from_str(&answer).unwrap();
        let inner: Value = serde_json::from_slice(&decode(&outer["response"])).unwrap();
        let hex = |value: &Value| decode(value).iter().map(|byte| format!("{byte:02x}")).collect();
        let pair = |track: &Value| Pair { kid: hex(&track["key_id"]), key: hex(&track["key"]) };
        inner["tracks"].as_array().unwrap().iter().map(pair).collect()
    }

    /// A segmented track as one file: its initialization segment and its segments.
    fn joined(&self, track: &str) -> String {
        let segments = (1..).map(|number| self.folder().join(format!("{track}/{number}.m4s")));
        let init = self.folder().join(format!("{track}/init.mp4"));
        let parts = std::iter::once(init).chain(segments.take_while(|path| path.exists()));
        let film: Vec<u8> = parts.flat_map(|path| fs::read(path).unwrap()).collect();
        let name = format!("{track}-joined.mp4");
        self.installation.write(&name, &film);
        name
    }
}

#[test]
fn a_film_is_packaged_with_any_proof_of_the_packager_and_gets_the_same_keys() {
    let studio = Studio::new();
    let signed = studio.url("widevine", None);
    let rsa = ["--signer", "encoder-rsa", "--rsa_signing_key_path", "encoder-rsa.der"];
    studio.widevine(&signed, "movies/bunny", &studio.streams(), &aes());
    studio.plays("movies/bunny");
    let keys = studio.keys("movies/bunny");
    assert_eq!(keys.len(), 5, "a key for each track that the packager knows");

    let cbcs = ["--protection_scheme", "cbcs"];
    studio.widevine(&signed, "movies/bunny", &studio.streams(), &[&rsa[..], &cbcs].concat());
    studio.plays("movies/bunny");
    let with_secret = studio.url("widevine", Some(SECRET));
    // These name things of Widevine's own service.
    let of_widevine = ["--policy", "premium", "--group_id", "0102"];
    studio.widevine(&with_secret, "movies/bunny", &studio.streams(), &of_widevine);
    studio.plays("movies/bunny");
    assert_eq!(studio.keys("movies/bunny"), keys, "whoever asks, a title has the same keys");

    // The same keys as text, for a packager without a connection.
    let raw = studio.folder().join("raw");
    let words = ["key", "export", "movies/bunny", "--format", "shaka", "--yes", "--to"];
    studio.installation.succeed(&[&words[..], &[raw.to_str().unwrap()]].concat());
    let raw = fs::read_to_string(raw).unwrap();
    let words = ["--enable_raw_key_encryption", "--clear_lead", "0", "--keys", raw.trim()];
    let streams = studio.streams();
    let streams = streams.iter().map(String::as_str);
    studio.package(&streams.chain(words).collect::<Vec<_>>());
    studio.plays("movies/bunny");
    studio.service.terminate();
}

#[test]
fn keys_that_change_with_time_are_the_same_at_any_encoder_and_after_a_restart() {
    let mut studio = Studio::new();
    let rotating = ["--crypto_period_duration", "3", "--segment_duration", "1"];
    let manifests = ["--generate_static_live_mpd", "--mpd_output", "film.mpd"];
    let playlists = ["--hls_master_playlist_output", "film.m3u8"];
    let more = [&aes()[..], &rotating, &manifests, &playlists].concat();
    let kids = |studio: &Studio| {
        let playlist = fs::read_to_string(studio.folder().join("video.m3u8")).unwrap();
        let kid = |line: &str| Some(line.split_once("KEYID=0x")?.1[..32].to_ascii_lowercase());
        playlist.lines().filter_map(kid).collect::<BTreeSet<_>>()
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let url = studio.url("widevine", None);
        studio.widevine(&url, "movies/live", &studio.segments(), &more);
        for (track, label) in [("video", "SD"), ("audio", "AUDIO")] {
            let pairs = studio.period_keys("movies/live", label, 10);
            studio.decrypts(&studio.joined(track), &pairs, &studio.long(track));
        }
        let used = kids(&studio);
        // Twelve seconds in periods of three. A segment belongs to the period in which its first frame is decoded.
        let made = studio.period_keys("movies/live", "SD", 4).into_iter().map(|pair| pair.kid);
        assert_eq!(used, made.collect());
        seen.push(used);
        // No key of a period is kept.
        assert_eq!(studio.keys("movies/live").len(), 5);
        studio.service.terminate();
        studio.service = studio.installation.serve();
    }
    assert_eq!(seen[0], seen[1]);
    studio.service.terminate();
}

#[test]
fn a_film_is_decrypted_by_a_packager_that_may_read() {
    let studio = Studio::new();
    let url = studio.url("widevine", None);
    studio.widevine(&url, "movies/bunny", &studio.streams(), &aes());
    let decrypt = |film: &str, track: &str, proof: &[&str]| {
        let stream = format!("in={film},stream={track},output=read-back.mp4");
        let words = [&stream, "--enable_widevine_decryption", "--key_server_url", &url];
        studio.packager(&[&words, proof].concat())
    };
    for (film, track, _) in OUTPUTS {
        let done = decrypt(film, track, &aes());
        assert!(done.status.success(), "{done:?}");
        is_clear(&studio.folder().join("read-back.mp4"), &clear(track), &[]);
    }
    let rsa = ["--signer", "encoder-rsa", "--rsa_signing_key_path", "encoder-rsa.der"];
    let refused = decrypt("sd.mp4", "video", &rsa);
    assert!(!refused.status.success(), "a packager that may only issue is no oracle");
    assert!(studio.installation.log().contains("keys refused"));
    studio.service.terminate();
}

#[test]
fn playready_gets_one_key_for_all_tracks_by_soap() {
    let studio = Studio::new();
    let url = studio.url("playready", Some(SECRET));
    let words = ["--enable_playready_encryption", "--playready_server_url", &url, "--clear_lead"];
    let more = ["0", "--program_identifier", "movies/bunny", "--mpd_output", "film.mpd"];
    let streams = studio.streams();
    let streams = streams.iter().map(String::as_str);
    studio.package(&streams.chain(words).chain(more).collect::<Vec<_>>());
    let pair = studio.key("movies/bunny", "");
    assert_eq!(studio.keys("movies/bunny").len(), 1);
    for (film, track, _) in OUTPUTS {
        studio.decrypts(film, std::slice::from_ref(&pair), &clear(track));
        studio.ffmpeg_decrypts(film, &pair, &clear(track));
    }
    let seen =
        studio.installation.succeed(&["inspect", studio.folder().join("sd.mp4").to_str().unwrap()]);
    assert!(seen.to_string().contains("PlayReady"), "{seen}");
    studio.service.terminate();
}

/// The checksum of each packet of sound, without the headers that transport streams put before it.
fn packets(film: &Path, options: &[&str]) -> Vec<String> {
    let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
    ffmpeg.args(["-v", "error"]).args(options).arg("-i").arg(film).args(["-c", "copy"]);
    let output = ffmpeg.args(["-bsf:a", "aac_adtstoasc", "-f", "framemd5", "-"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    // Stream, two times, duration, size, checksum; some have more.
    let packets: Vec<_> = lines.map(|line| line.split(',').nth(5).unwrap().to_owned()).collect();
    assert!(packets.len() > 100, "{} packets", packets.len());
    packets
}

/// HLS in whole segments: the playlist has one URI for all streams, and a player asks the service there.
#[test]
fn whole_segments_play_from_the_service() {
    let studio = Studio::new();
    let policy = "can_play = true\nlicense_duration = \"1h\"\nallow_hls_aes128 = true\n";
    studio.installation.write("policies/hls.toml", policy.as_bytes());
    studio.installation.succeed(&["reload"]);
    studio.installation.succeed(&["content", "add", "movies/hls", "--policy", "hls"]);
    let kid = studio.installation.succeed(&["key", "generate", "movies/hls"])["kid"].clone();
    let uri = format!("{}/v1/hls/movies/hls/{}.key", studio.service.url, kid.as_str().unwrap());
    let stream = |track: &str| {
        let input = clear(track);
        let output = format!("segment_template={track}-$Number$.ts,playlist_name={track}.m3u8");
        format!("in={},stream={track},{output}", input.display())
    };
    let streams = ["video", "audio"].map(stream);
    let whole = ["--protection_scheme", "aes128", "--hls_key_uri", &uri];
    let hls = ["--segment_duration", "1", "--hls_master_playlist_output", "film.m3u8"];
    let url = studio.url("widevine", None);
    studio.widevine(&url, "movies/hls", &streams, &[&aes()[..], &whole, &hls].concat());
    assert_eq!(
        studio.keys("movies/hls").len(),
        1,
        "no key was made beside the one in the playlist"
    );
    let token = studio.installation.mint(&["--content", "movies/hls"]);
    for track in ["video", "audio"] {
        let playlist = studio.folder().join(format!("{track}.m3u8"));
        let lines = fs::read_to_string(&playlist).unwrap();
        assert!(lines.contains("METHOD=AES-128") && lines.contains(&uri), "{lines}");
        // What a site's own server does for players that send no header.
        fs::write(&playlist, lines.replace(&uri, &format!("{uri}?token={token}"))).unwrap();
        let options = ["-allowed_extensions", "ALL", "-extension_picky", "0"];
        let protocols = ["-protocol_whitelist", "file,http,tcp,crypto"];
        let options = [&options[..], &protocols].concat();
        match track {
            "video" => is_clear(&playlist, &clear(track), &options),
            // A transport stream does not say how many sound samples are to be skipped, so packets are compared.
            _ => assert!(packets(&playlist, &options) == packets(&clear(track), &[])),
        }
    }
    studio.service.terminate();
}

#[test]
fn a_packager_that_is_refused_ends_and_makes_nothing() {
    let studio = Studio::new();
    let fails = |content: &str, url: &str, more: &[&str]| {
        let stream = format!("in={},stream=video,output=none.mp4", clear("video").display());
        let content = hex(content);
        let words = [&stream, "--enable_widevine_encryption", "--key_server_url", url];
        let words = [&words[..], &["--content_id", &content], more].concat();
        let output = studio.packager(&words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!studio.folder().join("none.mp4").exists());
        String::from_utf8(output.stderr).unwrap()
    };
    let signed = studio.url("widevine", None);
    let wrong = ["--signer", "encoder", "--aes_signing_key", AES[0], "--aes_signing_iv", AES[0]];
    fails("movies/bunny", &signed, &[&wrong[..5], &["00000000000000000000000000000000"]].concat());
    fails("series/one", &signed, &aes());
    fails("movies/bunny", &studio.url("widevine", Some("wrong-secret")), &[]);
    fails("movies/bunny", &signed, &[]);
    let log = studio.installation.log();
    assert!(!log.contains(SECRET) && !log.contains(AES[0]), "the log has no secrets");
    studio.service.terminate();
}

/// A second client of the same API, which shares no code with the first.
#[test]
fn pycpix_gets_the_keys_of_shaka_packager() {
    let studio = Studio::new();
    let url = studio.url("widevine", None);
    studio.widevine(&url, "movies/bunny", &studio.streams(), &aes());
    let program = "import base64, json, sys\n\
        from cpix.drm import widevine\n\
        url, key, iv = sys.argv[1:]\n\
        answer = widevine.get_keys(content_id='movies/bunny', url=url, tracks=['AUDIO', 'SD', 'HD'],\n\
        policy='', signer='encoder', signer_key=key, signer_iv=iv)\n\
        text = lambda value: base64.b64decode(value).hex()\n\
        print(json.dumps([answer['status'], [[t['type'], text(t['key_id']), text(t['key'])] for t in answer['tracks']]]))\n";
    let ask = |key: &str| {
        let mut python = Command::new(tool("python/bin/python"));
        let [key, iv] = [key, AES[1]].map(str::to_ascii_uppercase);
        let output = python.args(["-c", program, &url, &key, &iv]).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (succeeded, answer) = ask(AES[0]);
    assert!(succeeded, "{answer}");
    let expected: Vec<_> = ["AUDIO", "SD", "HD"]
        .map(|label| {
            let Pair { kid, key } = studio.key("movies/bunny", label);
            json!([label, kid.replace('-', ""), key])
        })
        .into();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), json!(["OK", expected]));
    let (succeeded, _) = ask(&AES[0].replace('1', "2"));
    assert!(!succeeded, "a wrong signature gets no tracks");
    studio.service.terminate();
}
