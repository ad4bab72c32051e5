//! Which servers the service trusts when it is a client: TLS 1.2 and 1.3, the server's name is verified, and its certificate
//! is issued by a certificate authority of the operating system's store or by one that the operator names.
//!
//! Deliberately absent: certificate revocation, which needs connections of its own, and every switch that turns a check
//! off.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls_native_certs::load_native_certs;

use crate::crypto::digest::sha256;
use crate::crypto::tls::provider;

/// The application protocol (RFC 7301): what is fetched is small.
const PROTOCOL: &[u8] = b"http/1.1";

/// The TLS configuration of a client.
pub type ClientConfig = rustls::ClientConfig;

/// The name that a server's certificate has to be for.
pub type Name = ServerName<'static>;

/// The certificate authorities that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the operating system; the environment may name another file or folder (`SSL_CERT_FILE`, `SSL_CERT_DIR`).
    System,
    /// These alone.
    Own(Vec<CertificateDer<'static>>),
}

/// No server can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not PEM (RFC 7468), or has no certificate in it.
    #[error("not a PEM file with certificates of a certificate authority")]
    Certificates(#[source] Option<pem::Error>),
    /// The operating system's store is missing or empty.
    #[error("the system has no certificate authorities (Debian's package is ca-certificates)")]
    NoSystemStore,
    /// A certificate cannot be read, or TLS cannot be set up.
    #[error("the certificates of the certificate authority cannot be used")]
    Unusable(#[from] rustls::Error),
}

impl Trust {
    /// Trusts the certificate authorities of a PEM file, and no others.
    ///
    /// # Errors
    /// [`Error`].
    pub fn own(pem: &[u8]) -> Result<Self, Error> {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| Error::Certificates(Some(error)))?;
        if certificates.is_empty() {
            return Err(Error::Certificates(None));
        }
        let own = Self::Own(certificates);
        own.client()?;
        Ok(own)
    }

    /// What tells it from other trust: `system`, or a hash of the certificates, in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::Own(certificates) => {
                let hashes = certificates.iter().flat_map(|certificate| sha256(certificate));
                let hash = sha256(&hashes.collect::<Vec<_>>());
                hash.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        }
    }

    /// The configuration of a client that trusts them. Reads the operating system's store, which takes some milliseconds:
    /// it is as the system has it now.
    ///
    /// # Errors
    /// [`Error`].
    pub fn client(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::System => {
                let (usable, _) = roots.add_parsable_certificates(load_native_certs().certs);
                if usable == 0 {
                    return Err(Error::NoSystemStore);
                }
            }
            Self::Own(certificates) => {
                for certificate in certificates {
                    roots.add(certificate.clone())?;
                }
            }
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }
}

/// The name of a server, as its certificate has to have it: a host name or an IP address.
///
/// # Errors
/// The text is neither.
pub fn server_name(host: &str) -> Result<Name, InvalidDnsNameError> {
    Name::try_from(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_certificate_authorities() {
        let made = rcgen::generate_simple_self_signed(["auth.example".to_owned()]).unwrap();
        Trust::own(made.cert.pem().as_bytes()).unwrap();
        let key = made.signing_key.serialize_pem();
        assert!(matches!(Trust::own(key.as_bytes()), Err(Error::Certificates(None))));
        assert!(matches!(Trust::own(b""), Err(Error::Certificates(None))));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Trust::own(broken.as_bytes()), Err(Error::Unusable(_))));
    }

    #[test]
    fn a_server_is_named_by_host_or_address() {
        for name in ["auth.example", "127.0.0.1", "::1"] {
            server_name(name).unwrap();
        }
        assert!(server_name("a b").is_err());
    }
}
