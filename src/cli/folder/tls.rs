//! `[tls]` of `reelkey.toml`: the service's certificate and its key.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;

use crate::authority::vault::secret_file;
use crate::cli::folder::anchors;
use crate::cli::folder::paths::Folder;
use crate::cli::terminal::output::Failure;
use crate::crypto::tls::Identity;

/// Far more than any private key in PEM.
const TLS_KEY_BYTES_MAX: usize = 64 * 1024;

/// `[tls]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFiles {
    /// The chain, the service's own certificate first; PEM, relative to the data folder.
    pub(crate) certificate: PathBuf,
    /// Its key, mode 0600; PEM, relative to the data folder.
    pub(crate) key: PathBuf,
}

impl TlsFiles {
    /// Reads both, which only the folder's owner and root may write.
    pub(crate) fn read(&self, folder: &Folder) -> Result<Identity, Failure> {
        let (certificate, key) = (folder.inside(&self.certificate)?, folder.inside(&self.key)?);
        anchors::check_files(folder, [&*self.certificate, &*self.key])?;
        let chain = fs::read(&certificate)
            .map_err(|error| Failure::from(error).during(certificate.display()))?;
        let secret = secret_file::read(&key, TLS_KEY_BYTES_MAX)?;
        Identity::from_pem(&chain, &secret).map_err(|error| {
            let files = format!("{}, {}", certificate.display(), key.display());
            Failure::from(error).during(files)
        })
    }
}
