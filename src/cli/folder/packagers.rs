//! `[keys]` of `reelkey.toml`: where packagers are answered, and the folders of keys that origins write.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::authority::key_directory::KeyDirectory;
use crate::domain::content::ContentId;

/// `[keys]`. Without the table packagers are answered where players are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysTable {
    /// Where packagers are answered and players are not.
    pub(crate) listen: Option<SocketAddr>,
    /// The folders of keys that origins write.
    #[serde(default, rename = "directory")]
    directories: Vec<DirectoryEntry>,
}

/// `[[keys.directory]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectoryEntry {
    /// The folder. A relative path begins in the data folder.
    path: PathBuf,
    /// The content whose keys are in it.
    content: ContentId,
}

impl KeysTable {
    /// The folders of keys, whose relative paths begin in `root`.
    pub(crate) fn directories(&self, root: &std::path::Path) -> Vec<KeyDirectory> {
        let of = |entry: &DirectoryEntry| KeyDirectory {
            path: root.join(&entry.path),
            content: entry.content.clone(),
        };
        self.directories.iter().map(of).collect()
    }
}
