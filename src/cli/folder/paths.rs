//! The data folder: the path of each file of an installation.

use std::path::{Path, PathBuf};

use crate::store::open::StoreUrl;

/// The folder that `--data` names.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    config: PathBuf,
}

impl Folder {
    /// The folder at `root`, configured by `config` or by its own reelkey.toml.
    pub(crate) fn new(root: &Path, config: Option<&Path>) -> Self {
        let config = config.map_or_else(|| root.join("reelkey.toml"), Path::to_path_buf);
        Self { root: root.to_path_buf(), config }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `reelkey.toml`: names, listeners, issuers.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// `policies/`: one TOML file for each policy.
    pub(crate) fn policies(&self) -> PathBuf {
        self.root.join("policies")
    }

    /// `keys/`: the root key, and the keys that verify tokens.
    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// `keys/root.key`: the root key, mode 0600.
    pub(crate) fn root_key(&self) -> PathBuf {
        self.keys().join("root.key")
    }

    /// `keys/dev/`: private keys of development issuers, mode 0600.
    pub(crate) fn development_keys(&self) -> PathBuf {
        self.keys().join("dev")
    }

    /// `admin.sock`: where the running service receives operations, mode 0600.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.root.join("admin.sock")
    }

    /// The name of the store, which is in `store/`.
    pub(crate) fn store(&self) -> StoreUrl {
        StoreUrl::Sled(self.store_files())
    }

    /// `store/`: the files of the store.
    pub(crate) fn store_files(&self) -> PathBuf {
        self.root.join("store")
    }
}
