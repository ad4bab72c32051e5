//! The keys of a license that a device obtained. To open it takes the request that it answers and the key that it was
//! sealed to; a kept license has both.
//!
//! Deliberately absent: asking the service for a license, which is the player's.

use std::path::{Path, PathBuf};

use clap::Args;
use reelkey_client::exchange::jwks::{BYTES_MAX as KEY_SET_BYTES_MAX, Jwks};
use reelkey_client::exchange::kept::BYTES_MAX;
use reelkey_client::exchange::{Pending, SessionType, StoredRequest, request, stored};
use reelkey_client::key::{ContentKey, KeyId};

use crate::cli::clock;
use crate::cli::decrypt::kept;
use crate::cli::secret_argument::SecretArgument;
use crate::cli::source;
use crate::cli::terminal::output::Failure;

#[derive(Debug, Args)]
pub(super) struct LicenseArgs {
    /// A license, as the service sent it or as the client crate keeps it: its keys are used as long as it holds. A
    /// persistent license is kept from its first use on: the file then holds all that it needs, and its first play.
    #[arg(long, value_name = "FILE")]
    license: Option<PathBuf>,
    /// The request that the license answers, as it was sent.
    #[arg(long, value_name = "FILE", requires = "license")]
    license_request: Option<PathBuf>,
    /// The private half of the request's enc_jwk, a JWK in a file: @FILE.
    #[arg(long, value_name = "@FILE", requires = "license")]
    license_key: Option<SecretArgument>,
    /// The service's key set: what /.well-known/jwks.json answers.
    #[arg(long, value_name = "FILE", requires = "license")]
    jwks: Option<PathBuf>,
}

impl LicenseArgs {
    /// The keys of the license; none if no license is named.
    ///
    /// # Errors
    /// [`Failure`] if a file cannot be read, the license is not genuine, or it does not hold now.
    pub(super) fn keys(&self) -> Result<Vec<(KeyId, ContentKey)>, Failure> {
        let Some(path) = &self.license else { return Ok(Vec::new()) };
        if let Some(key) = &self.license_key {
            refuse_bare(key)?;
        }
        let license = read(path, BYTES_MAX)?;
        if kept::is_kept(&license) {
            return kept::play(path, &license);
        }
        let (Some(request), Some(key), Some(jwks)) =
            (&self.license_request, &self.license_key, &self.jwks)
        else {
            let what = "a license as the service sent it does not open by itself";
            return Err(Failure::new(what).during(path.display()).remedy(
                "name its request, its key and the key set too: --license-request, --license-key and --jwks",
            ));
        };
        Self::open(path, &license, (request, key, jwks))
    }

    /// The keys of a license as the service sent it, which the file `path` holds.
    fn open(
        path: &Path,
        license: &[u8],
        (request, key, jwks): (&Path, &SecretArgument, &Path),
    ) -> Result<Vec<(KeyId, ContentKey)>, Failure> {
        let private = key.read()?;
        let body = read(request, request::BYTES_MAX)?;
        let stored = StoredRequest { request: &body, private_jwk: private.as_bytes() };
        let pending = Pending::resume(stored).map_err(|error| {
            let is_key = matches!(error, stored::Error::Key);
            let place = if is_key { key.to_string() } else { request.display().to_string() };
            Failure::from(error).during(place)
        })?;
        let service = Jwks::parse(&read(jwks, KEY_SET_BYTES_MAX)?)
            .map_err(|error| Failure::from(error).during(jwks.display()))?;
        let opened = pending
            .open(license, &service)
            .map_err(|error| Failure::from(error).during(path.display()))?;
        if opened.claims.session_type == SessionType::PersistentLicense {
            return kept::keep(path, license, &opened.claims, (&pending, &body, &service));
        }
        let (now, claims) = (clock::now().as_secs(), &opened.claims);
        if now < claims.nbf || now >= claims.exp {
            let [from, to] = [claims.nbf, claims.exp].map(clock::show);
            let what = format_args!("the license holds from {from} to {to}, and not now");
            return Err(Failure::new(what).remedy("ask the service for another"));
        }
        Ok(opened.keys)
    }
}

/// Refuses a key on the command line, where others can see it.
fn refuse_bare(key: &SecretArgument) -> Result<(), Failure> {
    match key {
        SecretArgument::Value(value) if !value.trim_start().starts_with('{') => {
            Err(Failure::new("--license-key: this is no JWK")
                .remedy("name the file that holds it, with an @ before its name: @FILE"))
        }
        _ => Ok(()),
    }
}

/// Reads a small file of text, without the white space that an editor leaves behind it. Of a longer file only the first
/// bytes are read, one more than is allowed, so that the parser refuses them.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, Failure> {
    let read = source::read(path, most);
    let bytes = read.map_err(|error| Failure::from(error).during(path.display()))?;
    Ok(bytes.trim_ascii().to_vec())
}
