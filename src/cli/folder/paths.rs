//! The data folder: the path of each file of an installation.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::cli::terminal::output::Failure;
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

    /// Refuses a folder in which there is no installation: probably another one was meant.
    pub(crate) fn require(&self) -> Result<(), Failure> {
        if [self.config.clone(), self.keys(), self.store_files()].iter().any(|path| path.exists()) {
            return Ok(());
        }
        let root = self.root.display();
        let what = match self.root.is_dir() {
            true => format!("there is no installation in the data folder {root}"),
            false => format!("there is no data folder {root}"),
        };
        Err(Failure::new(what).remedy(format_args!(
            "name yours with --data DIR or REELKEY_DATA, or make one with `reelkey init --data {root}`"
        )))
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

    /// A file that the configuration names. It is in the folder, also once links are followed: what is elsewhere is not
    /// ours to judge, to replace or to delete.
    pub(crate) fn inside(&self, named: &Path) -> Result<PathBuf, Failure> {
        let outside = || {
            let what = format_args!("{} is not in the data folder", named.display());
            Failure::new(what).remedy(format_args!(
                "put the file into {}, and name it from there without `..`",
                self.root.display()
            ))
        };
        let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if named.as_os_str().is_empty() || !named.components().all(is_below) {
            return Err(outside());
        }
        let path = self.root.join(named);
        let root = fs::canonicalize(&self.root)?;
        // Of what is missing, the part that is there.
        for there in path.ancestors() {
            match fs::canonicalize(there) {
                Ok(real) if real.starts_with(&root) => break,
                Ok(_) => return Err(outside()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // A link that leads nowhere could lead anywhere by the time it is used.
                    if there.is_symlink() {
                        return Err(outside());
                    }
                }
                Err(error) => return Err(Failure::from(error).during(there.display())),
            }
        }
        Ok(path)
    }
}
