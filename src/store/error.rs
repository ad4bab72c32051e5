//! What can go wrong with a store, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::store::batch::VALUE_BYTES_MAX;

/// The store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name of the store is not one that this version can open.
    #[error("{0:?} names no store; a store is sled:DIRECTORY")]
    Name(String),
    /// There is no store.
    #[error("there is no store at {0}; run `reelkey init`")]
    Missing(PathBuf),
    /// Another process has opened it.
    #[error("the store at {0} is in use by another process; stop that one first")]
    InUse(PathBuf),
    /// A store was to be made where one exists.
    #[error("there is a store at {0} already; nothing was changed")]
    Exists(PathBuf),
    /// Its files are damaged.
    #[error(
        "the store is damaged ({0}); keep its files, and put back a copy of the data folder that was made while \
         the service was stopped"
    )]
    Damaged(String),
    /// A newer version wrote it.
    #[error("the store has format {format}, this version reads {newest}; use a newer version")]
    Newer {
        /// The format of the store.
        format: u32,
        /// The newest format that this version reads.
        newest: u32,
    },
    /// This write or an earlier one failed. No further write is acknowledged.
    #[error("a write to the store failed; repair the disk or free space, then restart the service")]
    Poisoned,
    /// The operating system reported an error.
    #[error("the store cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// A value is longer than [`VALUE_BYTES_MAX`].
    #[error("a record is longer than {VALUE_BYTES_MAX} bytes")]
    TooLong,
    /// A record cannot be serialized (no current record type can fail).
    #[error("a record could not be serialized")]
    Encoding,
}
