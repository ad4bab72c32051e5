//! What the service shows of itself on a TLS connection: rustls, with ring's primitives.

use std::sync::Arc;

use reelkey_client::time::UnixTime;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The protocols that are offered, the better one first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a listener needs: TLS 1.2 and 1.3, no client certificates.
pub type ServerConfig = rustls::ServerConfig;

/// A certificate chain and its key, ready to be shown.
#[derive(Debug)]
pub struct Identity {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// When the first certificate ends to be valid.
    pub expires: UnixTime,
}

/// The files are no identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not PEM (RFC 7468), or no certificate in it.
    #[error("the certificate is not a PEM file with the service's certificate first")]
    Certificate(#[source] Option<pem::Error>),
    /// Not PEM, or no key in it.
    #[error("the key is not a PEM file with one private key")]
    Key(#[source] pem::Error),
    /// The first certificate is no certificate.
    #[error("the first certificate cannot be read")]
    Form(#[source] x509_cert::der::Error),
    /// The two do not go together, or are of a kind that TLS does not know.
    #[error("certificate and key cannot be used")]
    Unusable(#[from] rustls::Error),
}

impl Identity {
    /// Reads a chain, the service's own certificate first, and its key; both PEM.
    ///
    /// # Errors
    /// [`Error`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| Error::Certificate(Some(error)))?;
        let own = chain.first().ok_or(Error::Certificate(None))?;
        let own = Certificate::from_der(own).map_err(Error::Form)?;
        let not_after = own.tbs_certificate().validity().not_after.to_unix_duration();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(Error::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        let expires = UnixTime::from_secs(not_after.as_secs());
        Ok(Self { config: Arc::new(config), expires })
    }
}
