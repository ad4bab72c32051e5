//! One `[[issuer]]` of `reelkey.toml`: what it says, the keys that it leads to, and how it is written without losing a
//! comment.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml_edit::{ArrayOfTables, DocumentMut, Item, RawString, Table, value};
use zeroize::Zeroizing;

use crate::authority::fetched_keys::{FetchedKeys, Source};
use crate::authority::issuer::Keys;
use crate::authority::vault::secret_file;
use crate::cli::folder::kept_keys;
use crate::cli::folder::paths::Folder;
use crate::cli::source;
use crate::cli::terminal::output::Failure;
use crate::crypto::issuer_key::Algorithm;
use crate::crypto::issuer_keys::IssuerKeys;
use crate::crypto::trust::Trust;
use crate::domain::claim_name::ClaimName;
use crate::domain::content::ContentPattern;
use crate::domain::duration::Duration;
use crate::domain::key_refresh::KEPT_DEFAULT;
use crate::domain::key_url::KeyUrl;

/// The longest file of certificate authorities: the whole store of an operating system has 220 KB.
pub(crate) const CA_BYTES_MAX: usize = 1024 * 1024;

/// The longest secret and some line breaks.
pub(crate) const SECRET_FILE_BYTES_MAX: usize = 1056;

/// What an update of an issuer may change.
const ISSUER_MEMBERS: [&str; 11] = [
    "jwks",
    "jwks_url",
    "ca",
    "keep_keys_for",
    "secret_file",
    "algorithms",
    "content",
    "content_claim",
    "audience",
    "longest_token_life",
    "development",
];

/// One `[[issuer]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerEntry {
    /// `iss`.
    pub(crate) iss: String,
    /// Its JWK Set, relative to the data folder.
    pub(crate) jwks: Option<PathBuf>,
    /// Instead, where its JWK Set is fetched.
    pub(crate) jwks_url: Option<KeyUrl>,
    /// The certificate authorities that are believed there in place of the system's; PEM, relative to the data folder.
    pub(crate) ca: Option<PathBuf>,
    /// How long the last keys serve that should be fetched anew and cannot be.
    pub(crate) keep_keys_for: Option<Duration>,
    /// Instead, the secret that it signs with, mode 0600: its bytes but for a line break at the end.
    pub(crate) secret_file: Option<PathBuf>,
    /// What it may sign with.
    pub(crate) algorithms: Vec<AlgorithmName>,
    /// The titles that it may speak for.
    pub(crate) content: Vec<ContentPattern>,
    /// The claim that names titles, if it is not `content_id`.
    pub(crate) content_claim: Option<ClaimName>,
    /// What `aud` has to contain, if it is not the service id.
    pub(crate) audience: Option<String>,
    /// The most between `iat` and `exp`.
    pub(crate) longest_token_life: Option<Duration>,
    /// Its private key is in keys/dev/.
    #[serde(default)]
    pub(crate) development: bool,
}

impl IssuerEntry {
    /// An issuer that has nothing but its name yet.
    pub(crate) fn named(iss: String) -> Self {
        Self {
            iss,
            jwks: None,
            jwks_url: None,
            ca: None,
            keep_keys_for: None,
            secret_file: None,
            algorithms: Vec::new(),
            content: Vec::new(),
            content_claim: None,
            audience: None,
            longest_token_life: None,
            development: false,
        }
    }

    /// The file of its keys, as the configuration names it.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.jwks.as_deref().or(self.secret_file.as_deref())
    }

    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.jwks, &self.secret_file, &self.ca].into_iter().filter_map(|file| file.as_deref())
    }

    /// Where its keys are fetched, if they are.
    pub(crate) fn source(&self, folder: &Folder) -> Result<Option<Source>, Failure> {
        let Some(url) = &self.jwks_url else { return Ok(None) };
        let trust = match &self.ca {
            None => Trust::System,
            Some(ca) => {
                let path = folder.inside(ca)?;
                let pem = source::read(&path, CA_BYTES_MAX);
                let pem = pem.map_err(|error| Failure::from(error).during(path.display()))?;
                Trust::own(&pem).map_err(|error| Failure::from(error).during(path.display()))?
            }
        };
        Ok(Some(Source { url: url.clone(), trust }))
    }

    /// What it may sign with.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        self.algorithms.iter().map(|name| name.0).collect()
    }

    /// Reads its keys. Those of a URL are the ones that were kept when they were fetched last, if there are any.
    pub(crate) fn keys(&self, folder: &Folder) -> Result<Keys, Failure> {
        let symmetric = self.algorithms.iter().filter(|name| name.0.is_symmetric()).count();
        if self.jwks_url.is_none() && (self.ca.is_some() || self.keep_keys_for.is_some()) {
            return Err(Failure::new("ca and keep_keys_for go with jwks_url"));
        }
        match (&self.jwks, self.source(folder)?, &self.secret_file) {
            (Some(jwks), None, None) if symmetric == 0 => {
                let path = folder.inside(jwks)?;
                let during = |failure: Failure| failure.during(path.display());
                let bytes = fs::read(&path).map_err(|error| during(error.into()))?;
                let keys = IssuerKeys::parse(&bytes).map_err(|error| during(error.into()))?;
                Ok(Keys::Fixed(keys))
            }
            (None, Some(source), None) if symmetric == 0 => {
                let set = kept_keys::read(folder, &self.iss, &source, &self.algorithms());
                let kept = self.keep_keys_for.unwrap_or(KEPT_DEFAULT);
                Ok(Keys::Fetched(FetchedKeys::new(source, kept, set)))
            }
            (None, None, Some(secret)) if symmetric == self.algorithms.len() => {
                let path = folder.inside(secret)?;
                let secret = secret_file::read(&path, SECRET_FILE_BYTES_MAX)?;
                Ok(Keys::Fixed(shared_secret(secret, &path)?))
            }
            _ => Err(Failure::new(
                "jwks or jwks_url goes with ES256, EdDSA, RS256 and PS256, secret_file with HS256 alone, and there is \
                 one of the three",
            )),
        }
    }

    /// Where its keys come from, in one word or as an address.
    pub(crate) fn origin(&self) -> String {
        match (&self.jwks_url, &self.jwks, self.development) {
            (_, _, true) => "development".into(),
            (Some(url), ..) => url.to_string(),
            (None, Some(jwks), _) => jwks.display().to_string(),
            (None, None, _) => "secret".into(),
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
    if let Some(url) = &entry.jwks_url {
        table.insert("jwks_url", value(url.as_str()));
    }
    if let Some(ca) = &entry.ca {
        table.insert("ca", value(ca.display().to_string()));
    }
    if let Some(kept) = entry.keep_keys_for {
        table.insert("keep_keys_for", value(kept.to_string()));
    }
    let names = entry.algorithms.iter().map(|name| name.0.to_string());
    table.insert("algorithms", value(names.collect::<toml_edit::Array>()));
    let patterns = entry.content.iter().map(ToString::to_string);
    table.insert("content", value(patterns.collect::<toml_edit::Array>()));
    if let Some(name) = &entry.content_claim {
        table.insert("content_claim", value(name.as_str()));
    }
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
