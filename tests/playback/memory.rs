//! What the running service keeps in memory after each way in which it opens a key. Run with the test profile by
//! `tests/run`, and with the release profile, whose compiler copies other things, by `tests/thorough`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::slice;

use base64ct::{Base64UrlUnpadded, Encoding};
use reelkey::authority::vault::open::Vault;
use reelkey::crypto::random;
use reelkey::store::open::{self as stores, StoreUrl};
use reelkey::store::record::key::KeyRecord;
use reelkey::store::record::title;

use crate::film::{CONTENT, obtain, provisioned};
use crate::installation::{Installation, Service};
use crate::leaks::forms;
use crate::origins::{SECRET, add_encoder, get};

const NOT_TRIED: &[u8] = b"NOT TRIED: whether keys stay in the memory of the service. This user may not read the \
    memory of a process that forbids it (prctl(2), PR_SET_DUMPABLE); run the test as root with CAP_SYS_PTRACE.\n";

/// More than every worker thread of the service answers.
const LICENSES: usize = 20;

/// The memory of a running service.
struct Memory {
    pid: u32,
    file: File,
}

impl Memory {
    /// `None`, and a line that says so, where this test may not look.
    fn of(service: &Service) -> Option<Self> {
        let pid = service.pid();
        match File::open(format!("/proc/{pid}/mem")) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                // Past the capture of the test harness, which shows nothing of a test that passes.
                io::stderr().write_all(NOT_TRIED).unwrap();
                None
            }
            file => Some(Self { pid, file: file.unwrap() }),
        }
    }

    /// The ranges that the process may write to.
    fn writable(&self) -> Vec<(u64, u64)> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap();
        let ranges = maps.lines().filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let hex = |text| u64::from_str_radix(text, 16).ok();
            rest.starts_with("rw").then_some((hex(from)?, hex(to)?))
        });
        ranges.collect()
    }

    /// Which of the secrets stand in memory, each with the form and where.
    fn scan(&self, secrets: &[Secret]) -> Vec<String> {
        let needles = Needles::of(secrets);
        let mut found = Vec::new();
        for (from, to) in self.writable() {
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            // The range may be gone by now.
            if self.file.read_exact_at(&mut bytes, from).is_err() {
                continue;
            }
            let here = needles.find(&bytes);
            found.extend(here.map(|(name, at)| format!("{name} at {at} of {} bytes", to - from)));
        }
        found
    }
}

/// Many byte strings that are searched for at once.
struct Needles {
    /// By the first eight bytes: the rest, and what the whole is.
    by_start: HashMap<[u8; 8], Vec<(Vec<u8>, String)>>,
    /// Whether any of them starts with these two bytes.
    starts: Vec<bool>,
}

impl Needles {
    /// The secrets in all of their forms.
    fn of(secrets: &[Secret]) -> Self {
        let mut needles = Self { by_start: HashMap::new(), starts: vec![false; 1 << 16] };
        for secret in secrets {
            for (form, needle) in forms(&secret.bytes) {
                let (start, rest) = needle.split_first_chunk().unwrap();
                needles.starts[two(start)] = true;
                let same = needles.by_start.entry(*start).or_default();
                same.push((rest.to_vec(), format!("{} ({form})", secret.name)));
            }
        }
        needles
    }

    /// What stands in `bytes`, and where.
    fn find<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, usize)> {
        let starting = bytes.windows(8).enumerate().filter(|(_, start)| self.starts[two(start)]);
        starting.flat_map(move |(at, start)| {
            let same = self.by_start.get(start).map(Vec::as_slice).unwrap_or_default();
            let there = same.iter().filter(move |(rest, _)| bytes[at + 8..].starts_with(rest));
            there.map(move |(_, name)| (name.as_str(), at))
        })
    }
}

fn two(start: &[u8]) -> usize {
    usize::from(start[0]) << 8 | usize::from(start[1])
}

/// What must not stand in memory.
#[derive(Clone)]
struct Secret {
    name: String,
    bytes: Vec<u8>,
}

impl Secret {
    fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        Self { name: name.into(), bytes: bytes.to_vec() }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The root key in its file.
fn root_key(installation: &Installation) -> Secret {
    let text = fs::read_to_string(installation.data.path().join("keys/root.key")).unwrap();
    let key = text.trim().rsplit_once("-1-").unwrap().1;
    Secret::new("a root key", &Base64UrlUnpadded::decode_vec(key).unwrap())
}

/// Every content key of the store, read from a copy of it: the service is not asked.
fn content_keys(data: &Path) -> Vec<Secret> {
    let copy = Installation::copy_of(data);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let store = stores::open(&StoreUrl::Sled(copy.data.path().join("store"))).await.unwrap();
        let vault = Vault::open(store, copy.data.path().join("keys/root.key")).await.unwrap();
        let titles = title::titles(&*vault.store()).await.unwrap();
        let keyring = vault.keyring();
        let secret = |record: &KeyRecord| {
            let key = keyring.content_key(record).unwrap();
            Secret::new(format!("content key {}", record.kid), key.expose())
        };
        titles.iter().flat_map(|title| &title.keys).map(|key| secret(key)).collect()
    })
}

/// Imports one key, and many more through a file.
fn import(installation: &Installation) {
    let key = hex(&random::bytes::<16>().unwrap());
    installation.import(CONTENT, "HD", "4d97930a-3d7b-5000-8000-5c7bda1f0a11", &key);
    // The same again is compared with what is there.
    installation.import(CONTENT, "HD", "4d97930a-3d7b-5000-8000-5c7bda1f0a11", &key);
}

fn import_many(installation: &Installation) {
    let line = |_| {
        let [kid, key] = [(); 2].map(|()| hex(&random::bytes::<16>().unwrap()));
        format!(r#"{{"content_id":"movies/many","kid":"{kid}","key":"{key}"}}"#) + "\n"
    };
    let lines: String = (0..20).map(line).collect();
    let file = installation.write("many.jsonl", lines.as_bytes());
    let file = file.to_str().unwrap();
    installation.succeed(&["key", "import", "--from", file, "--policy", "default"]);
    // One by one, because they are there already.
    installation.succeed(&["key", "import", "--from", file, "--policy", "default"]);
}

/// The search finds every form, at both ends too.
fn every_form_is_found() {
    let secret = Secret::new("a secret", &random::bytes::<16>().unwrap());
    let needles = Needles::of(slice::from_ref(&secret));
    for (form, needle) in forms(&secret.bytes) {
        for (before, after) in [(0, 0), (3, 0), (0, 9), (4096, 1)] {
            let planted = [&vec![7; before][..], &needle, &vec![7; after]].concat();
            let found: Vec<_> = needles.find(&planted).collect();
            assert!(found.contains(&(&format!("a secret ({form})"), before)), "{found:?}");
        }
    }
}

fn no_core_is_dumped(service: &Service) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", service.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "no core is dumped: {core}");
}

/// Sends a request and returns the status. The answer may be no text.
fn ask_for(service: &Service, line: &str, token: &str, body: &str) -> u16 {
    let host = service.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap()
}

/// Asks for keys in the clear, as browsers and HLS players do.
fn ask_in_the_clear(service: &Service, token: &str, kid: &str) {
    let bytes: Vec<_> =
        (0..16).map(|at| u8::from_str_radix(&kid[2 * at..2 * at + 2], 16).unwrap()).collect();
    let body = format!(r#"{{"kids":["{}"]}}"#, Base64UrlUnpadded::encode_string(&bytes));
    for _ in 0..LICENSES {
        assert_eq!(ask_for(service, "POST /v1/clearkey", token, &body), 200);
        let path = format!("GET /v1/hls/{CONTENT}/{kid}.key");
        assert_eq!(ask_for(service, &path, token, ""), 200);
    }
}

/// Asks for a new key, keys that there are, and derived ones, in every way in which packagers are answered.
fn ask_as_packager(service: &Service, kid: &str, derived: &RefCell<Vec<Secret>>) {
    for period in 0..LICENSES {
        let ask = |path: String| {
            let (status, body) = get(&service.url, &format!("/v1/keys/{path}")).unwrap();
            assert_eq!(status, 200, "{path}");
            body
        };
        let path = format!("ffmpeg/{CONTENT}/UHD2.key");
        ask(path.clone());
        let key = ask(format!("{path}?crypto_period_seconds={}", 1 + period));
        derived.borrow_mut().push(Secret::new("a derived key", &key));
        ask(path + "info");
        ask(format!("nginx-vod/{CONTENT}/UHD2"));
        ask(format!("cpix/{CONTENT}?tracks=UHD2"));
        ask(format!("skm/{kid}"));
    }
}

#[test]
fn no_key_that_was_opened_is_kept_in_memory() {
    let (installation, film_keys) = provisioned();
    let token = installation.mint(&["--content", CONTENT]);
    let policy = "can_play = true\nlicense_duration = \"10m\"\nallow_clearkey = true\nallow_hls_aes128 = true\n";
    installation.write("policies/clear.toml", policy.as_bytes());
    installation.succeed(&[
        "content",
        "set-policy",
        CONTENT,
        "--policy",
        "default",
        "--policy",
        "clear",
    ]);
    let for_clear = installation.mint(&["--content", CONTENT, "--policy", "clear"]);
    let data = installation.data.path();
    let mut root_keys = vec![root_key(&installation)];
    let service = installation.serve();
    no_core_is_dumped(&service);
    let Some(memory) = Memory::of(&service) else { return };
    // The scan finds what is there: the title's policy is known to the service as long as it runs.
    let there = memory.scan(&[Secret::new("a policy", b"premium-movie")]);
    assert!(there.iter().any(|found| found.starts_with("a policy (raw)")), "{there:?}");
    assert!(memory.scan(&[Secret::new("none", b"us-and-canada-is-not-a-policy")]).is_empty());
    every_form_is_found();

    let run = |words: &[&str]| drop(installation.succeed(words));
    let export = || {
        let file = data.join("exported");
        run(&["key", "export", "--to", file.to_str().unwrap(), "--yes"]);
        fs::remove_file(file).unwrap();
    };
    let kid = film_keys[0].kid.as_str();
    let in_the_clear = || ask_in_the_clear(&service, &for_clear, kid);
    add_encoder(&installation, &[]);
    fs::remove_file(data.join("encoder.secret")).unwrap();
    let derived = RefCell::new(Vec::new());
    let packagers = || ask_as_packager(&service, kid, &derived);
    let license = || (0..LICENSES).for_each(|_| drop(obtain(&service, &token)));
    let steps: [(&str, &dyn Fn()); 14] = [
        ("the start", &|| ()),
        ("licenses", &license),
        ("keys in the clear", &in_the_clear),
        ("import", &|| import(&installation)),
        ("import of many", &|| import_many(&installation)),
        ("generation", &|| run(&["key", "generate", CONTENT, "--track", "UHD1"])),
        ("rotation of content keys", &|| run(&["key", "rotate", CONTENT])),
        ("export", &export),
        ("rotation of the KEK", &|| run(&["kek", "rotate"])),
        ("rewrap", &|| run(&["kek", "rewrap"])),
        ("doctor", &|| run(&["doctor"])),
        ("rotation of the root key", &|| run(&["root", "rotate"])),
        ("packagers", &packagers),
        ("more licenses", &license),
    ];
    for (name, step) in steps {
        step();
        root_keys.push(root_key(&installation));
        let keys = content_keys(data);
        assert!(keys.len() >= 2, "there are keys");
        let secret = Secret::new("the packager's secret", SECRET.as_bytes());
        let derived = derived.borrow().clone();
        let found = memory.scan(&[&keys[..], &root_keys[..], &derived, &[secret]].concat());
        assert!(found.is_empty(), "after {name}: {found:#?}");
    }
    assert_eq!(content_keys(data).len(), 2 + 1 + 20 + 1 + 4 + 1);
    service.terminate();
}
