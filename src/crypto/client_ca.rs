//! Client certificates of packagers: whether a chain leads to the CA that the operator named.
//!
//! Deliberately absent: revocation. A packager whose key has leaked is removed, or given another CA.

use reelkey_client::time::UnixTime;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, UnixTime as RustlsTime};
use std::time::Duration;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// The file is no certificate of a CA.
#[derive(Debug, thiserror::Error)]
pub enum NoCa {
    /// It is not PEM (RFC 7468), or has not exactly one certificate.
    #[error("not a PEM file with one certificate of a certificate authority")]
    Form(#[source] Option<pem::Error>),
    /// The certificate cannot be read.
    #[error("the certificate of the certificate authority cannot be read")]
    Unusable(#[source] webpki::Error),
}

/// Reads the one certificate of a PEM file. Returns it as DER.
///
/// # Errors
/// [`NoCa`].
pub fn parse(pem: &[u8]) -> Result<Vec<u8>, NoCa> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| NoCa::Form(Some(error)))?;
    let [ca] = &all[..] else { return Err(NoCa::Form(None)) };
    anchor_from_trusted_cert(ca).map_err(NoCa::Unusable)?;
    Ok(ca.to_vec())
}

/// Whether a client's chain, its own certificate first, leads to `ca` at the time `now`, and is meant for clients
/// (RFC 5280 section 4.2.1.12).
#[must_use]
pub fn vouches(ca: &[u8], chain: &[Vec<u8>], now: UnixTime) -> bool {
    let ca = CertificateDer::from(ca);
    let Ok(anchor) = anchor_from_trusted_cert(&ca) else { return false };
    let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(&der[..])).collect();
    let Some((own, between)) = chain.split_first() else { return false };
    let Ok(own) = EndEntityCert::try_from(own) else { return false };
    let now = RustlsTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
    let usage = KeyUsage::client_auth();
    own.verify_for_usage(ALL_VERIFICATION_ALGS, &[anchor], between, now, usage, None, None).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        date_time_ymd,
    };

    fn ca() -> (String, Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    }

    fn client(issuer: &Issuer<'_, KeyPair>, usage: ExtendedKeyUsagePurpose) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["encoder".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().to_vec()
    }

    #[test]
    fn a_chain_counts_for_its_ca_in_its_time_and_for_clients_alone() {
        let (pem, issuer) = ca();
        let der = parse(pem.as_bytes()).unwrap();
        let at = UnixTime::from_secs(1_790_000_000);
        let good = client(&issuer, ExtendedKeyUsagePurpose::ClientAuth);
        assert!(vouches(&der, std::slice::from_ref(&good), at));
        assert!(!vouches(&der, std::slice::from_ref(&good), UnixTime::from_secs(1_700_000_000)));
        assert!(!vouches(&der, &[client(&issuer, ExtendedKeyUsagePurpose::ServerAuth)], at));
        let other = parse(ca().0.as_bytes()).unwrap();
        assert!(!vouches(&other, &[good], at));
        assert!(!vouches(&der, &[], at) && !vouches(&der, &[b"garbage".to_vec()], at));
    }

    #[test]
    fn a_file_has_one_certificate() {
        let (pem, _) = ca();
        assert!(parse(pem.as_bytes()).is_ok());
        assert!(matches!(parse([&pem[..], &pem].concat().as_bytes()), Err(NoCa::Form(None))));
        assert!(matches!(parse(b""), Err(NoCa::Form(None))));
    }
}
