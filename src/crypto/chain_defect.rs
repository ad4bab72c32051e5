//! Why a certificate chain does not vouch for a device, in words for the log.

use crate::crypto::android::Shortcoming;

/// Why a chain does not vouch for a device. The message repeats nothing that the device sent.
#[derive(Debug, thiserror::Error)]
pub enum Defect {
    /// No CA is configured.
    #[error("no device CA is configured")]
    NoCa,
    /// The first certificate is about another key than the device key.
    #[error("the first certificate is not for the device key")]
    OtherKey,
    /// A certificate cannot be parsed.
    #[error("certificate {0} of the chain cannot be read")]
    Form(usize),
    /// A certificate is in the chain twice.
    #[error("a certificate is in the chain twice")]
    Twice,
    /// A key of the chain is revoked.
    #[error("a key of the chain is revoked by its hash")]
    KeyRevoked,
    /// A certificate of the chain is on the status list of its maker.
    #[error("a certificate of the chain is on the status list")]
    Listed,
    /// The chain does not lead to a configured CA, or breaks a rule on the way.
    #[error("{}", in_words(.0))]
    Path(#[from] webpki::Error),
    /// The CA's own certificate is not valid now.
    #[error("the device CA's certificate is not valid now")]
    CaNotValid,
    /// There are more CAs on the path than the configured one allows.
    #[error("the path is longer than the device CA allows")]
    TooLong,
    /// The device's certificate is for something else than signatures.
    #[error("the device's certificate is not for digital signatures (key usage)")]
    KeyUsage,
    /// A certificate on the path is not for signing certificates.
    #[error("a certificate on the path is not for signing certificates (key usage)")]
    CaKeyUsage,
    /// The attestation is not good enough.
    #[error(transparent)]
    Attestation(#[from] Shortcoming),
}

/// The rule of RFC 5280 that is broken.
fn in_words(error: &webpki::Error) -> String {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } => "a certificate of the chain has expired".into(),
        E::CertNotValidYet { .. } => "a certificate of the chain is not valid yet".into(),
        E::UnknownIssuer => "the chain does not lead to a device CA".into(),
        E::InvalidSignatureForPublicKey => {
            "a signature in the chain is wrong, or the chain leads to another CA of that name"
                .into()
        }
        E::CertRevoked => "a certificate of the chain is on a revocation list".into(),
        E::NameConstraintViolation => {
            "a name is outside the name constraints of a CA on the path".into()
        }
        E::PathLenConstraintViolated => "the path is longer than a CA on it allows".into(),
        E::CaUsedAsEndEntity => "the device's certificate is that of a CA".into(),
        E::EndEntityUsedAsCa => "a certificate on the path is not that of a CA".into(),
        E::RequiredEkuNotFoundContext(_) => {
            "the device's certificate is for other purposes than clientAuth (extended key usage)"
                .into()
        }
        other => format!("the chain cannot be verified: {other}"),
    }
}
