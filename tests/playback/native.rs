//! Native players and HLS with AES-128: the key's URL leads to the service, with a token in its query.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::film::{CONTENT, clear, obtain};
use crate::installation::{Installation, Service, tool};

const KEY: &str = "00112233445566778899aabbccddeeff";
const KID: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";

/// How long a player may take over a film of three seconds, as timeout(1) reads it.
const LONGEST: &str = "30";

/// A folder that is served over HTTP on this machine, until it is dropped.
struct Files {
    folder: tempfile::TempDir,
    server: Child,
    url: String,
}

impl Files {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = "import http.server as h, functools as f, sys\n\
            s = h.ThreadingHTTPServer(('127.0.0.1', 0), f.partial(h.SimpleHTTPRequestHandler, directory=sys.argv[1]))\n\
            print(s.server_port, flush=True)\ns.serve_forever()";
        let mut server = Command::new("python3");
        server.args(["-c", script]).arg(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = server.spawn().unwrap();
        let mut port = String::new();
        let out = server.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut port).unwrap();
        let url = format!("http://127.0.0.1:{}", port.trim());
        Self { folder, server, url }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

/// The clear film with picture and sound, and the checksum of each of its frames.
fn film(folder: &Path) -> String {
    let film = folder.join("clear.mp4");
    let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
    ffmpeg.args(["-loglevel", "error", "-i"]).arg(clear("video")).arg("-i").arg(clear("audio"));
    run(ffmpeg.args(["-c", "copy"]).arg(&film));
    frames(&mut ffmpeg_reading(film.to_str().unwrap()))
}

fn ffmpeg_reading(input: &str) -> Command {
    let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
    ffmpeg.args(["-loglevel", "error", "-i", input, "-map", "0:v", "-f", "framemd5", "-"]);
    ffmpeg
}

/// The checksums alone: each container counts time in its own way.
fn frames(ffmpeg: &mut Command) -> String {
    let lines = String::from_utf8(run(ffmpeg).stdout).unwrap();
    let sums = lines.lines().filter(|line| !line.starts_with('#'));
    sums.map(|line| line.rsplit(',').next().unwrap().trim()).collect::<Vec<_>>().join("\n")
}

/// Segments in both forms, each encrypted as a whole, and the names of their playlists. `#KEY` stands for the tag.
fn encrypt(folder: &Path) -> [&'static str; 2] {
    let forms = [("ts", "ts", "mpegts"), ("fmp4", "m4s", "fmp4")];
    for (name, extension, form) in forms {
        let mut ffmpeg = Command::new(tool("bin/ffmpeg"));
        ffmpeg.current_dir(folder).args(["-loglevel", "error", "-i", "clear.mp4", "-c", "copy"]);
        ffmpeg.args(["-hls_time", "1", "-hls_list_size", "0", "-hls_playlist_type", "vod"]);
        let init = format!("{name}-init.mp4");
        ffmpeg.args(["-hls_fmp4_init_filename", &init, "-hls_segment_filename"]);
        ffmpeg.arg(format!("{name}-%d.{extension}")).args(["-hls_segment_type", form]);
        run(ffmpeg.arg(format!("{name}.m3u8")));
        let playlist = fs::read_to_string(folder.join(format!("{name}.m3u8"))).unwrap();
        let segments = playlist.lines().filter(|line| line.ends_with(extension));
        for (sequence, segment) in segments.enumerate() {
            let mut openssl = Command::new("openssl");
            let iv = format!("{sequence:032x}");
            openssl.current_dir(folder).args(["enc", "-aes-128-cbc", "-K", KEY, "-iv", &iv]);
            run(openssl.args(["-in", segment, "-out", "encrypted"]));
            fs::rename(folder.join("encrypted"), folder.join(segment)).unwrap();
        }
        // After EXT-X-MAP, so that the initialization segment stays clear.
        let keyed = playlist.replacen("#EXTINF", "#KEY\n#EXTINF", 1);
        fs::write(folder.join(format!("{name}.m3u8")), keyed).unwrap();
    }
    ["ts", "fmp4"]
}

/// A title that HLS players may have the key of, its playlists, and the service that has the key.
fn prepared() -> (Installation, Service, Files, String, Vec<String>) {
    let installation = Installation::new();
    let policy = b"can_play = true\nlicense_duration = \"10m\"\nallow_hls_aes128 = true\n";
    fs::write(installation.data.path().join("policies/hls.toml"), policy).unwrap();
    installation.succeed(&["content", "add", CONTENT, "--policy", "hls"]);
    installation.import(CONTENT, "SD", KID, KEY);
    installation.configure("[token]\nquery = true\n");
    let service = installation.serve();
    let files = Files::new();
    let clear = film(files.folder.path());
    let names = encrypt(files.folder.path());
    // Where players find the service, which is known now.
    let toml = installation.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&toml).unwrap();
    fs::write(toml, format!("public_url = {:?}\n{text}", service.url)).unwrap();
    let manifest = installation.succeed(&["manifest", CONTENT, "--format", "hls"]);
    let tag = manifest[0]["lines"][0].as_str().unwrap().to_owned();
    let token = installation.mint(&["--content", CONTENT]);
    let mut urls = Vec::new();
    for name in names {
        let path = files.folder.path().join(format!("{name}.m3u8"));
        let playlist = fs::read_to_string(&path).unwrap();
        let with =
            playlist.replace("#KEY", &tag.replace(".key\"", &format!(".key?token={token}\"")));
        fs::write(&path, with).unwrap();
        let without = files.folder.path().join(format!("{name}-refused.m3u8"));
        fs::write(without, playlist.replace("#KEY", &tag)).unwrap();
        urls.push(format!("{}/{name}", files.url));
    }
    (installation, service, files, clear, urls)
}

/// Root may not run every player, so they run as nobody, in a folder of their own.
fn as_nobody(home: &Path, words: &[&str]) -> Command {
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            std::os::unix::fs::chown(home, Some(65534), Some(65534)).unwrap();
            let mut setpriv = Command::new("setpriv");
            setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            // A player that goes on without a key is ended.
            setpriv.args(["timeout", "--kill-after=5", LONGEST]);
            setpriv
        }
        false => {
            let mut timeout = Command::new("timeout");
            timeout.args(["--kill-after=5", LONGEST]);
            timeout
        }
    };
    command.args(words).env("HOME", home).env("XDG_RUNTIME_DIR", home).current_dir(home);
    command
}

fn said_by(installation: &Installation, words: &[&str]) -> String {
    said(&installation.run(words))
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn native_players_play_with_a_token_in_the_keys_url_and_none_without() {
    let (installation, _service, _files, clear, urls) = prepared();
    assert!(clear.lines().count() > 50, "{clear}");
    let home = tempfile::tempdir().unwrap();
    for url in urls {
        let (plays, refused) = (format!("{url}.m3u8"), format!("{url}-refused.m3u8"));
        assert_eq!(frames(&mut ffmpeg_reading(&plays)), clear, "ffmpeg plays {url}");
        let stopped = ffmpeg_reading(&refused).output().unwrap();
        assert!(!stopped.status.success(), "{stopped:?}");

        let mpv = |url: &str| {
            let words =
                ["mpv", "--no-config", "--vo=null", "--ao=null", "--untimed", "--ytdl=no", url];
            as_nobody(home.path(), &words).output().unwrap()
        };
        let played = mpv(&plays);
        assert!(played.status.success() && said(&played).contains("End of file"), "{played:?}");
        assert!(!mpv(&refused).status.success(), "mpv");

        let vlc = |url: &str| {
            let mut words = vec!["cvlc", "-vv", "--vout=dummy", "--aout=dummy", "--play-and-exit"];
            words.extend(["--no-video-title-show", url, "vlc://quit"]);
            said(&as_nobody(home.path(), &words).output().unwrap())
        };
        let played = vlc(&plays);
        assert!(played.contains("Received first picture"), "{played}");
        if url.ends_with("fmp4") {
            // Without a key, VLC goes on with fMP4 for as long as it may; GStreamer plays no fMP4 that is encrypted so.
            continue;
        }
        assert!(!vlc(&refused).contains("Received first picture"), "VLC");

        let gstreamer = |url: &str| {
            let uri = format!("uri={url}");
            let sinks = ["video-sink=fakesink sync=false", "audio-sink=fakesink sync=false"];
            let words = ["gst-launch-1.0", "playbin", &uri, sinks[0], sinks[1]];
            as_nobody(home.path(), &words).output().unwrap()
        };
        let played = gstreamer(&plays);
        assert!(played.status.success() && said(&played).contains("Got EOS"), "{played:?}");
        assert!(!gstreamer(&refused).status.success(), "GStreamer");
    }
    // Neither the token nor the query is in the log, however much of it is written.
    let log = installation.log();
    assert!(
        log.contains("/v1/hls/{*path}") && !log.contains("token=") && !log.contains("eyJ"),
        "{log}"
    );
    assert!(log.contains("hls-aes128"), "{log}");
}

#[test]
fn a_manifest_has_the_lines_for_each_track_and_needs_to_know_where_the_service_is() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    installation.import(CONTENT, "SD", KID, KEY);
    let said = installation.fail(&["manifest", CONTENT, "--format", "dash"]);
    assert!(said.contains("public_url") && said.contains("reelkey.toml"), "{said}");
    let toml = installation.data.path().join("reelkey.toml");
    let text = fs::read_to_string(&toml).unwrap();
    fs::write(toml, format!("public_url = \"https://drm.example/reelkey/\"\n{text}")).unwrap();
    for track in ["AUDIO", "HD"] {
        installation.succeed(&["key", "generate", CONTENT, "--track", track]);
    }
    let newest =
        installation.succeed(&["key", "rotate", CONTENT, "--track", "HD"])[0]["kid"].clone();
    let lines =
        |more: &[&str]| installation.succeed(&[&["manifest", CONTENT, "--format"], more].concat());
    let dash = lines(&["dash", "--scheme", "cbcs"]);
    let tracks: Vec<_> =
        dash.as_array().unwrap().iter().map(|one| one["track_type"].clone()).collect();
    assert_eq!(tracks, ["AUDIO", "SD", "HD"]);
    assert_eq!(dash[2]["kid"], newest);
    let text = dash[1]["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    let text = text.collect::<Vec<_>>().join("\n");
    assert!(text.contains(&format!("value=\"cbcs\" cenc:default_KID=\"{KID}\"")), "{text}");
    assert!(
        text.contains("<dashif:Laurl>https://drm.example/reelkey/v1/clearkey</dashif:Laurl>"),
        "{text}"
    );
    let authorized = lines(&["dash", "--authzurl", "https://www.example/authorize?a=1&b=2"]);
    let (line, laurl) = (&authorized[0]["lines"][2], &authorized[0]["lines"][3]);
    assert_eq!(
        line,
        "  <dashif:Authzurl>https://www.example/authorize?a=1&amp;b=2</dashif:Authzurl>"
    );
    assert!(laurl.as_str().unwrap().contains("<dashif:Laurl>"), "{authorized}");
    let hls = ["manifest", CONTENT, "--format", "hls", "--authzurl", "https://www.example/a"];
    assert!(installation.fail(&hls).contains("--format dash"));
    for wrong in ["www.example", "https://", "https://www.example/<", "ftp://www.example/"] {
        let words = ["manifest", CONTENT, "--format", "dash", "--authzurl", wrong];
        assert_eq!(installation.run(&words).status.code(), Some(2), "{wrong}");
    }
    let hls = lines(&["hls", "--track", "SD"]);
    assert_eq!(
        hls[0]["lines"],
        serde_json::json!([format!(
            "#EXT-X-KEY:METHOD=AES-128,URI=\"https://drm.example/reelkey/v1/hls/{CONTENT}/{KID}.key\""
        )])
    );
    let eme: Value = lines(&["hls", "--track", "SD", "--scheme", "cbcs"])[0]["lines"][0].clone();
    assert!(eme.as_str().unwrap().contains("KEYFORMAT=\"org.w3.clearkey\""), "{eme}");
    // Nothing of it is allowed by the policy, which the lines say.
    assert!(hls[0]["note"].as_str().unwrap().contains("allow_hls_aes128 = true"), "{hls}");
    let shown = said_by(&installation, &["manifest", CONTENT, "--format", "hls"]);
    assert!(shown.starts_with("## no policy of"), "{shown}");
    for period in ["1", "2", "3"] {
        installation.succeed(&["key", "generate", CONTENT, "--track", "UHD1", "--period", period]);
    }
    let live = lines(&["hls", "--track", "UHD1"]);
    let periods = live.as_array().unwrap().iter().map(|one| one["crypto_period_index"].as_u64());
    assert_eq!(periods.collect::<Vec<_>>(), [3, 2].map(Some), "the periods that licenses hold");
    assert!(
        installation
            .fail(&["manifest", CONTENT, "--format", "dash", "--scheme", "aes-128"])
            .contains("--scheme cenc")
    );
    assert!(
        installation
            .fail(&["manifest", CONTENT, "--format", "hls", "--track", "UHD2"])
            .contains("no such active key")
    );
    assert_eq!(installation.run(&["manifest", CONTENT]).status.code(), Some(2));
}

#[test]
fn keys_have_periods_and_licenses_the_two_newest() {
    let installation = Installation::new();
    installation.succeed(&["content", "add", CONTENT, "--policy", "default"]);
    for track in ["AUDIO", "HD"] {
        installation.succeed(&["key", "generate", CONTENT, "--track", track, "--period", "1"]);
    }
    let file = installation.write("one.key", KEY.as_bytes());
    let key = format!("@{}", file.display());
    let import = |period: &'static str| {
        let words = ["key", "import", CONTENT, "--track", "SD", "--kid", KID, "--key", &key];
        installation.run(&[&words[..], &["--period", period]].concat())
    };
    assert!(import("1").status.success() && import("1").status.success());
    assert!(said(&import("2")).contains("another crypto period"));
    for period in 2..=4 {
        let made = installation.succeed(&["key", "rotate", CONTENT]);
        let made = made.as_array().unwrap();
        assert!(
            made.len() == 3 && made.iter().all(|key| key["crypto_period_index"] == period),
            "{made:?}"
        );
    }
    let service = installation.serve();
    let license = obtain(&service, &installation.mint(&["--content", CONTENT]));
    let mut periods: Vec<_> =
        license.claims.tracks.iter().map(|track| track.crypto_period_index).collect();
    periods.sort_unstable();
    assert_eq!(periods, [3, 3, 3, 4, 4, 4].map(Some));
    // The newest of each track is what a packager gets, and exports keep the period.
    let exported = installation.run(&["key", "export", CONTENT, "--to", "-", "--yes"]);
    let other = Installation::new();
    let lines = other.write("lines", &exported.stdout);
    other.succeed(&["key", "import", "--policy", "default", "--from", lines.to_str().unwrap()]);
    let shown = |one: &Installation| {
        let list = one.succeed(&["key", "list"]);
        let list = list.as_array().unwrap().iter();
        list.map(|key| (key["kid"].clone(), key["crypto_period_index"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(shown(&installation), shown(&other));
}

/// Sends a request with these header fields, and returns the answer, which may have no text in its body.
fn send(service: &Service, line: &str, fields: &[&str], body: &str) -> String {
    let host = service.url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}");
    std::io::Write::write_all(
        &mut stream,
        format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes(),
    )
    .unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut answer).unwrap();
    String::from_utf8_lossy(&answer).to_lowercase()
}

#[test]
fn a_header_of_the_operators_own_takes_the_token_and_pages_may_send_it() {
    let installation = Installation::new();
    let policy = b"can_play = true\nlicense_duration = \"10m\"\nallow_clearkey = true\n";
    fs::write(installation.data.path().join("policies/eme.toml"), policy).unwrap();
    installation.succeed(&["content", "add", CONTENT, "--policy", "eme"]);
    installation.import(CONTENT, "SD", KID, KEY);
    installation.configure(
        "[token]\nheader = \"X-Reelkey-Token\"\n[cors]\nallowed_origins = [\"https://tv.example\"]\n",
    );
    let service = installation.serve();
    let token = installation.mint(&["--content", CONTENT]);
    let origin = "Origin: https://tv.example";
    let wanted = [
        origin,
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type,x-reelkey-token",
    ];
    let preflight = send(&service, "OPTIONS /v1/clearkey", &wanted, "");
    assert!(
        preflight
            .contains("access-control-allow-headers: authorization,content-type,x-reelkey-token"),
        "{preflight}"
    );
    assert!(preflight.contains("access-control-allow-credentials: true"), "{preflight}");
    let body = r#"{"kids":["TZeTCj17UACAAFx72h8KEQ"],"type":"temporary"}"#;
    let with = format!("X-Reelkey-Token: {token}");
    let answer = send(&service, "POST /v1/clearkey", &[origin, &with], body);
    assert!(
        answer.starts_with("http/1.1 200") && answer.contains(r#"{"keys":[{"kty":"oct""#),
        "{answer}"
    );
    assert!(answer.contains("access-control-allow-origin: https://tv.example"), "{answer}");
    // The query is not allowed here, and a refusal can be read by the page too.
    let query = format!("POST /v1/clearkey?token={token}");
    let refused = send(&service, &query, &[origin], body);
    assert!(refused.starts_with("http/1.1 403") && refused.contains("token-missing"), "{refused}");
    assert!(refused.contains("access-control-allow-origin: https://tv.example"), "{refused}");
    let twice = format!("Authorization: Bearer {token}");
    let refused = send(&service, "POST /v1/clearkey", &[origin, &with, &twice], body);
    assert!(refused.starts_with("http/1.1 400"), "{refused}");
    let module = send(&service, "GET /reelkey.js", &[origin], "");
    assert!(
        module.contains("content-type: text/javascript") && module.contains("export class client"),
        "{module}"
    );
    assert!(module.contains("access-control-allow-origin: https://tv.example"), "{module}");
}
