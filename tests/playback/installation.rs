//! A data folder, the commands that are run on it, and the service that runs in it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use rustix::process::umask;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const REELKEY: &str = env!("CARGO_BIN_EXE_reelkey");

/// A tool that `tests/tools/install` has put there.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools").join(name);
    assert!(path.exists(), "{} is missing; run tests/tools/install", path.display());
    path
}

/// A port that is free now. Whoever takes it may be too late, so it is for what cannot choose a port itself.
pub(crate) fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

pub(crate) struct Installation {
    pub(crate) data: TempDir,
}

/// How much of something is tried: a sample in every run, all of it where `REELKEY_THOROUGH` is set, as
/// `tests/thorough` does.
pub(crate) fn thoroughly<T>(sample: T, all: T) -> T {
    if std::env::var_os("REELKEY_THOROUGH").is_some() { all } else { sample }
}

/// Numbers rounds, as many as [`thoroughly`] says. Where `REELKEY_THOROUGH` is a number of seconds, no round begins after
/// them: a slow machine tries less, and is not red.
pub(crate) fn rounds(sample: usize, all: usize) -> impl Iterator<Item = usize> {
    let seconds = std::env::var_os("REELKEY_THOROUGH").and_then(|text| text.to_str()?.parse().ok());
    let limit = Duration::from_secs(seconds.unwrap_or(u64::MAX));
    #[expect(clippy::disallowed_methods, reason = "how much is tried is a matter of time")]
    let begun = Instant::now();
    (0..thoroughly(sample, all)).take_while(move |round| {
        let goes_on = *round < sample || begun.elapsed() < limit;
        if !goes_on {
            println!("{round} rounds of {all} in {} s", begun.elapsed().as_secs());
        }
        goes_on
    })
}

/// A new folder. What a test writes into it has the modes that the service asks for, whatever umask the tests run under.
fn folder() -> TempDir {
    umask(Mode::WGRP | Mode::WOTH);
    tempfile::tempdir().unwrap()
}

impl Installation {
    /// A folder that `reelkey init` has made, with a development issuer for `movies/*`.
    pub(crate) fn new() -> Self {
        let new = Self { data: folder() };
        new.succeed(&["init"]);
        new.succeed(&["issuer", "add", "https://auth.example", "--dev", "--content", "movies/*"]);
        new
    }

    /// A copy of a data folder.
    pub(crate) fn copy_of(base: &Path) -> Self {
        let copy = Self { data: folder() };
        let from = format!("{}/.", base.display());
        let done = Command::new("cp").args(["-a", &from]).arg(copy.data.path()).status().unwrap();
        assert!(done.success());
        copy
    }

    /// A folder that a version with stores of format 1 made: `init`, an issuer with `--dev`, two contents, five keys of
    /// movies/bunny one of which is retired, `kek rotate` and `signer rotate`.
    pub(crate) fn of_format_1() -> Self {
        let old = Self { data: folder() };
        let archive = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/playback/format-1.tar.gz");
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--gzip", "--no-same-owner", "--strip-components=1", "--file"]);
        let done = tar.arg(archive).arg("--directory").arg(old.data.path()).status().unwrap();
        assert!(done.success());
        old
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(REELKEY);
        command.args(words).arg("--data").arg(self.data.path()).env_clear();
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a command that has to succeed, and answers its JSON.
    pub(crate) fn succeed(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--json"]].concat());
        assert!(output.status.success(), "{words:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs a command that has to fail, and answers what it says.
    pub(crate) fn fail(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Imports a key the way people should.
    pub(crate) fn import(&self, content: &str, track: &str, kid: &str, key: &str) {
        let file = self.write("one.key", key.as_bytes());
        let key = format!("@{}", file.display());
        self.succeed(&["key", "import", content, "--track", track, "--kid", kid, "--key", &key]);
        fs::remove_file(file).unwrap();
    }

    /// Gives the service a certificate of its own, or another one, and answers where it is.
    pub(crate) fn identify(&self) -> PathBuf {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let identity = rcgen::generate_simple_self_signed(names).unwrap();
        let folder = self.data.path().join("keys/tls");
        fs::create_dir_all(&folder).unwrap();
        let key = folder.join("privkey.pem");
        fs::write(&key, identity.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        let certificate = folder.join("fullchain.pem");
        fs::write(&certificate, identity.cert.pem()).unwrap();
        self.configure(
            "[tls]\ncertificate = \"keys/tls/fullchain.pem\"\nkey = \"keys/tls/privkey.pem\"\n",
        );
        certificate
    }

    /// Adds tables to the configuration, once.
    pub(crate) fn configure(&self, tables: &str) {
        let path = self.data.path().join("reelkey.toml");
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains(tables) {
            fs::write(path, format!("{text}\n{tables}")).unwrap();
        }
    }

    pub(crate) fn mint(&self, more: &[&str]) -> String {
        let words = [&["token", "mint", "--sub", "alice"], more].concat();
        self.succeed(&words)["token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.data.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn serve(&self) -> Service {
        self.serve_with(&[])
    }

    /// Serves with additional variables in its environment.
    pub(crate) fn serve_with(&self, variables: &[(&str, &OsStr)]) -> Service {
        self.start("127.0.0.1:0", variables)
    }

    pub(crate) fn serve_on(&self, listen: &str) -> Service {
        self.start(listen, &[])
    }

    /// Serves with so few descriptors, and no more to be had.
    pub(crate) fn serve_under(&self, descriptors: u64) -> Service {
        let limit = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &limit, REELKEY]).env_clear();
        self.start_by(command, "127.0.0.1:0", "info")
    }

    /// What the service has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.data.path().join("service.log")).unwrap()
    }

    fn start(&self, listen: &str, variables: &[(&str, &OsStr)]) -> Service {
        let mut command = Command::new(REELKEY);
        command.env_clear().envs(variables.iter().copied());
        // Everything, the engine of the store included.
        self.start_by(command, listen, "trace,reelkey=trace")
    }

    /// Serves with its log there.
    pub(crate) fn serve_logging_to(&self, log: impl Into<Stdio>, words: &[&str]) -> Service {
        let mut command = Command::new(REELKEY);
        command.env_clear().args(["serve", "--listen", "127.0.0.1:0"]).args(words).stderr(log);
        self.start_as(command)
    }

    /// Starts the service by a command that takes its words.
    pub(crate) fn start_by(&self, mut command: Command, listen: &str, log: &str) -> Service {
        command.args(["serve", "--listen", listen, "--log", log]);
        command.stderr(fs::File::create(self.data.path().join("service.log")).unwrap());
        self.start_as(command)
    }

    /// Starts the service as this command says, and waits until it is ready.
    pub(crate) fn start_as(&self, mut command: Command) -> Service {
        command.arg("--json").arg("--data").arg(self.data.path()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the service said that it is ready");
        let [metrics_url, keys_url] =
            ["metrics_url", "keys_url"].map(|url| ready[url].as_str().map(ToOwned::to_owned));
        Service { child, url: ready["url"].as_str().unwrap().to_owned(), metrics_url, keys_url }
    }
}

/// A running service, killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
    /// Where it tells what it counts, if it does.
    pub(crate) metrics_url: Option<String>,
    /// Where it answers packagers, if not where players are.
    pub(crate) keys_url: Option<String>,
}

impl Service {
    /// One request over a connection of its own, with a bearer token: status and body.
    pub(crate) fn send(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        self.send_as(method, path, Some(token), body)
    }

    /// One request over a connection of its own, with a bearer token or without: status and body.
    pub(crate) fn send_as(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> (u16, String) {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let shown = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{}\
             Content-Length: {}\r\n\r\n{body}",
            shown.unwrap_or_default(),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// A request for a license that was accepted, and of whose body, `abcd`, half has come.
    pub(crate) fn begin(&self, token: &str) -> TcpStream {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut begun = TcpStream::connect(host).unwrap();
        write!(
            begun,
            "POST /v1/license HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 4\r\n\r\nab"
        )
        .unwrap();
        // An answer on another connection shows that this one was accepted too.
        assert_eq!(self.send("GET", "/healthz", "", "").0, 200);
        begun
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A service that somebody else has started.
    pub(crate) fn of(child: Child, url: &str) -> Self {
        Self { child, url: url.to_owned(), metrics_url: None, keys_url: None }
    }

    /// Its standard input, where it has one.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Ends the service as an operator does.
    pub(crate) fn terminate(self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.ends_well();
    }

    /// Waits until the service, which was told to, has ended.
    pub(crate) fn ends_well(mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "SIGTERM ends the service cleanly: {status}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
