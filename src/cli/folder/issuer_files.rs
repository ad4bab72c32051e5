//! The files that are kept for issuers: copies of their keys, and the private keys of development issuers.
//!
//! An existing file is never replaced: new keys get a new file, and the configuration names the one that is in force.
//! Earlier versions used four bytes of the hash in a file's name. The configuration names their files. A private key from
//! them belongs to an issuer only if the issuer's keys contain its public key.
//!
//! Deliberately absent: what an issuer may do; see `config.rs`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::authority::vault::secret_file;
use crate::cli::folder::config::Config;
use crate::cli::folder::issuer_entry::{self, IssuerEntry};
use crate::cli::folder::issuer_name::{file_name, readable};
use crate::cli::folder::kept_keys;
use crate::cli::folder::paths::Folder;
use crate::cli::source::{self, is_standard, standard_input};
use crate::cli::terminal::output::Failure;
use crate::crypto::development_key::DevelopmentKey;
use crate::crypto::digest::sha256;
use crate::crypto::issuer_keys::{IssuerKeys, JWKS_BYTES_MAX};

/// Where copies are, from the folder.
const COPIES: &str = "keys/issuers";

/// Far longer than a private key.
const KEY_BYTES_MAX: usize = 4096;

/// The keys of an issuer, read and judged, to be copied into the folder.
pub(crate) struct NewKeys {
    bytes: Zeroizing<Vec<u8>>,
    is_secret: bool,
}

impl NewKeys {
    /// From a JWK Set.
    pub(crate) fn of_jwks(source: &Path) -> Result<Self, Failure> {
        let bytes = read_jwks(source)?;
        let during = |failure: Failure| failure.during(source.display());
        IssuerKeys::parse(&bytes).map_err(|error| during(error.into()))?;
        Ok(Self { bytes: Zeroizing::new(bytes), is_secret: false })
    }

    /// From a file with a secret, mode 0600, or from standard input.
    pub(crate) fn of_secret(source: &Path) -> Result<Self, Failure> {
        let most = issuer_entry::SECRET_FILE_BYTES_MAX;
        let bytes = match is_standard(source) {
            true => secret_file::read_from(standard_input()?, source, most)?,
            false => secret_file::read(source, most)?,
        };
        issuer_entry::shared_secret(bytes.clone(), source)?;
        Ok(Self { bytes, is_secret: true })
    }

    /// The public half of a development issuer's key.
    pub(crate) fn of_development(key: &DevelopmentKey) -> Self {
        let bytes = format!("{}\n", json!({ "keys": [key.public_jwk()] })).into_bytes();
        Self { bytes: Zeroizing::new(bytes), is_secret: false }
    }

    /// Whether it is a secret and no JWK Set.
    pub(crate) fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// Whether these are the keys that the entry has already.
    pub(crate) fn are_those_of(&self, entry: &IssuerEntry, folder: &Folder) -> bool {
        let same_kind = self.is_secret == entry.secret_file.is_some();
        let path = entry.file().and_then(|file| folder.inside(file).ok());
        let old = path.and_then(|path| fs::read(path).ok()).map(Zeroizing::new);
        same_kind && old.is_some_and(|old| *old == *self.bytes)
    }

    /// Writes a file of its own for them, and lets `entry` name it.
    pub(crate) fn copy(
        &self,
        folder: &Folder,
        config: &Config,
        entry: &mut IssuerEntry,
    ) -> Result<(), Failure> {
        let end = if self.is_secret { "secret" } else { "jwks.json" };
        let file = place(folder, config, &entry.iss, end, &self.bytes)?;
        let (jwks, secret) = if self.is_secret { (None, Some(file)) } else { (Some(file), None) };
        (entry.jwks, entry.secret_file) = (jwks, secret);
        (entry.jwks_url, entry.ca, entry.keep_keys_for) = (None, None, None);
        Ok(())
    }
}

/// Copies the certificate authorities for an issuer's address, and returns the copy as the configuration names it. The
/// copy that `old` names is used again if it is the same.
pub(crate) fn copy_ca(
    folder: &Folder,
    config: &Config,
    iss: &str,
    pem: &[u8],
    old: Option<&Path>,
) -> Result<PathBuf, Failure> {
    let path = old.map(|old| folder.inside(old)).transpose()?;
    match (old, path.and_then(|path| fs::read(path).ok())) {
        (Some(old), Some(bytes)) if bytes == pem => Ok(old.to_owned()),
        _ => place(folder, config, iss, "ca.pem", pem),
    }
}

/// Writes a new file for an issuer and returns its name, from the folder.
fn place(
    folder: &Folder,
    config: &Config,
    iss: &str,
    end: &str,
    bytes: &[u8],
) -> Result<PathBuf, Failure> {
    let name = file_name(iss);
    for number in 1_u32.. {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        let file = Path::new(COPIES).join(format!("{name}{number}.{end}"));
        let path = folder.inside(&file)?;
        if is_named(config, folder, &path) {
            continue;
        }
        match secret_file::create(&path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            written => written.map_err(|error| Failure::from(error).during(path.display()))?,
        }
        return Ok(file);
    }
    Err(Failure::new("there are too many copies of this issuer's files"))
}

/// Whether an issuer of the configuration names the file, or what is written on the way to it.
fn is_named(config: &Config, folder: &Folder, path: &Path) -> bool {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let files = config.issuers.iter().flat_map(IssuerEntry::files);
    let files = files.map(|file| folder.root().join(file));
    files.into_iter().any(|file| is_same(&file, path) || is_same(&file, Path::new(&aside)))
}

/// Whether two paths are one, also by way of a link.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || fs::canonicalize(one)
            .is_ok_and(|one| fs::canonicalize(other).is_ok_and(|other| one == other))
}

/// Deletes the copies that `entry` named, once `config` names them no more, and the keys that were fetched for an issuer
/// that fetches none any more. A file that the operator keeps elsewhere stays.
pub(crate) fn remove_copies(
    folder: &Folder,
    config: &Config,
    entry: &IssuerEntry,
) -> Result<(), Failure> {
    for file in entry.files().filter(|file| file.starts_with(COPIES)) {
        let path = folder.inside(file)?;
        if !is_named(config, folder, &path) {
            remove(&path)?;
        }
    }
    let fetches = |other: &IssuerEntry| other.iss == entry.iss && other.jwks_url.is_some();
    if !config.issuers.iter().any(fetches) {
        kept_keys::remove(folder, &entry.iss)?;
    }
    Ok(())
}

/// Deletes the private key of a development issuer, if there is one.
pub(crate) fn remove_development_key(
    folder: &Folder,
    iss: &str,
    jwks: &[u8],
) -> Result<(), Failure> {
    let [own, earlier] = development_key_paths(folder, iss);
    remove(&own)?;
    match read_key(&earlier) {
        Ok(key) if is_key_of(&key, jwks) => remove(&earlier),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::from(error).during(path.display()))
        }
        _ => Ok(()),
    }
}

/// The private key of a development issuer that is in the configuration.
pub(crate) fn development_key(
    folder: &Folder,
    entry: &IssuerEntry,
) -> Result<DevelopmentKey, Failure> {
    let [own, earlier] = development_key_paths(folder, &entry.iss);
    if !own.exists()
        && let Ok(key) = read_key(&earlier)
        && is_key_of(&key, &public_keys(folder, entry))
    {
        return Ok(key);
    }
    read_key(&own).map_err(|failure| {
        failure.remedy("make a development issuer with `reelkey issuer add ISS --dev`")
    })
}

/// The private key of a development issuer that is not in the configuration yet; made if there is none.
pub(crate) fn new_development_key(folder: &Folder, iss: &str) -> Result<DevelopmentKey, Failure> {
    let [path, _] = development_key_paths(folder, iss);
    if path.exists() {
        return read_key(&path);
    }
    let key = DevelopmentKey::generate()?;
    secret_file::create(&path, key.to_jwk().as_bytes())
        .map_err(|error| Failure::from(error).during(path.display()))?;
    Ok(key)
}

/// The file of public keys that an entry names, empty if it cannot be read.
pub(crate) fn public_keys(folder: &Folder, entry: &IssuerEntry) -> Vec<u8> {
    let path = entry.jwks.as_deref().and_then(|file| folder.inside(file).ok());
    path.and_then(|path| fs::read(path).ok()).unwrap_or_default()
}

fn is_key_of(key: &DevelopmentKey, jwks: &[u8]) -> bool {
    let jwks: Value = serde_json::from_slice(jwks).unwrap_or_default();
    let public = key.public_jwk();
    let is_same = |jwk: &Value| ["x", "y"].iter().all(|name| jwk.get(name) == public.get(name));
    jwks.get("keys").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(is_same))
}

fn read_key(path: &Path) -> Result<DevelopmentKey, Failure> {
    let text = secret_file::read(path, KEY_BYTES_MAX)?;
    let key = DevelopmentKey::parse(std::str::from_utf8(&text).unwrap_or_default());
    key.map_err(|error| Failure::from(error).during(path.display()))
}

/// Where an issuer's private key is, and where an earlier version kept it.
fn development_key_paths(folder: &Folder, iss: &str) -> [PathBuf; 2] {
    let names = [file_name(iss), earlier_file_name(iss)];
    names.map(|name| folder.development_keys().join(format!("{name}.jwk.json")))
}

fn read_jwks(source: &Path) -> Result<Vec<u8>, Failure> {
    let is_url = source.to_string_lossy().contains("://");
    if is_url {
        return Err(Failure::new("--jwks takes a file").remedy("name an address with --jwks-url"));
    }
    let during = |error: io::Error| Failure::from(error).during(source.display());
    let bytes = source::read(source, JWKS_BYTES_MAX).map_err(during)?;
    if bytes.len() > JWKS_BYTES_MAX {
        return Err(Failure::new(format_args!("{} is too long for a JWK Set", source.display())));
    }
    Ok(bytes)
}

/// The name that earlier versions gave, with a hash that is too short.
fn earlier_file_name(iss: &str) -> String {
    let [a, b, c, d, ..] = sha256(iss.as_bytes());
    format!("{}-{a:02x}{b:02x}{c:02x}{d:02x}", readable(iss))
}
