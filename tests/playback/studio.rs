//! A packager and the service that gives it keys: how it proves who it is, what it is run with, and whether what it made is
//! the clear clip again once it is decrypted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::film::samples;
use crate::installation::{Installation, Service, tool};
use crate::tasks::frames;

/// The secret of the packager `encoder`.
pub(crate) const SECRET: &str = "a-secret-of-the-encoder";

/// Its AES key and initialization vector: the public test credential of Shaka Packager's documentation.
pub(crate) const AES: [&str; 2] = [
    "1ae8ccd0e7985cc0b6203a55855a1034afc252980e970ca90e5202689f947ab9",
    "d58ce954203b7c9a9a9d467f59839249",
];

/// A service with the packager `encoder`, which signs with AES and may do anything with movies/*, and `encoder-rsa`.
pub(crate) struct Studio {
    pub(crate) installation: Installation,
    pub(crate) service: Service,
}

/// A key in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) kid: String,
    pub(crate) key: String,
}

impl Studio {
    pub(crate) fn new() -> Self {
        let installation = Installation::new();
        let rsa = installation.data.path().join("encoder-rsa.der");
        let pkcs8 = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/rsa-2048.pkcs8.der");
        let public = rsa.with_extension("pem");
        // Shaka Packager 3.8.0 takes PKCS#1 in DER and nothing else.
        for (words, to) in [("-traditional -outform DER", &rsa), ("-pubout", &public)] {
            let mut openssl = Command::new("openssl");
            openssl.args(["rsa", "-inform", "DER", "-in", pkcs8]).args(words.split(' '));
            succeed(openssl.arg("-out").arg(to));
        }
        let aes = private(&installation, "encoder.aes", &AES.join(":"));
        let secret = private(&installation, "encoder.secret", SECRET);
        let add = |name: &str, more: &[&str]| {
            let words = ["packager", "add", name, "--content", "movies/*", "--policy", "default"];
            installation.succeed(&[&words, more].concat());
        };
        let files = [&secret, &aes].map(|path| path.to_str().unwrap());
        let proofs = ["--secret-file", files[0], "--widevine-signing-key-file", files[1]];
        add("encoder", &[&["--allow", "issue,read"], &proofs[..]].concat());
        add("encoder-rsa", &["--widevine-signing-key-file", public.to_str().unwrap()]);
        // For players of HLS that send no header.
        installation.configure("[token]\nquery = true\n");
        let service = installation.serve();
        Self { installation, service }
    }

    /// Where a packager asks; with the secret of `encoder`, if the URL is to carry it.
    pub(crate) fn url(&self, path: &str, secret: Option<&str>) -> String {
        let host = self.service.url.strip_prefix("http://").unwrap();
        let user = secret.map(|secret| format!("encoder:{secret}@")).unwrap_or_default();
        format!("http://{user}{host}/v1/keys/{path}")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.installation.data.path()
    }

    /// Runs Shaka Packager, which has to succeed.
    pub(crate) fn package(&self, words: &[&str]) {
        let output = self.packager(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    pub(crate) fn packager(&self, words: &[&str]) -> Output {
        let mut packager = Command::new(tool("bin/packager"));
        packager.current_dir(self.folder()).arg("--quiet").args(words).output().unwrap()
    }

    /// The newest active key of a track; "" for the one of all tracks.
    pub(crate) fn key(&self, content: &str, track: &str) -> Pair {
        let keys = self.keys(content);
        let of_track = |line: &&Value| line["track_type"].as_str().unwrap_or_default() == track;
        let key = keys.iter().find(of_track).expect("the track has a key");
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        Pair { kid: text("kid"), key: text("key") }
    }

    /// All active keys of a content that the store has.
    pub(crate) fn keys(&self, content: &str) -> Vec<Value> {
        let to = self.folder().join("exported");
        let words = ["key", "export", content, "--yes", "--overwrite", "--to"];
        self.installation.succeed(&[&words[..], &[to.to_str().unwrap()]].concat());
        let text = fs::read_to_string(to).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Decrypts a film with `reelkey decrypt`, and compares it with the clear one.
    #[track_caller]
    pub(crate) fn decrypts(&self, film: &str, pairs: &[Pair], original: &Path) {
        let lines: String =
            pairs.iter().map(|Pair { kid, key }| format!("{kid}:{key}\n")).collect();
        let pairs = format!("@{}", private(&self.installation, "pairs", &lines).display());
        let output = self.folder().join(film).with_extension("clear.mp4");
        let encrypted = self.folder().join(film);
        let files = [&encrypted, &output].map(|path| path.to_str().unwrap());
        self.installation.succeed(&["decrypt", "--overwrite", "--key", &pairs, files[0], files[1]]);
        let clear = samples(&fs::read(original).unwrap());
        assert_ne!(samples(&fs::read(&encrypted).unwrap()), clear, "{film} was not encrypted");
        assert_eq!(samples(&fs::read(&output).unwrap()), clear, "{film}");
        is_clear(&output, original, &[]);
    }

    /// Lets ffmpeg decrypt a film with one key, and compares it with the clear one.
    #[track_caller]
    pub(crate) fn ffmpeg_decrypts(&self, film: &str, pair: &Pair, original: &Path) {
        is_clear(&self.folder().join(film), original, &["-decryption_key", &pair.key]);
    }
}

/// Compares each decoded frame with those of the clear film. The options are those of ffmpeg for its input.
#[track_caller]
pub(crate) fn is_clear(film: &Path, original: &Path, options: &[&str]) {
    let expected = frames(original, "0:0", &[]);
    assert!(expected.len() >= 75);
    assert!(frames(film, "0:0", options) == expected, "{} is not clear", film.display());
}

pub(crate) fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// A file that nobody else reads.
pub(crate) fn private(installation: &Installation, name: &str, text: &str) -> PathBuf {
    let path = installation.write(name, text.as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}
