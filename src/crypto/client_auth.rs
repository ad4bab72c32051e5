//! Asking clients for a certificate while TLS is set up.
//!
//! Any certificate is taken whose key the client holds. Whom it stands for is decided later, with the packager's CA
//! ([`client_ca`](crate::crypto::client_ca)): a wrong certificate is then refused in HTTP, where a client can read why.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

use crate::crypto::tls::{ServerConfig, provider};

/// Whether clients are asked now. Browsers show a dialog when they are, so nobody is asked in vain.
pub type Wanted = Arc<dyn Fn() -> bool + Send + Sync>;

/// The configuration with the same identity and protocols that asks clients for a certificate while `wanted` says so.
///
/// # Errors
/// The primitives do not fit the protocol versions.
pub fn asking(config: &ServerConfig, wanted: Wanted) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut asking = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyHolder {
            wanted,
            algorithms: provider().signature_verification_algorithms,
        }))
        .with_cert_resolver(Arc::clone(&config.cert_resolver));
    asking.alpn_protocols.clone_from(&config.alpn_protocols);
    Ok(Arc::new(asking))
}

/// Takes any certificate whose key the client holds.
struct AnyHolder {
    wanted: Wanted,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for AnyHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyHolder(..)")
    }
}

impl ClientCertVerifier for AnyHolder {
    fn offer_client_auth(&self) -> bool {
        (self.wanted)()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
