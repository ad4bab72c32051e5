//! `reelkey.toml`: what the operator decided, read strictly and edited without losing a comment.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml_edit::{ArrayOfTables, DocumentMut, Item, RawString, Table, value};
use zeroize::Zeroizing;

use crate::authority::issuer::{Issuer, Issuers, LONGEST_LIFE_DEFAULT};
use crate::authority::vault::secret_file;
use crate::cli::folder::anchors;
use crate::cli::folder::device_ca::{DeviceCaTable, KeyHash};
use crate::cli::folder::geography::{GeoIpTable, NetworksTable, RegionGroups};
use crate::cli::folder::limits::{LimitsTable, ProxiesTable};
use crate::cli::folder::logging::LogTable;
use crate::cli::folder::metrics::MetricsTable;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::players;
use crate::cli::folder::retention::RetentionTable;
use crate::cli::folder::tls::TlsFiles;
use crate::cli::terminal::output::Failure;
use crate::crypto::issuer_key::Algorithm;
use crate::crypto::issuer_keys::IssuerKeys;
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;
use crate::domain::origin::{Origin, PublicUrl};
use crate::http::frame::bearer::TokenPlaces;
use crate::http::listener::server::Rules;

/// What `init` writes.
pub(crate) const FRESH: &str = include_str!("reelkey.toml");

/// The longest secret and some line breaks.
pub(crate) const SECRET_FILE_BYTES_MAX: usize = 1056;

/// What an update of an issuer may change.
const ISSUER_MEMBERS: [&str; 7] = [
    "jwks",
    "secret_file",
    "algorithms",
    "content",
    "audience",
    "longest_token_life",
    "development",
];

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
    /// Whether something else on the way to the players speaks TLS, so that any address may be listened on
    /// without it.
    #[serde(default)]
    pub(crate) tls_terminated_by_proxy: bool,
    /// Where players find the service.
    pub(crate) public_url: Option<PublicUrl>,
    /// Where tokens may be, besides the `Authorization` header.
    #[serde(default, deserialize_with = "players::places")]
    pub(crate) token: TokenPlaces,
    /// The service's own TLS.
    pub(crate) tls: Option<TlsFiles>,
    /// Which pages may ask.
    #[serde(default)]
    pub(crate) cors: Cors,
    /// What players may cost.
    #[serde(default)]
    pub(crate) limits: LimitsTable,
    /// Which proxies tell who the players are.
    #[serde(default)]
    pub(crate) proxies: ProxiesTable,
    /// The operator's groups of regions, for policies.
    #[serde(default)]
    pub(crate) region_groups: RegionGroups,
    /// Where the operator's own networks are.
    #[serde(default)]
    pub(crate) networks: NetworksTable,
    /// The databases that tell where addresses are.
    #[serde(default)]
    pub(crate) geoip: GeoIpTable,
    /// What the log may have.
    #[serde(default)]
    pub(crate) log: LogTable,
    /// How long facts are kept after they ended.
    #[serde(default)]
    pub(crate) retention: RetentionTable,
    /// The CAs that vouch for devices.
    #[serde(default)]
    pub(crate) device_ca: DeviceCaTable,
    /// Keys of device CAs and of devices that count no more: SHA-256 of their `subjectPublicKeyInfo`.
    #[serde(default)]
    pub(crate) revoked_device_keys: BTreeSet<KeyHash>,
    /// Where the service tells what it counts, if anywhere.
    pub(crate) metrics: Option<MetricsTable>,
    /// Who may issue tokens.
    #[serde(default, rename = "issuer")]
    pub(crate) issuers: Vec<IssuerEntry>,
}

/// `[cors]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cors {
    /// The origins whose pages may ask.
    #[serde(default)]
    pub(crate) allowed_origins: Vec<Origin>,
}

/// One `[[issuer]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerEntry {
    /// `iss`.
    pub(crate) iss: String,
    /// Its JWK Set, relative to the data folder.
    pub(crate) jwks: Option<PathBuf>,
    /// Instead, the secret that it signs with, mode 0600: its bytes but for a line break at the end.
    pub(crate) secret_file: Option<PathBuf>,
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

impl IssuerEntry {
    /// The file of its keys, as the configuration names it.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.jwks.as_deref().or(self.secret_file.as_deref())
    }

    /// Reads its keys.
    pub(crate) fn keys(&self, folder: &Folder) -> Result<IssuerKeys, Failure> {
        let symmetric = self.algorithms.iter().filter(|name| name.0.is_symmetric()).count();
        match (&self.jwks, &self.secret_file) {
            (Some(jwks), None) if symmetric == 0 => {
                let path = folder.inside(jwks)?;
                let during = |failure: Failure| failure.during(path.display());
                let bytes = fs::read(&path).map_err(|error| during(error.into()))?;
                IssuerKeys::parse(&bytes).map_err(|error| during(error.into()))
            }
            (None, Some(secret)) if symmetric == self.algorithms.len() => {
                let path = folder.inside(secret)?;
                shared_secret(secret_file::read(&path, SECRET_FILE_BYTES_MAX)?, &path)
            }
            _ => Err(Failure::new(
                "a JWK Set goes with ES256, EdDSA, RS256 and PS256, a secret file with HS256 alone",
            )),
        }
    }
}

/// Parses the bytes of an issuer's secret file. `path` is for errors.
pub(crate) fn shared_secret(
    mut secret: Zeroizing<Vec<u8>>,
    path: &Path,
) -> Result<IssuerKeys, Failure> {
    while secret.last() == Some(&b'\n') {
        secret.pop();
        if secret.last() == Some(&b'\r') {
            secret.pop();
        }
    }
    IssuerKeys::shared_secret(secret).map_err(|error| Failure::from(error).during(path.display()))
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
    type Error = crate::crypto::issuer_key::UnknownAlgorithm;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

const fn listen_default() -> SocketAddr {
    LISTEN_DEFAULT
}

impl Config {
    /// Reads the folder's configuration, which only the folder's owner and root may write, as all that the service
    /// trusts. The files that it names are in the folder.
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
        config.check_files(folder).map_err(|failure| failure.during(path.display()))?;
        anchors::check(folder)?;
        Ok(config)
    }

    /// Judges where the named files are, and who may write them.
    fn check_files(&self, folder: &Folder) -> Result<(), Failure> {
        let tls = self.tls.iter().flat_map(|tls| [&*tls.certificate, &*tls.key]);
        let issuers = self.issuers.iter();
        let issuers = issuers.flat_map(|entry| [&entry.jwks, &entry.secret_file]);
        let named: Vec<_> = tls.chain(issuers.filter_map(|file| file.as_deref())).collect();
        for file in &named {
            folder.inside(file)?;
        }
        anchors::check_files(folder, named)
    }

    /// What players' connections and requests are kept within.
    pub(crate) fn rules(&self) -> Rules {
        let (limits, proxies) = (self.limits.limits(), self.proxies.proxies());
        let proxy_protocol = self.proxies.speak_proxy_protocol();
        Rules { limits, proxies, proxy_protocol, ..Rules::default() }
    }

    /// Reads every issuer's keys.
    pub(crate) fn issuers(&self, folder: &Folder) -> Result<Issuers, Failure> {
        self.issuers.iter().map(|entry| self.issuer(entry, folder)).collect()
    }

    fn issuer(&self, entry: &IssuerEntry, folder: &Folder) -> Result<Issuer, Failure> {
        let during = |failure: Failure| failure.during(format_args!("issuer {}", entry.iss));
        if entry.algorithms.is_empty() || entry.content.is_empty() {
            return Err(during(Failure::new("algorithms and content name at least one each")));
        }
        let keys = entry.keys(folder).map_err(during)?;
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

/// Changes the configuration: what `change` does not touch stays as it is, comments too. Two commands at
/// once take turns.
pub(crate) fn edit<T>(
    folder: &Folder,
    change: impl FnOnce(&Config, &mut DocumentMut) -> Result<T, Failure>,
) -> Result<T, Failure> {
    // A lock on the folder itself needs no file of its own. It goes with `turn`.
    let turn = fs::File::open(folder.root())
        .map_err(|error| Failure::from(error).during(folder.root().display()))?;
    turn.lock()?;
    let config = Config::read(folder)?;
    let text = fs::read_to_string(folder.config())?;
    let mut document: DocumentMut = text.parse()?;
    let done = change(&config, &mut document)?;
    let changed = document.to_string();
    if changed != text {
        write_whole(folder.config(), changed.as_bytes())?;
    }
    Ok(done)
}

/// Appends an `[[issuer]]`.
pub(crate) fn append_issuer(
    document: &mut DocumentMut,
    entry: &IssuerEntry,
) -> Result<(), Failure> {
    issuers_of(document)?.push(issuer_table(entry));
    Ok(())
}

fn issuer_table(entry: &IssuerEntry) -> Table {
    let mut table = Table::new();
    table.insert("iss", value(&entry.iss));
    if let Some(jwks) = &entry.jwks {
        table.insert("jwks", value(jwks.display().to_string()));
    }
    if let Some(secret) = &entry.secret_file {
        table.insert("secret_file", value(secret.display().to_string()));
    }
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
    table
}

/// Changes an `[[issuer]]` from `old` to `new`. What is the same in both stays as it was written.
pub(crate) fn update_issuer(
    document: &mut DocumentMut,
    old: &IssuerEntry,
    new: &IssuerEntry,
) -> Result<(), Failure> {
    let named = |table: &&mut Table| table.get("iss").and_then(Item::as_str) == Some(&new.iss);
    let Some(table) = issuers_of(document)?.iter_mut().find(named) else { return Ok(()) };
    let (old, new) = (issuer_table(old), issuer_table(new));
    for name in ISSUER_MEMBERS {
        let [old, new] = [&old, &new].map(|table| table.get(name).and_then(Item::as_value));
        if old.map(ToString::to_string) == new.map(ToString::to_string) {
            continue;
        }
        match (new, table.get_mut(name).and_then(Item::as_value_mut)) {
            (Some(new), Some(there)) => {
                let decor = there.decor().clone();
                *there = new.clone();
                *there.decor_mut() = decor;
            }
            (Some(new), None) => drop(table.insert(name, value(new.clone()))),
            (None, _) => drop(table.remove(name)),
        }
    }
    Ok(())
}

/// Removes an `[[issuer]]`. The comment above it stays: it may be about more than this one.
pub(crate) fn remove_issuer(document: &mut DocumentMut, iss: &str) -> Result<(), Failure> {
    let issuers = issuers_of(document)?;
    let named = |table: &Table| table.get("iss").and_then(Item::as_str) == Some(iss);
    let Some(at) = issuers.iter().position(named) else { return Ok(()) };
    let comment = issuers.get(at).and_then(|table| table.decor().prefix()?.as_str());
    let comment = comment.unwrap_or_default().to_owned();
    issuers.remove(at);
    if let Some(next) = issuers.get_mut(at) {
        let own = next.decor().prefix().and_then(RawString::as_str).unwrap_or_default();
        let joined = format!("{comment}{own}");
        next.decor_mut().set_prefix(joined);
    } else {
        let own = document.trailing().as_str().unwrap_or_default();
        let joined = format!("{comment}{own}");
        document.set_trailing(joined);
    }
    Ok(())
}

fn issuers_of(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, Failure> {
    let issuers = document.entry("issuer").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    issuers.as_array_of_tables_mut().ok_or_else(|| Failure::new("issuer is no [[issuer]]"))
}

/// Writes a file aside, syncs it and renames it into its place.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    secret_file::write(path, bytes).map_err(|error| Failure::from(error).during(path.display()))
}
