//! The lock of a file that is decrypted in place: two processes that decrypt it would leave garbage.

use std::fs::{File, TryLockError};
use std::thread;
use std::time::Duration;

use crate::cli::terminal::output::Failure;

/// A child process holds the locks of its parent for an instant while it starts. The lock is therefore asked for again,
/// for about a second in all.
const ATTEMPTS_AGAIN: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// Locks the file until it is closed. A file system without locks is left without one.
///
/// # Errors
/// [`Failure`] if another process keeps the lock.
pub(super) fn lock(file: &File) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS_AGAIN {
        if !is_locked_elsewhere(file) {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    if is_locked_elsewhere(file) {
        return Err(
            Failure::new("another process works on this file").remedy("wait until it ended")
        );
    }
    Ok(())
}

/// Tries to take the lock.
fn is_locked_elsewhere(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::NamedTempFile;

    /// A file, its lock held by one handle, and another handle.
    fn locked() -> (NamedTempFile, File) {
        let holder = NamedTempFile::new().unwrap();
        holder.as_file().lock().unwrap();
        let other = holder.reopen().unwrap();
        (holder, other)
    }

    #[test]
    fn a_lock_that_is_released_soon_is_waited_for() {
        let (holder, file) = locked();
        let taken = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                holder.as_file().unlock().unwrap();
            });
            lock(&file)
        });
        assert!(taken.is_ok(), "{taken:?}");
        // It is held now.
        assert!(is_locked_elsewhere(&holder.reopen().unwrap()));
    }

    #[test]
    fn a_lock_that_stays_held_is_refused() {
        let (holder, file) = locked();
        let refused = lock(&file).unwrap_err().to_string();
        assert!(refused.contains("another process works on this file"), "{refused}");
        drop(holder);
        assert!(lock(&file).is_ok());
    }
}
