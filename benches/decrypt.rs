//! How fast `reelkey decrypt` is, as ratios to `cp` and to copying memory, within one run.
//!
//! `cargo bench --bench decrypt` packages eight seconds of 1080p pictures with Shaka Packager (`tests/tools/install` puts
//! it there), repeats their fragments to 400 MB in memory-backed storage, and prints the median of paired runs on one
//! core.
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

use reelkey_client::cenc::{Init, Keys};
use reelkey_client::key::ContentKey;

const KID: &str = "5ee1ce7a0d3b4c5d8e6f708192a3b4c5";
const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const FILE_BYTES: usize = 400_000_000;
const RUNS: usize = 9;

fn tool(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin").join(name);
    assert!(path.exists(), "{} is missing; run tests/tools/install", path.display());
    Command::new(path)
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// A packaged film: what comes before its fragments, and them.
fn package(folder: &Path, scheme: &str) -> (Vec<u8>, Vec<u8>) {
    let (clear, packaged) = (folder.join("clear.mp4"), folder.join("packaged.mp4"));
    let pictures = "testsrc2=s=1920x1080:r=25,noise=alls=20:allf=t";
    let mut ffmpeg = tool("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", pictures, "-t", "8", "-g", "50"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "6M", "-maxrate", "6M"]);
    succeed(ffmpeg.args(["-bufsize", "12M"]).arg(&clear));
    let mut packager = tool("packager");
    packager.args(["--quiet", "--enable_raw_key_encryption", "--clear_lead", "0"]);
    packager.args(["--segment_duration", "2", "--fragment_duration", "2"]);
    packager.args(["--protection_scheme", scheme]);
    packager.args(["--keys", &format!("label=:key_id={KID}:key={KEY}")]);
    let (from, to) = (clear.display(), packaged.display());
    succeed(packager.arg(format!("in={from},stream=video,output={to}")));
    let film = fs::read(packaged).unwrap();
    let (mut head, mut at) = (Vec::new(), 0);
    while &film[at + 4..at + 8] != b"moof" {
        let size = u32::from_be_bytes(film[at..at + 4].try_into().unwrap());
        let end = at + usize::try_from(size).unwrap();
        // An index would be of another file.
        if &film[at + 4..at + 8] != b"sidx" {
            head.extend_from_slice(&film[at..end]);
        }
        at = end;
    }
    (head, film[at..].to_vec())
}

fn time(command: &[&str], output: &Path) -> Duration {
    fs::remove_file(output).ok();
    let begun = Instant::now();
    let mut process = Command::new("taskset");
    let status = process.args(["-c", "0"]).args(command).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
    begun.elapsed()
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// The whole process, from a file to a new one, against `cp`.
fn race_cp(input: &Path, output: &Path) -> f64 {
    let (from, to) = (input.to_str().unwrap(), output.to_str().unwrap());
    let pair = format!("{KID}:{KEY}");
    let decrypt = [env!("CARGO_BIN_EXE_reelkey"), "decrypt", "--key", &pair, from, to];
    let copy = ["cp", from, to];
    let race = |_| time(&decrypt, output).as_secs_f64() / time(&copy, output).as_secs_f64();
    median((0..RUNS).map(race).collect())
}

/// One fragment after the other, in place and in cache, against copying it.
fn race_memcpy(head: &[u8], fragments: &[u8]) -> f64 {
    let keys: Keys =
        [(KID.parse().unwrap(), ContentKey::parse_hex(KEY).unwrap())].into_iter().collect();
    let plan = Init::parse(head).unwrap().plan(fragments).unwrap();
    let (mut media, mut copy) = (fragments.to_vec(), fragments.to_vec());
    let race = |_| {
        let begun = Instant::now();
        plan.decrypt(&keys, &mut media).unwrap();
        let decrypted = begun.elapsed();
        let begun = Instant::now();
        copy.copy_from_slice(&media);
        decrypted.as_secs_f64() / begun.elapsed().as_secs_f64()
    };
    median((0..101).map(race).collect())
}

fn main() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    for scheme in ["cenc", "cbcs"] {
        let (head, fragments) = package(folder.path(), scheme);
        println!("{scheme}: in place {:.2} times memcpy", race_memcpy(&head, &fragments));
        let (input, output): (PathBuf, _) =
            (folder.path().join("input.mp4"), folder.path().join("output.mp4"));
        let mut file = File::create(&input).unwrap();
        file.write_all(&head).unwrap();
        for _ in 0..FILE_BYTES.div_ceil(fragments.len()) {
            file.write_all(&fragments).unwrap();
        }
        println!("{scheme}: file to file {:.2} times cp", race_cp(&input, &output));
    }
}
