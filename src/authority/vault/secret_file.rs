//! Files that only their owner may read. They are written completely or not at all, and refused if other users may
//! read them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::store::owner;

/// The file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such file.
    #[error("there is no file {0}")]
    Missing(PathBuf),
    /// Other users than its owner may read or write the file.
    #[error("{path} has mode {mode:04o}, so others may read it; run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is longer than expected.
    #[error("{path} is longer than {bytes_max} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The longest allowed length.
        bytes_max: usize,
    },
    /// The operating system reported an error.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

/// Reads the file, of at most `bytes_max` bytes.
///
/// # Errors
/// [`Error`].
pub fn read(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Missing(path.to_owned()));
        }
        file => file.map_err(io)?,
    };
    let mode = file.metadata().map_err(io)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed { path: path.to_owned(), mode });
    }
    read_from(file, path, bytes_max)
}

/// Reads at most `bytes_max` bytes of a secret that comes from an open file or a pipe. `path` is for errors.
///
/// # Errors
/// [`Error::TooLong`] or [`Error::Io`].
pub fn read_from(
    input: impl Read,
    path: &Path,
    bytes_max: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    // The buffer has room for all bytes and for what the reader asks in addition. So it never grows, and no copy of
    // the secret stays behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max.saturating_add(64)));
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let read = input.take(most).read_to_end(&mut bytes);
    read.map_err(|source| Error::Io { path: path.to_owned(), source })?;
    if bytes.len() > bytes_max {
        return Err(Error::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(bytes)
}

/// Writes a file that only its owner may read, completely or not at all. The folder is made if it is missing. An
/// existing file with this name is replaced. The new file belongs to the folder's owner, even if root writes it.
///
/// # Errors
/// The error of the operating system.
pub fn write(path: &Path, secret: &[u8]) -> io::Result<()> {
    let aside = write_aside(path, secret)?;
    fs::rename(aside, path)?;
    sync_folder_of(path)
}

/// Like [`write()`], but never replaces a file.
///
/// # Errors
/// The error of the operating system; [`io::ErrorKind::AlreadyExists`] if there is a file with this name.
pub fn create(path: &Path, secret: &[u8]) -> io::Result<()> {
    let aside = write_aside(path, secret)?;
    // A rename would replace an existing file. A hard link fails instead.
    let named = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    named?;
    sync_folder_of(path)
}

/// Writes the new file beside `path` and returns its name.
fn write_aside(path: &Path, secret: &[u8]) -> io::Result<PathBuf> {
    let folder = owner::above(path);
    owner::make_folder(folder)?;
    let aside = beside(path, ".new");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    owner::give_file(&file, folder)?;
    file.write_all(secret)?;
    file.sync_all()?;
    Ok(aside)
}

pub(in crate::authority) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(in crate::authority) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(owner::above(path))?.sync_all()
}
