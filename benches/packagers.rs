//! What packagers wait for, as ratios to what HTTP and JSON cost alone, measured in the same run.
//!
//! `cargo bench --bench packagers` prints: how many requests a second a service of axum and serde answers that does nothing
//! (the floor); the same for keys that exist, for keys of crypto periods, and for titles whose keys are made and on disk
//! before the answer; and how much longer Shaka Packager takes if it asks for keys that change with time than with keys on its
//! command line. `tests/tools/install` has Shaka Packager; without it that part is left out.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may fail where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "a bench tells time")]

mod asking;
mod replay;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use base64ct::{Base64, Encoding};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::asking::ask;
use crate::replay::replay;

/// How long each part is measured, in each round.
const PART: Duration = Duration::from_secs(3);
/// How many connections ask at once. A commit of the store is shared by the requests that wait for it.
const CONNECTIONS: usize = 32;
/// How many requests there are of a kind.
const TITLES: usize = 100_000;
const ROUNDS: usize = 3;
const SECRET: &str = "a-secret-of-the-encoder";

/// What the floor reads and writes: as many bytes, in as many members, as a request for keys and its answer.
#[derive(Deserialize)]
struct Floor {
    request: String,
}

#[derive(Serialize)]
struct FloorAnswer {
    response: String,
}

async fn floor_post(Json(body): Json<Floor>) -> Json<FloorAnswer> {
    Json(FloorAnswer { response: body.request.repeat(6) })
}

/// Serves the floor, in threads of this process, for as long as it runs.
fn floor() -> String {
    let (sender, address) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap().to_string()).unwrap();
            let router = Router::new().route("/v1/keys/widevine", post(floor_post));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    server.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
    });
    address.recv().unwrap()
}

/// A service with the packager `encoder`.
struct Service {
    // Its folder, which goes with it.
    _data: TempDir,
    child: Child,
    address: String,
}

impl Service {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let run = |words: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_reelkey"));
            let output = command.args(words).arg("--data").arg(data.path()).output().unwrap();
            assert!(output.status.success(), "{words:?}: {output:?}");
        };
        run(&["init"]);
        let secret = data.path().join("encoder.secret");
        fs::write(&secret, SECRET).unwrap();
        let secret = secret.to_str().unwrap();
        let words = ["packager", "add", "encoder", "--content", "*", "--policy", "default"];
        run(&[&words[..], &["--secret-file", secret]].concat());
        let mut child = Command::new(env!("CARGO_BIN_EXE_reelkey"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--log", "warn", "--data"])
            .arg(data.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Self { _data: data, child, address }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A request for keys, with the password in its head.
fn request(content: &str, tracks: &[&str], more: &Value) -> String {
    let tracks: Vec<_> = tracks.iter().map(|track| json!({ "type": track })).collect();
    let mut inner = json!({
        "content_id": Base64::encode_string(content.as_bytes()), "policy": "", "tracks": tracks,
        "drm_types": ["WIDEVINE"], "protection_scheme": "CENC",
    });
    inner.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body =
        json!({ "request": Base64::encode_string(inner.to_string().as_bytes()) }).to_string();
    let basic = Base64::encode_string(format!("encoder:{SECRET}").as_bytes());
    format!(
        "POST /v1/keys/widevine HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// How many requests a second are answered. Each is sent once, or again and again.
fn throughput(address: &str, requests: &[String], is_once: bool) -> f64 {
    let (next, begun) = (AtomicUsize::new(0), Instant::now());
    let answered: usize = thread::scope(|scope| {
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    let mut answered = 0;
                    while begun.elapsed() < PART {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        assert!(!is_once || at < requests.len(), "there are too few requests");
                        ask(&mut stream, &requests[at % requests.len()]);
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        connections.into_iter().map(|connection| connection.join().unwrap()).sum()
    });
    f64::from(u32::try_from(answered).unwrap()) / begun.elapsed().as_secs_f64()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() {
    let (floor, service) = (floor(), Service::new());
    let tracks = ["SD", "HD", "UHD1", "UHD2", "AUDIO"];
    let existing: Vec<_> =
        (0..100).map(|at| request(&format!("movies/{at}"), &tracks, &json!({}))).collect();
    let block = json!({
        "first_crypto_period_index": 0, "crypto_period_count": 10, "crypto_period_seconds": 4,
    });
    let periods: Vec<_> =
        (0..100).map(|at| request(&format!("movies/{at}"), &["SD"], &block)).collect();
    let new = |round: usize| -> Vec<_> {
        let one = |at| request(&format!("new/{round}/{at}"), &["SD"], &json!({}));
        (0..TITLES).map(one).collect()
    };
    // Made before anything is measured.
    for requests in [&existing, &periods] {
        let mut stream = TcpStream::connect(&service.address).unwrap();
        for request in requests {
            ask(&mut stream, request);
        }
    }
    let mut ratios: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS {
        let base = throughput(&floor, &existing, false);
        let new = new(round);
        let measured = [
            throughput(&service.address, &existing, false),
            throughput(&service.address, &periods, false),
            throughput(&service.address, &new, true),
        ];
        println!(
            "requests a second: floor {base:.0}; five keys that exist {:.0}; ten crypto periods {:.0}; \
             a new title with a key on disk {:.0}",
            measured[0], measured[1], measured[2]
        );
        for (ratios, measured) in ratios.iter_mut().zip(measured) {
            ratios.push(measured / base);
        }
    }
    let [existing, periods, new] = ratios.map(median);
    println!("of the floor, median of {ROUNDS} rounds:");
    println!("  keys that exist     {existing:.2}   (at least 0.25)");
    println!("  ten crypto periods  {periods:.2}");
    println!("  new keys, on disk   {new:.2}   (at least 0.05)");
    packager_starts(&service);
}

/// The tool that `tests/tools/install` has put there.
fn packager() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/packager");
    path.exists().then_some(path)
}

/// How long Shaka Packager took: until its first segment was there, and in all; in milliseconds.
#[derive(Default)]
struct Took {
    first: Vec<f64>,
    all: Vec<f64>,
}

/// Shaka Packager with keys that change with time: from its command line, from a service that answers at once, and from ours, in
/// turns. What it takes longer with the second is its own work. At its start it asks twelve times, one after the other, however
/// much there is to encrypt, so a film of little data shows the most of it.
fn packager_starts(service: &Service) {
    let Some(packager) = packager() else {
        println!("Shaka Packager: not installed, not measured");
        return;
    };
    println!("Shaka Packager, ten minutes of film, keys that change every 10 s, median of 7:");
    let replayed = replay(&service.address);
    for film in [Film::Clip, Film::Stream] {
        let folder = tempfile::tempdir().unwrap();
        film.make(folder.path());
        starts_with(&packager, folder.path(), [&replayed, &service.address], film);
    }
}

/// Packages one film in turns. The services are the one that answers at once, and ours.
fn starts_with(packager: &Path, folder: &Path, services: [&str; 2], film: Film) {
    let streams = ["video", "audio"].map(|track| {
        format!(
            "in={track}.mp4,stream={track},init_segment=out/{track}-init.mp4,\
             segment_template=out/{track}-$Number$.m4s"
        )
    });
    let run = |words: &[&str], took: &mut Took| {
        fs::remove_dir_all(folder.join("out")).ok();
        fs::create_dir(folder.join("out")).unwrap();
        let mut command = Command::new(packager);
        command.current_dir(folder).args(["--quiet", "--clear_lead", "0"]).args(&streams);
        command.args(["--segment_duration", "2", "--crypto_period_duration", "10"]).args(words);
        let begun = Instant::now();
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        while !folder.join("out/video-1.m4s").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{words:?}: there is no segment");
            thread::sleep(Duration::from_micros(500));
        }
        took.first.push(begun.elapsed().as_secs_f64() * 1e3);
        assert!(child.wait().unwrap().success(), "{words:?}");
        took.all.push(begun.elapsed().as_secs_f64() * 1e3);
    };
    let content: String = "live/news".bytes().map(|byte| format!("{byte:02x}")).collect();
    let key = "label=:key_id=00112233445566778899aabbccddeeff:key=00112233445566778899aabbccddeeff";
    let urls =
        services.map(|address| format!("http://encoder:{SECRET}@{address}/v1/keys/widevine"));
    let asks =
        |url| ["--enable_widevine_encryption", "--key_server_url", url, "--content_id", &content];
    let mut took: [Took; 3] = Default::default();
    // The first answers are kept.
    run(&asks(&urls[0]), &mut Took::default());
    for _ in 0..7 {
        run(&["--enable_raw_key_encryption", "--keys", key], &mut took[0]);
        run(&asks(&urls[0]), &mut took[1]);
        run(&asks(&urls[1]), &mut took[2]);
    }
    let [raw, at_once, ours] = took.map(|Took { first, all }| (median(first), median(all)));
    println!("  {}", film.name());
    for (name, (first, all)) in [
        ("keys on its command line", raw),
        ("a service that answers at once", at_once),
        ("this service", ours),
    ] {
        println!("    {name:<31} {all:.0} ms, its first segment after {first:.0} ms");
    }
    println!(
        "    this service: {:.2} times the command line (at most 1.10), {:.2} times the one that answers at once",
        ours.1 / raw.1,
        ours.1 / at_once.1
    );
}

/// Ten minutes of film.
#[derive(Clone, Copy)]
enum Film {
    /// The clear clip, again and again: 150 kbit/s.
    Clip,
    /// A stream as it is sent to a television.
    Stream,
}

impl Film {
    const fn name(self) -> &'static str {
        match self {
            Self::Clip => "a small clip, again and again, 150 kbit/s",
            Self::Stream => "a picture of 720 lines, 3 Mbit/s",
        }
    }

    /// Makes `video.mp4` and `audio.mp4`.
    fn make(self, folder: &Path) {
        let clip = |track: &str| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            root.join(format!("src/cli/demo/clip/clear/{track}.mp4"))
        };
        repeat(&clip("audio"), 199, &folder.join("audio.mp4"));
        match self {
            Self::Clip => repeat(&clip("video"), 199, &folder.join("video.mp4")),
            Self::Stream => {
                let part = folder.join("part.mp4");
                let picture = "testsrc2=s=1280x720:r=25:d=10,noise=alls=40:allf=t";
                let mut ffmpeg = ffmpeg();
                ffmpeg.args(["-f", "lavfi", "-i", picture, "-c:v", "libx264", "-preset"]);
                ffmpeg.args(["ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-b:v", "3M"]);
                ffmpeg.args(["-maxrate", "3M", "-bufsize", "3M"]).arg(&part);
                done(ffmpeg);
                repeat(&part, 59, &folder.join("video.mp4"));
            }
        }
    }
}

fn ffmpeg() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut ffmpeg = Command::new(root.join("target/tools/bin/ffmpeg"));
    ffmpeg.args(["-v", "error"]);
    ffmpeg
}

fn done(mut command: Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// The film and so many repetitions of it.
fn repeat(film: &Path, times: usize, output: &Path) {
    let mut ffmpeg = ffmpeg();
    ffmpeg.args(["-stream_loop", &times.to_string(), "-i"]).arg(film).args(["-c", "copy"]);
    ffmpeg.arg(output);
    done(ffmpeg);
}
