//! How fast decryption is, as ratios within one run: in memory against `memcpy` and `openssl speed`, from file to file
//! against `cp`, `dd`, ffmpeg and Shaka Packager.
//!
//! `cargo bench --bench decrypt` packages eight seconds of 1080p pictures and a minute of sound with Shaka Packager
//! (`tests/tools/install` puts it there), repeats their fragments to 400 MB and 60 MB in memory-backed storage, and
//! prints the median of paired runs on one core.
#![expect(clippy::print_stdout, reason = "a bench says what it measured")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench may fail where it cannot go on"
)]
#![expect(clippy::disallowed_methods, reason = "a bench tells time")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reelkey_client::cenc::boxes::Boxes;
use reelkey_client::cenc::{Init, Keys};
use reelkey_client::key::ContentKey;

const KID: &str = "5ee1ce7a0d3b4c5d8e6f708192a3b4c5";
const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
/// Of tracks of video and of audio.
const FILE_BYTES: [usize; 2] = [400_000_000, 60_000_000];
/// Pairs of runs, and those of our own where one takes a twentieth of a second.
const RUNS: usize = 9;
const SHORT_RUNS: usize = 45;

fn tool(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin").join(name);
    assert!(path.exists(), "{} is missing; run tests/tools/install", path.display());
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(path);
    command
}

fn keys() -> Keys {
    [(KID.parse().unwrap(), ContentKey::parse_hex(KEY).unwrap())].into_iter().collect()
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A packaged track: what comes before its fragments, and them.
fn package(folder: &Path, scheme: &str, stream: &str) -> (Vec<u8>, Vec<u8>) {
    let (clear, packaged) = (folder.join("clear.mp4"), folder.join("packaged.mp4"));
    let mut ffmpeg = tool("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i"]);
    match stream {
        "video" => {
            ffmpeg.args(["testsrc2=s=1920x1080:r=25,noise=alls=20:allf=t", "-t", "8", "-g", "50"]);
            ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M"]);
            ffmpeg.args(["-maxrate", "6M", "-bufsize", "12M"]);
        }
        _ => {
            ffmpeg.args(["anoisesrc=r=48000:a=0.3", "-t", "60", "-c:a", "aac", "-b:a", "130k"]);
        }
    }
    succeed(ffmpeg.arg(&clear));
    let mut packager = tool("packager");
    packager.args(["--quiet", "--enable_raw_key_encryption", "--clear_lead", "0"]);
    packager.args(["--segment_duration", "2", "--fragment_duration", "2"]);
    packager.args(["--protection_scheme", scheme]);
    packager.args(["--keys", &format!("label=:key_id={KID}:key={KEY}")]);
    let (from, to) = (clear.display(), packaged.display());
    succeed(packager.arg(format!("in={from},stream={stream},output={to}")));
    let film = fs::read(packaged).unwrap();
    let (mut head, mut fragments) = (Vec::new(), 0);
    for this in Boxes::of(&film).map(Result::unwrap) {
        match &this.kind.0 {
            b"moof" => {
                fragments = this.at;
                break;
            }
            // An index would be of another file.
            b"sidx" => {}
            _ => head.extend_from_slice(&film[this.at..this.end()]),
        }
    }
    (head, film[fragments..].to_vec())
}

/// Writes a file of the same fragments repeated, of at least `bytes` bytes.
fn repeat(path: &Path, head: &[u8], fragments: &[u8], bytes: usize) {
    let mut file = File::create(path).unwrap();
    file.write_all(head).unwrap();
    for _ in 0..bytes.div_ceil(fragments.len()) {
        file.write_all(fragments).unwrap();
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn time(command: &mut Command) -> f64 {
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
    begun.elapsed().as_secs_f64()
}

/// Commands that make `output` of `input`.
struct Race {
    input: PathBuf,
    output: PathBuf,
}

impl Race {
    fn on_one_core(&self, command: &[&str]) -> Command {
        let mut process = Command::new("taskset");
        process.args(["-c", "0"]).args(command).args([&self.input, &self.output]);
        process
    }

    fn reelkey(&self) -> Command {
        let pair = format!("{KID}:{KEY}");
        self.on_one_core(&[env!("CARGO_BIN_EXE_reelkey"), "decrypt", "--key", &pair])
    }

    /// Onto the copy that `cp` has just made.
    fn reelkey_in_place(&self) -> Command {
        let pair = format!("{KID}:{KEY}");
        let mut process = Command::new("taskset");
        process.args(["-c", "0", env!("CARGO_BIN_EXE_reelkey"), "decrypt", "--key", &pair]);
        process.arg("--in-place").arg(&self.output);
        process
    }

    /// Reads and writes every byte, in pieces of the size that decryption reads, and does nothing else.
    fn dd(&self, from: &Path) -> Command {
        let mut process = Command::new("taskset");
        process.args(["-c", "0", "dd", "bs=256K", "conv=notrunc"]);
        process.arg(format!("if={}", from.display())).arg(format!("of={}", self.output.display()));
        process
    }

    fn ffmpeg(&self) -> Command {
        let mut ffmpeg = tool("ffmpeg");
        ffmpeg.args(["-v", "error", "-decryption_keys", &format!("{KID}={KEY}"), "-i"]);
        ffmpeg.arg(&self.input);
        ffmpeg.args(["-c", "copy", "-f", "mp4"]).arg(&self.output);
        ffmpeg
    }

    fn packager(&self, stream: &str) -> Command {
        let mut packager = tool("packager");
        packager.args(["--quiet", "--enable_raw_key_decryption"]);
        packager.args(["--keys", &format!("label=:key_id={KID}:key={KEY}")]);
        let (from, to) = (self.input.display(), self.output.display());
        packager.arg(format!("in={from},stream={stream},output={to}"));
        packager
    }

    /// The median over `runs` pairs of a command's time divided by that of `cp`. Each writes a new file.
    fn times_cp(&self, runs: usize, command: impl Fn() -> Command) -> f64 {
        let pair = |_| {
            fs::remove_file(&self.output).ok();
            let ours = time(&mut command());
            fs::remove_file(&self.output).ok();
            ours / time(&mut self.on_one_core(&["cp"]))
        };
        median((0..runs).map(pair).collect())
    }

    /// The same, of commands that work on the file that `cp` has just made.
    fn in_place_times_cp(&self, runs: usize, command: impl Fn() -> Command) -> f64 {
        let pair = |_| {
            fs::remove_file(&self.output).ok();
            let copy = time(&mut self.on_one_core(&["cp"]));
            time(&mut command()) / copy
        };
        median((0..runs).map(pair).collect())
    }
}

fn in_a_box(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = u32::try_from(8 + body.len()).unwrap();
    [&size.to_be_bytes(), kind.as_slice(), &body].concat()
}

/// A fragment of eight samples of 16 KiB, protected from their first byte to the last: all of it stays in the cache.
fn fragment_in_cache(scheme: &str) -> Vec<u8> {
    const COUNT: u32 = 8;
    const SIZE: u32 = 16 * 1024;
    let be = u32::to_be_bytes;
    let iv: &[u8] = if scheme == "cenc" { b"initvect" } else { b"" };
    let layout = [iv, &[0, 1, 0, 0], &be(SIZE)].concat();
    let layouts = layout.repeat(usize::try_from(COUNT).unwrap());
    let moof = |offset: u32| {
        let tfhd = in_a_box(b"tfhd", &[&be(0x2_0010), &be(1), &be(SIZE)]);
        let trun = in_a_box(b"trun", &[&be(1), &be(COUNT), &be(offset)]);
        let senc = in_a_box(b"senc", &[&be(2), &be(COUNT), &layouts]);
        in_a_box(b"moof", &[&in_a_box(b"traf", &[&tfhd, &trun, &senc])])
    };
    let media = vec![0; usize::try_from(COUNT * SIZE).unwrap()];
    let offset = u32::try_from(moof(0).len() + 8).unwrap();
    [moof(offset), in_a_box(b"mdat", &[&media])].concat()
}

/// Bytes of media a second, in place, and those that `memcpy` does at the same time.
fn rates_in_cache(head: &[u8], scheme: &str) -> [f64; 2] {
    const ROUNDS: u32 = 200;
    let (keys, mut media) = (keys(), fragment_in_cache(scheme));
    let plan = Init::parse(head).unwrap().plan(&media).unwrap();
    let mut copy = media.clone();
    let rate = |spent: Duration| f64::from(ROUNDS) * 131_072.0 / spent.as_secs_f64();
    let mut race = || {
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            plan.decrypt(&keys, &mut media).unwrap();
        }
        let decrypted = begun.elapsed();
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            copy.copy_from_slice(std::hint::black_box(&media));
            std::hint::black_box(&mut copy);
        }
        [rate(decrypted), rate(begun.elapsed())]
    };
    let rounds: Vec<_> = (0..51).map(|_| race()).collect();
    [0, 1].map(|which| median(rounds.iter().map(|rates| rates[which]).collect()))
}

/// What `openssl speed` says of AES-128-CTR and 16 KiB, in bytes a second.
fn openssl() -> Option<f64> {
    let mut openssl = Command::new("taskset");
    openssl.args(["-c", "0", "openssl", "speed", "-seconds", "1", "-bytes", "16384"]);
    let output = openssl.args(["-evp", "aes-128-ctr"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let thousands = text.lines().last()?.split_whitespace().last()?.strip_suffix('k')?;
    Some(thousands.parse::<f64>().ok()? * 1000.0)
}

fn main() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let race =
        Race { input: folder.path().join("input.mp4"), output: folder.path().join("output.mp4") };
    for scheme in ["cenc", "cbcs"] {
        for (stream, bytes) in ["video", "audio"].into_iter().zip(FILE_BYTES) {
            let (head, fragments) = package(folder.path(), scheme, stream);
            if stream == "video" {
                let [ours, memcpy] = rates_in_cache(&head, scheme);
                println!("{scheme} in cache: {:.2} of memcpy's rate", ours / memcpy);
                if let Some(openssl) = openssl() {
                    println!("{scheme} in cache: {:.2} times openssl's AES-CTR", ours / openssl);
                }
            }
            repeat(&race.input, &head, &fragments, bytes);
            let say = |tool: &str, ratio: f64| {
                println!("{scheme} {stream}, {} MB: {tool} {ratio:.2} times cp", bytes / 1_000_000);
            };
            let runs = if stream == "audio" { SHORT_RUNS } else { RUNS };
            say("file to file", race.times_cp(runs, || race.reelkey()));
            say("dd, file to file", race.times_cp(runs, || race.dd(&race.input)));
            say("in place", race.in_place_times_cp(runs, || race.reelkey_in_place()));
            say("dd, in place", race.in_place_times_cp(runs, || race.dd(&race.output)));
            say("Shaka Packager", race.times_cp(RUNS, || race.packager(stream)));
            say("ffmpeg", race.times_cp(RUNS, || race.ffmpeg()));
        }
    }
}
