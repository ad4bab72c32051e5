//! The lock of a file that is decrypted in place: two processes that decrypt it would leave garbage.

use std::fs::{File, TryLockError};

use crate::cli::terminal::output::Failure;

/// Locks the file until it is closed. A file system without locks is left without one.
///
/// # Errors
/// [`Failure`] if another process keeps the lock.
pub(super) fn lock(file: &File) -> Result<(), Failure> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new("another process works on this file").remedy("wait until it ended"))
        }
        _ => Ok(()),
    }
}
