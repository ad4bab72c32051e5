//! `reelkey.toml`: what the operator decided, read strictly and edited without losing a comment.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::authority::issuer::{Issuer, Issuers, LONGEST_LIFE_DEFAULT};
use crate::authority::root_key_file::write_secret;
use crate::cli::folder::Folder;
use crate::cli::output::Failure;
use crate::crypto::issuer_keys::{Algorithm, IssuerKeys};
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;

/// What `init` writes.
pub(crate) const FRESH: &str = include_str!("reelkey.toml");

/// Where the service listens unless it is told otherwise.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7420);

/// The configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The `aud` of requests and the `iss` of licenses.
    #[serde(default)]
    pub(crate) service_id: ServiceId,
    /// Where to listen.
    #[serde(default = "listen_default")]
    pub(crate) listen: SocketAddr,
    /// Who may issue tokens.
    #[serde(default, rename = "issuer")]
    pub(crate) issuers: Vec<IssuerEntry>,
}

/// One `[[issuer]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerEntry {
    /// `iss`.
    pub(crate) iss: String,
    /// Its JWK Set, relative to the data folder.
    pub(crate) jwks: PathBuf,
    /// What it may sign with.
    pub(crate) algorithms: Vec<AlgorithmName>,
    /// The titles that it may speak for.
    pub(crate) content: Vec<ContentPattern>,
    /// What `aud` has to contain, if it is not the service id.
    pub(crate) audience: Option<String>,
    /// The most between `iat` and `exp`.
    pub(crate) longest_token_life: Option<Duration>,
    /// Its private key is in keys/dev/.
    #[serde(default)]
    pub(crate) development: bool,
}

/// 1 to 128 printable ASCII characters.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ServiceId(pub(crate) String);

impl Default for ServiceId {
    fn default() -> Self {
        Self("reelkey".into())
    }
}

impl TryFrom<String> for ServiceId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let fits =
            (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text)) } else { Err("service_id is 1 to 128 visible ASCII characters") }
    }
}

/// An [`Algorithm`] in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AlgorithmName(pub(crate) Algorithm);

impl TryFrom<String> for AlgorithmName {
    type Error = crate::crypto::issuer_keys::UnknownAlgorithm;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

const fn listen_default() -> SocketAddr {
    LISTEN_DEFAULT
}

impl Config {
    /// Reads the folder's configuration.
    pub(crate) fn read(folder: &Folder) -> Result<Self, Failure> {
        let path = folder.config();
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::new(format_args!("there is no {}", path.display())).remedy(
                    format_args!("run `reelkey init --data {}`", folder.root().display()),
                ));
            }
            text => text.map_err(|error| Failure::from(error).during(path.display()))?,
        };
        let config: Self = toml::from_str(&text)
            .map_err(|error| Failure::new(error.to_string().trim_end()).during(path.display()))?;
        for (at, entry) in config.issuers.iter().enumerate() {
            if config.issuers.iter().take(at).any(|other| other.iss == entry.iss) {
                let what =
                    format_args!("{}: issuer {:?} is there twice", path.display(), entry.iss);
                return Err(Failure::new(what).remedy("remove one of the two [[issuer]] tables"));
            }
        }
        Ok(config)
    }

    /// Reads every issuer's keys.
    pub(crate) fn issuers(&self, folder: &Folder) -> Result<Issuers, Failure> {
        self.issuers.iter().map(|entry| self.issuer(entry, folder)).collect()
    }

    fn issuer(&self, entry: &IssuerEntry, folder: &Folder) -> Result<Issuer, Failure> {
        let path = folder.root().join(&entry.jwks);
        let what = || format!("issuer {}: {}", entry.iss, path.display());
        if entry.algorithms.is_empty() || entry.content.is_empty() {
            return Err(
                Failure::new("algorithms and content name at least one each").during(what())
            );
        }
        let bytes = fs::read(&path).map_err(|error| Failure::from(error).during(what()))?;
        let keys = IssuerKeys::parse(&bytes).map_err(|error| Failure::new(error).during(what()))?;
        Ok(Issuer {
            iss: entry.iss.clone(),
            keys,
            algorithms: entry.algorithms.iter().map(|name| name.0).collect(),
            audience: entry.audience.clone().unwrap_or_else(|| self.service_id.0.clone()),
            longest_life: entry.longest_token_life.unwrap_or(LONGEST_LIFE_DEFAULT),
            content: entry.content.clone(),
        })
    }
}

/// Appends an `[[issuer]]`; everything else in the file stays as it is.
pub(crate) fn append_issuer(folder: &Folder, entry: &IssuerEntry) -> Result<(), Failure> {
    let path = folder.config();
    let text = fs::read_to_string(path)?;
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| Failure::new(error))?;
    let mut table = Table::new();
    table.insert("iss", value(&entry.iss));
    table.insert("jwks", value(entry.jwks.display().to_string()));
    let names = entry.algorithms.iter().map(|name| name.0.to_string());
    table.insert("algorithms", value(names.collect::<toml_edit::Array>()));
    let patterns = entry.content.iter().map(ToString::to_string);
    table.insert("content", value(patterns.collect::<toml_edit::Array>()));
    if let Some(audience) = &entry.audience {
        table.insert("audience", value(audience));
    }
    if let Some(life) = entry.longest_token_life {
        table.insert("longest_token_life", value(format!("{}s", life.as_secs())));
    }
    if entry.development {
        table.insert("development", value(true));
    }
    let issuers = document.entry("issuer").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let issuers = issuers
        .as_array_of_tables_mut()
        .ok_or_else(|| Failure::new(format_args!("{}: issuer is no [[issuer]]", path.display())))?;
    issuers.push(table);
    write_whole(path, document.to_string().as_bytes())
}

/// Writes a file aside, syncs it and renames it into its place.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_secret(path, bytes).map_err(|error| Failure::from(error).during(path.display()))
}
