//! Everything that the operator decided, read from the folder in one go: whoever puts it in force has seen that all of it is
//! valid.
//!
//! Each file and entry leaves a fingerprint, so that a later reading tells what has changed since. Of a shared secret the
//! fingerprint holds 32 bits, too few to confirm a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::authority::in_force::Decided;
use crate::authority::service::ISSUER;
use crate::cli::folder::config::Config;
use crate::cli::folder::installation;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;
use crate::crypto::digest::sha256;
use crate::crypto::tls::Identity;
use crate::domain::policy::Policy;
use crate::domain::security_level::SecurityLevel;

/// What the name of a policy begins with in a list of fingerprints.
pub(crate) const POLICY: &str = "policy ";

/// What was read.
pub(crate) struct Reading {
    /// What may be put in force at any time.
    pub(crate) decided: Decided,
    /// The service's certificate and key, where it has its own.
    pub(crate) identity: Option<Identity>,
    /// What counts from the next start: a fingerprint of each setting.
    pub(crate) at_start: BTreeMap<&'static str, String>,
}

/// Reads all of it.
pub(crate) fn read(folder: &Folder) -> Result<Reading, Failure> {
    let config = Config::read(folder)?;
    let identity = config.tls.as_ref().map(|files| files.read(folder)).transpose()?;
    let at_start = BTreeMap::from([
        ("service_id", config.service_id.0.clone()),
        ("listen", config.listen.to_string()),
        ("tls", config.tls.is_some().to_string()),
        ("tls_terminated_by_proxy", config.tls_terminated_by_proxy.to_string()),
        ("limits", format!("{:?}", config.rules().limits)),
        ("keys.listen", format!("{:?}", config.keys.listen)),
        ("token", format!("{:?}", config.token)),
        ("proxies", format!("{:?}", config.proxies)),
        // In force for decisions at once, and for the listener's own lines at the next start.
        ("log.addresses", format!("{:?}", config.log.addresses())),
    ]);
    Ok(Reading { decided: decided(folder, &config)?, identity, at_start })
}

/// What may be put in force at any time.
pub(crate) fn decided(folder: &Folder, config: &Config) -> Result<Decided, Failure> {
    let mut made_of = BTreeMap::new();
    let mut policies = Vec::new();
    for (policy, text) in installation::policies_and_texts(folder)? {
        made_of.insert(format!("{POLICY}{}", policy.name), hex(text.as_bytes()));
        policies.push(policy);
    }
    for entry in &config.issuers {
        let mut fingerprint = format!("{entry:?} ");
        for path in entry.jwks.iter().chain(&entry.ca) {
            fingerprint += &hex(&fs::read(folder.root().join(path)).unwrap_or_default());
        }
        if let Some(path) = &entry.secret_file {
            let secret = fs::read(folder.root().join(path)).unwrap_or_default();
            fingerprint.extend(hex(&zeroize::Zeroizing::new(secret)).chars().take(8));
        }
        made_of.insert(format!("{ISSUER}{}", entry.iss), hex(fingerprint.as_bytes()));
    }
    let origins = config.cors.allowed_origins.clone();
    made_of.insert("cors.allowed_origins".into(), hex(format!("{origins:?}").as_bytes()));
    let makers = config.device_ca.read(folder, &config.revoked_device_keys, &mut made_of)?;
    for (name, path) in config.geoip.files(folder) {
        made_of.insert(format!("geoip.{name}"), database_fingerprint(&path));
    }
    let atlas = Arc::new(config.geoip.atlas(folder, &config.networks)?);
    let addresses = config.log.addresses();
    made_of.insert("networks".into(), hex(format!("{:?}", config.networks).as_bytes()));
    made_of.insert("region_groups".into(), hex(format!("{:?}", config.region_groups).as_bytes()));
    made_of.insert("log.addresses".into(), format!("{addresses:?}"));
    let key_directories = config.keys.directories(folder.root());
    made_of.insert("keys.directory".into(), hex(format!("{key_directories:?}").as_bytes()));
    let issuers = config.issuers(folder)?;
    Ok(Decided { issuers, policies, makers, origins, atlas, addresses, key_directories, made_of })
}

/// A fingerprint of a database: it is large, and a new one has another length or time.
fn database_fingerprint(path: &Path) -> String {
    let found = fs::metadata(path);
    let of = |found: fs::Metadata| Some((found.len(), found.modified().ok()?));
    hex(format!("{path:?} {:?}", found.ok().and_then(of)).as_bytes())
}

/// The highest level that a device CA vouches for; `None` if there is none.
pub(crate) fn certified_level(folder: &Folder) -> Result<Option<SecurityLevel>, Failure> {
    let config = Config::read(folder)?;
    let makers =
        config.device_ca.read(folder, &config.revoked_device_keys, &mut BTreeMap::new())?;
    Ok(makers.highest_level())
}

/// Whether the policy is in force as its file says.
pub(crate) fn is_policy_in_force(
    in_force: &BTreeMap<String, String>,
    policy: &Policy,
    text: &str,
) -> bool {
    let made_of = in_force.get(&format!("{POLICY}{}", policy.name));
    made_of.is_some_and(|made_of| *made_of == hex(text.as_bytes()))
}

/// What has changed in the files since what is in force was read from them, by name.
pub(crate) fn changed<'a>(
    in_force: &'a BTreeMap<String, String>,
    files: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    let names: BTreeSet<_> = in_force.keys().chain(files.keys()).collect();
    let differs = |name: &&String| in_force.get(*name) != files.get(*name);
    names.into_iter().filter(differs).map(String::as_str).collect()
}

fn hex(bytes: &[u8]) -> String {
    sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
