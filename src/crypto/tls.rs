//! The TLS identity of the service: rustls, with ring's primitives. Whom it trusts as a client is in `trust.rs`.

use std::sync::Arc;

use reelkey_client::time::UnixTime;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The offered application protocols, preferred first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The TLS configuration of a listener: TLS 1.2 and 1.3, no client certificates.
pub type ServerConfig = rustls::ServerConfig;

/// A certificate chain and its private key, ready to use.
#[derive(Debug)]
pub struct Identity {
    /// The TLS configuration for the listener.
    pub config: Arc<ServerConfig>,
    /// The end of the first certificate's validity.
    pub expires: UnixTime,
}

/// The files do not make an identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not PEM (RFC 7468), or has no certificate in it.
    #[error("the certificate is not a PEM file with the service's certificate first")]
    Certificate(#[source] Option<pem::Error>),
    /// The file is not PEM, or has no private key in it.
    #[error("the key is not a PEM file with one private key")]
    Key(#[source] pem::Error),
    /// The first certificate cannot be parsed.
    #[error("the first certificate cannot be read")]
    Form(#[source] x509_cert::der::Error),
    /// The certificate and the key do not match, or TLS does not support their kind.
    #[error("certificate and key cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// The primitives of every TLS connection of the service.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

impl Identity {
    /// Reads a chain, with the service's own certificate first, and its key. Both are PEM.
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
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        let expires = UnixTime::from_secs(not_after.as_secs());
        Ok(Self { config: Arc::new(config), expires })
    }
}
