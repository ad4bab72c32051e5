//! The path `-`, which stands for standard input or standard output.

use std::path::Path;

/// Whether the path is `-`.
pub(super) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}
