//! What a command reads: a file, or standard input where it is named `-`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a path is `-`, which stands for standard input or standard output, or a device that does.
pub(crate) fn is_standard(path: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/stdout"].iter().any(|name| path == Path::new(name))
}

/// Opens a file, or standard input for `-`.
///
/// # Errors
/// The file cannot be opened, or standard input was opened before.
pub(crate) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if is_standard(path) {
        return Ok(Box::new(standard_input()?));
    }
    Ok(Box::new(File::open(path)?))
}

/// Standard input, for one reader: a second one would get what the first has left.
///
/// # Errors
/// It was opened before.
pub(crate) fn standard_input() -> io::Result<io::StdinLock<'static>> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    if IS_TAKEN.swap(true, Ordering::Relaxed) {
        return Err(io::Error::other("standard input can be named once only"));
    }
    Ok(io::stdin().lock())
}

/// Reads at most `most` bytes and one more, so that the caller can refuse what is too long. A pipe has no length, so a
/// limit counts while it is read.
///
/// # Errors
/// As [`open`], or the file cannot be read.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
