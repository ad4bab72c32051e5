//! The keys that were fetched for an issuer, kept in `keys/issuers/` for the next start and for as long as they cannot be
//! fetched: the JWK Set, its address, who was believed there, the time.
//!
//! A file that cannot be used is as good as none: the log says so, and the keys are fetched again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reelkey_client::strict::json;
use reelkey_client::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::authority::fetched_keys::{KeySet, Source};
use crate::authority::vault::secret_file;
use crate::cli::folder::issuer_name::file_name;
use crate::cli::folder::paths::Folder;
use crate::cli::source;
use crate::crypto::issuer_key::Algorithm;
use crate::crypto::issuer_keys::JWKS_BYTES_MAX;
use crate::domain::key_refresh::Fetched;

/// A JWK Set as a JSON string, in which each byte may take six, and what is said about it.
const FILE_BYTES_MAX: usize = 6 * JWKS_BYTES_MAX + 8192;

/// What the file says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    url: String,
    /// Which servers were believed, as [`Trust::fingerprint`](crate::crypto::trust::Trust::fingerprint) says.
    trust: String,
    /// Seconds since 1970.
    fetched_at: u64,
    fresh_secs: u64,
    /// The JWK Set, as it came.
    jwks: String,
}

/// The keys that were fetched from there for this issuer, if they were kept and still fit.
pub(crate) fn read(
    folder: &Folder,
    iss: &str,
    from: &Source,
    algorithms: &[Algorithm],
) -> Option<KeySet> {
    let path = path(folder, iss);
    let unusable = |why: String| {
        tracing::warn!(iss, path = %path.display(), why, "the kept keys of this issuer are not used");
    };
    let bytes = match source::read(&path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            return {
                unusable(error.to_string());
                None
            };
        }
        Ok(bytes) => bytes,
    };
    let kept: Kept = match json::read(&bytes) {
        Ok(kept) => kept,
        Err(error) => {
            return {
                unusable(error.to_string());
                None
            };
        }
    };
    // The operator has named another address since, or believes another certificate authority.
    if kept.url != from.url.as_str() || kept.trust != from.trust.fingerprint() {
        return None;
    }
    let fetched = Fetched { at: UnixTime::from_secs(kept.fetched_at), fresh_secs: kept.fresh_secs };
    let set = KeySet::read(kept.jwks.into_bytes(), algorithms, fetched);
    set.inspect_err(|error| unusable(error.to_string())).ok()
}

/// Keeps keys, in place of those that were kept before.
pub(crate) fn write(folder: &Folder, iss: &str, from: &Source, set: &KeySet) -> io::Result<()> {
    let kept = Kept {
        url: from.url.to_string(),
        trust: from.trust.fingerprint(),
        fetched_at: set.fetched.at.as_secs(),
        fresh_secs: set.fetched.fresh_secs,
        jwks: String::from_utf8_lossy(&set.document).into_owned(),
    };
    secret_file::write(&path(folder, iss), &serde_json::to_vec(&kept)?)
}

/// Forgets the keys of an issuer.
pub(crate) fn remove(folder: &Folder, iss: &str) -> io::Result<()> {
    match fs::remove_file(path(folder, iss)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn path(folder: &Folder, iss: &str) -> PathBuf {
    folder.keys().join(Path::new("issuers")).join(format!("{}.fetched.json", file_name(iss)))
}
