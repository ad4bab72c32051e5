//! The file with the root key: one line, mode 0600, written completely or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::authority::vault::secret_file;
use crate::crypto::root_key::{InvalidRootKey, RootKey};

/// Much longer than any root key.
const BYTES_MAX: usize = 1024;

/// The root key cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error(
        "there is no root key at {0}; run `reelkey init`, or put the key back from where you keep it"
    )]
    Missing(PathBuf),
    /// The file cannot be read, or other users than its owner may read it.
    #[error(transparent)]
    File(#[from] secret_file::Error),
    /// The content of the file is not a root key.
    #[error("{path}: {why}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The expected form.
        why: InvalidRootKey,
    },
    /// The operating system reported an error.
    #[error("{path}")]
    Io {
        /// The file or its folder.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// Reads the root key at `path`.
///
/// # Errors
/// [`Error`].
pub fn read(path: &Path) -> Result<RootKey, Error> {
    let text = match secret_file::read(path, BYTES_MAX) {
        Err(secret_file::Error::Missing(path)) => return Err(Error::Missing(path)),
        text => text?,
    };
    let text = std::str::from_utf8(&text).unwrap_or_default();
    RootKey::parse(text).map_err(|why| Error::Invalid { path: path.to_owned(), why })
}

/// Writes a new root key to `path`: to a temporary file, which is synced and renamed; then the folder is synced.
///
/// # Errors
/// [`Error::Io`].
pub fn write(path: &Path, key: &RootKey) -> Result<(), Error> {
    secret_file::write(path, key.to_text().as_bytes())
        .map_err(|source| Error::Io { path: path.to_owned(), source })
}

/// Writes the next root key beside the one at `path`.
///
/// # Errors
/// [`Error::Io`].
pub fn write_next(path: &Path, key: &RootKey) -> Result<(), Error> {
    write(&next(path), key)
}

/// Reads the next root key of the one at `path`, if a rotation has begun.
///
/// # Errors
/// As [`read`], but a missing file is not an error.
pub fn read_next(path: &Path) -> Result<Option<RootKey>, Error> {
    match read(&next(path)) {
        Ok(key) => Ok(Some(key)),
        Err(Error::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the root key at `path` by the next one. The change is durable once this returns.
///
/// # Errors
/// [`Error::Io`].
pub fn promote_next(path: &Path) -> Result<(), Error> {
    let promoted = fs::rename(next(path), path).and_then(|()| secret_file::sync_folder_of(path));
    promoted.map_err(|source| Error::Io { path: path.to_owned(), source })
}

/// Deletes the next root key. The one at `path` stays.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_next(path: &Path) -> Result<(), Error> {
    let removed = fs::remove_file(next(path)).and_then(|()| secret_file::sync_folder_of(path));
    removed.map_err(|source| Error::Io { path: path.to_owned(), source })
}

fn next(path: &Path) -> PathBuf {
    secret_file::beside(path, ".next")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_root_key_is_written_for_its_owner_only_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/root.key");
        let key = RootKey::generate().unwrap();
        write(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(*read(&path).unwrap().to_text(), *key.to_text());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_root_key_that_others_may_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        write(&path, &RootKey::generate().unwrap()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
        assert!(matches!(read(&folder.path().join("none")), Err(Error::Missing(_))));
        secret_file::write(&path, b"something else").unwrap();
        assert!(matches!(read(&path), Err(Error::Invalid { .. })));
    }
}
