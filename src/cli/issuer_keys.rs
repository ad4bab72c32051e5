//! The keys that an operator gives an issuer on the command line: a file, a secret, or an address that is fetched before
//! anything is changed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::authority::fetched_keys::{KeySet, Source};
use crate::cli::folder::config::Config;
use crate::cli::folder::issuer_entry::{AlgorithmName, IssuerEntry};
use crate::cli::folder::issuer_files::{self, NewKeys};
use crate::cli::folder::kept_keys;
use crate::cli::folder::paths::Folder;
use crate::cli::issuer_source::{Discovered, discover, fetch_set, read_ca};
use crate::cli::terminal::output::Failure;
use crate::crypto::issuer_key::Algorithm;
use crate::crypto::trust::Trust;
use crate::domain::duration::Duration;
use crate::domain::key_url::KeyUrl;

/// What the operator names.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) jwks: Option<PathBuf>,
    pub(crate) secret_file: Option<PathBuf>,
    pub(crate) jwks_url: Option<KeyUrl>,
    pub(crate) discover: bool,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) keep_keys_for: Option<Duration>,
}

/// The keys, read and judged.
pub(crate) enum Given {
    /// None are named.
    Nothing,
    /// To be copied into the folder.
    Copied(NewKeys),
    /// From an address.
    Fetched(Box<Fetching>),
}

/// Keys from an address.
pub(crate) struct Fetching {
    source: Source,
    /// The certificate authorities, as PEM.
    ca: Option<Vec<u8>>,
    keep_keys_for: Option<Duration>,
    /// What they may sign with.
    algorithms: Vec<Algorithm>,
    set: KeySet,
    /// The issuer's own description, if it was asked.
    discovered: Option<Discovered>,
}

impl Wanted {
    /// Reads the keys of a new issuer. An address is fetched, so that an error shows now and not at a player.
    pub(crate) async fn read(self, iss: &str, named: &[Algorithm]) -> Result<Given, Failure> {
        if self.jwks_url.is_none()
            && !self.discover
            && (self.ca.is_some() || self.keep_keys_for.is_some())
        {
            return Err(Failure::new("--ca and --keep-keys-for go with --jwks-url and --discover"));
        }
        if let Some(given) = self.copied()? {
            return Ok(given);
        }
        let (ca, trust) = self.trust(None)?;
        let (url, discovered) = match self.jwks_url {
            Some(url) => (url, None),
            None if self.discover => {
                let discovered = discover(iss, &trust).await?;
                (discovered.jwks_url.clone(), Some(discovered))
            }
            None => return Ok(Given::Nothing),
        };
        let algorithms = match (named, &discovered) {
            ([], None) => vec![Algorithm::Es256],
            ([], Some(discovered)) if discovered.algorithms.is_empty() => {
                let what =
                    format_args!("{} names no algorithm that this service knows", discovered.at);
                return Err(
                    Failure::new(what).remedy("name what its tokens are signed with: --alg RS256")
                );
            }
            ([], Some(discovered)) => discovered.algorithms.clone(),
            (named, _) => named.to_vec(),
        };
        let source = Source { url, trust };
        let set = fetch(&source, &algorithms).await?;
        let keep_keys_for = self.keep_keys_for;
        let fetching = Fetching { source, ca, keep_keys_for, algorithms, set, discovered };
        Ok(Given::Fetched(Box::new(fetching)))
    }

    /// Reads the keys of an issuer that is there. An address is fetched if it, or what is believed there, changes.
    pub(crate) async fn read_again(
        self,
        folder: &Folder,
        old: &IssuerEntry,
        named: &[Algorithm],
    ) -> Result<Given, Failure> {
        if let Some(given) = self.copied()? {
            return Ok(given);
        }
        let changes = self.jwks_url.is_some() || self.ca.is_some() || !named.is_empty();
        let url = self.jwks_url.clone().or_else(|| old.jwks_url.clone());
        let (true, Some(url)) = (changes, url) else {
            return if self.ca.is_some() {
                Err(Failure::new("--ca goes with --jwks-url"))
            } else {
                Ok(Given::Nothing)
            };
        };
        let old_ca = old.ca.as_ref().map(|ca| folder.inside(ca)).transpose()?;
        let (ca, trust) = self.trust(old_ca.as_deref())?;
        let algorithms = match (named, old.secret_file.is_some()) {
            ([], true) => vec![Algorithm::Es256],
            ([], false) => old.algorithms(),
            (named, _) => named.to_vec(),
        };
        let source = Source { url, trust };
        let set = fetch(&source, &algorithms).await?;
        let keep_keys_for = self.keep_keys_for.or(old.keep_keys_for);
        let fetching = Fetching { source, ca, keep_keys_for, algorithms, set, discovered: None };
        Ok(Given::Fetched(Box::new(fetching)))
    }

    fn copied(&self) -> Result<Option<Given>, Failure> {
        let keys = match (&self.jwks, &self.secret_file) {
            (_, Some(source)) => NewKeys::of_secret(source)?,
            (Some(source), None) => NewKeys::of_jwks(source)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(Given::Copied(keys)))
    }

    /// The certificate authorities that are named, or the old ones.
    fn trust(&self, old: Option<&Path>) -> Result<(Option<Vec<u8>>, Trust), Failure> {
        let Some(path) = self.ca.as_deref().or(old) else { return Ok((None, Trust::System)) };
        let (pem, trust) = read_ca(path)?;
        Ok((Some(pem), trust))
    }
}

async fn fetch(source: &Source, algorithms: &[Algorithm]) -> Result<KeySet, Failure> {
    fetch_set(source, algorithms).await.map_err(|failure| {
        failure.remedy("nothing was changed; --alg names what its tokens are signed with, --ca who vouches for the server")
    })
}

impl Given {
    /// The algorithms that the issuer may sign with: those that are named, otherwise those that fit the keys.
    pub(crate) fn algorithms(&self, named: Vec<Algorithm>) -> Vec<AlgorithmName> {
        let algorithms = match self {
            _ if !named.is_empty() => named,
            Self::Fetched(fetching) => fetching.algorithms.clone(),
            Self::Copied(keys) if keys.is_secret() => vec![Algorithm::Hs256],
            Self::Copied(_) | Self::Nothing => vec![Algorithm::Es256],
        };
        algorithms.into_iter().map(AlgorithmName).collect()
    }

    /// Whether the issuer signs with a secret then.
    pub(crate) fn is_secret(&self, old: &IssuerEntry) -> bool {
        match self {
            Self::Nothing => old.secret_file.is_some(),
            Self::Copied(keys) => keys.is_secret(),
            Self::Fetched(_) => false,
        }
    }

    /// Gives them to an issuer that is there, unless it has them.
    pub(crate) fn put(
        &self,
        folder: &Folder,
        config: &Config,
        entry: &mut IssuerEntry,
    ) -> Result<(), Failure> {
        match self {
            Self::Nothing => return Ok(()),
            Self::Copied(keys) if keys.are_those_of(entry, folder) => return Ok(()),
            Self::Copied(keys) => keys.copy(folder, config, entry)?,
            Self::Fetched(fetching) => fetching.put(folder, config, entry)?,
        }
        // `token mint` stops working for it, because its private key does not fit the new keys.
        entry.development = false;
        Ok(())
    }

    /// What was found where the keys were fetched, for people.
    pub(crate) fn told(&self) -> String {
        let Self::Fetched(fetching) = self else { return String::new() };
        let names = |algorithms: &[Algorithm]| {
            algorithms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        let mut text = String::new();
        if let Some(discovered) = &fetching.discovered {
            text += &format!("\n\x20 described by  {}", discovered.at);
        }
        let (url, keys) = (&fetching.source.url, &fetching.set.keys);
        text += &format!(
            "\n\x20 keys          {url}: {}, for {}",
            keys.count(),
            names(&keys.algorithms())
        );
        text += &format!("\n\x20 algorithms    {}", names(&fetching.algorithms));
        text
    }
}

impl Fetching {
    /// Lets `entry` name the address, and keeps the keys.
    pub(crate) fn put(
        &self,
        folder: &Folder,
        config: &Config,
        entry: &mut IssuerEntry,
    ) -> Result<(), Failure> {
        let ca = self
            .ca
            .as_ref()
            .map(|pem| issuer_files::copy_ca(folder, config, &entry.iss, pem, entry.ca.as_deref()));
        entry.ca = ca.transpose()?;
        self.name(entry);
        self.keep(folder, entry)
    }

    /// Lets `entry` name the address as `there` does, which is in the configuration. If nothing else differs, the keys
    /// are kept.
    pub(crate) fn put_like(
        &self,
        folder: &Folder,
        there: &IssuerEntry,
        entry: &mut IssuerEntry,
    ) -> Result<(), Failure> {
        let old = there.ca.as_ref().and_then(|ca| fs::read(folder.root().join(ca)).ok());
        // An empty path is nobody's.
        entry.ca = if old == self.ca { there.ca.clone() } else { Some(PathBuf::new()) };
        self.name(entry);
        if entry == there { self.keep(folder, entry) } else { Ok(()) }
    }

    fn name(&self, entry: &mut IssuerEntry) {
        (entry.jwks, entry.secret_file) = (None, None);
        entry.jwks_url = Some(self.source.url.clone());
        entry.keep_keys_for = self.keep_keys_for;
    }

    fn keep(&self, folder: &Folder, entry: &IssuerEntry) -> Result<(), Failure> {
        Ok(kept_keys::write(folder, &entry.iss, &self.source, &self.set)?)
    }
}
