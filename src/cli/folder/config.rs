//! `reelkey.toml`: what the operator decided, read strictly and edited without losing a comment.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::Deserialize;
use toml_edit::DocumentMut;

use crate::authority::issuer::{Issuer, Issuers, LONGEST_LIFE_DEFAULT};
use crate::authority::vault::secret_file;
use crate::cli::folder::anchors;
use crate::cli::folder::device_ca::{DeviceCaTable, KeyHash};
use crate::cli::folder::geography::{GeoIpTable, NetworksTable, RegionGroups};
use crate::cli::folder::issuer_entry::IssuerEntry;
use crate::cli::folder::limits::{LimitsTable, ProxiesTable};
use crate::cli::folder::logging::LogTable;
use crate::cli::folder::metrics::MetricsTable;
use crate::cli::folder::packagers::KeysTable;
use crate::cli::folder::paths::Folder;
use crate::cli::folder::players;
use crate::cli::folder::retention::RetentionTable;
use crate::cli::folder::tls::TlsFiles;
use crate::cli::terminal::output::Failure;
use crate::domain::origin::{Origin, PublicUrl};
use crate::http::frame::bearer::TokenPlaces;
use crate::http::listener::server::Rules;

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
    /// Where packagers are answered, and the keys that origins write.
    #[serde(default)]
    pub(crate) keys: KeysTable,
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
        let named: Vec<_> = tls.chain(self.issuers.iter().flat_map(IssuerEntry::files)).collect();
        for file in &named {
            folder.inside(file)?;
        }
        anchors::check_files(folder, named)
    }

    /// What players' connections and requests are kept within.
    pub(crate) fn rules(&self) -> Rules {
        let (limits, proxies) = (self.limits.limits(), self.proxies.proxies());
        let proxy_protocol = self.proxies.speak_proxy_protocol();
        let addresses = self.log.addresses();
        Rules { limits, proxies, proxy_protocol, addresses, ..Rules::default() }
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
            algorithms: entry.algorithms(),
            audience: entry.audience.clone().unwrap_or_else(|| self.service_id.0.clone()),
            longest_life: entry.longest_token_life.unwrap_or(LONGEST_LIFE_DEFAULT),
            content: entry.content.clone(),
            content_claim: entry.content_claim.clone(),
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

/// Writes a file aside, syncs it and renames it into its place.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    secret_file::write(path, bytes).map_err(|error| Failure::from(error).during(path.display()))
}
