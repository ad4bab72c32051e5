//! What the judge of device chains reads of a certificate itself: what its key is for, how far it may certify, and the hash
//! of its key (RFC 5280 section 4.2.1); and of a revocation list, whose it is. Signatures, validity, names and revocation lists are webpki's.

use reelkey_client::time::UnixTime;
use x509_cert::Certificate as Parsed;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::name::Name;

use crate::crypto::digest::sha256;

/// The OID of `issuingDistributionPoint` (RFC 5280 section 5.2.5).
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");

/// A certificate that could be parsed. Its signature is not verified.
#[derive(Clone, Debug)]
pub(super) struct Certificate(Parsed);

impl Certificate {
    /// Parses a certificate in DER.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        Parsed::from_der(der).ok().map(Self)
    }

    /// Whether the key may sign requests: `digitalSignature`, or no limit of its usage.
    pub(super) fn may_sign_requests(&self) -> bool {
        self.usage().is_some_and(|usage| usage.is_none_or(|usage| usage.digital_signature()))
    }

    /// Whether the key may sign certificates: `keyCertSign`, or no limit of its usage.
    pub(super) fn may_sign_certificates(&self) -> bool {
        self.usage().is_some_and(|usage| usage.is_none_or(|usage| usage.key_cert_sign()))
    }

    /// `None` if the extension is malformed or there twice.
    fn usage(&self) -> Option<Option<KeyUsage>> {
        let found = self.0.tbs_certificate().get_extension::<KeyUsage>().ok()?;
        Some(found.map(|(_, usage)| usage))
    }

    /// The basic constraints of a CA: how many CAs may follow it on a path. `None` if it is no CA.
    pub(super) fn ca(&self) -> Option<PathLength> {
        let found = self.0.tbs_certificate().get_extension::<BasicConstraints>().ok()?;
        let (_, constraints) = found?;
        constraints.ca.then_some(PathLength(constraints.path_len_constraint))
    }

    /// The first and the last moment of its validity.
    pub(super) fn validity(&self) -> (UnixTime, UnixTime) {
        let validity = self.0.tbs_certificate().validity();
        let secs =
            |time: &x509_cert::time::Time| UnixTime::from_secs(time.to_unix_duration().as_secs());
        (secs(&validity.not_before), secs(&validity.not_after))
    }

    /// The DER of its `subjectPublicKeyInfo`.
    pub(super) fn key_der(&self) -> Vec<u8> {
        // What was parsed can be encoded.
        self.0.tbs_certificate().subject_public_key_info().to_der().unwrap_or_default()
    }

    /// SHA-256 of the DER of its `subjectPublicKeyInfo`.
    pub(super) fn key_hash(&self) -> [u8; 32] {
        sha256(&self.key_der())
    }

    /// Its subject, as text (RFC 4514).
    pub(super) fn subject(&self) -> String {
        self.0.tbs_certificate().subject().to_string()
    }

    /// Its serial number in hexadecimal, without leading zeros.
    pub(super) fn serial(&self) -> String {
        let bytes = self.0.tbs_certificate().serial_number().as_bytes();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.trim_start_matches('0').to_owned()
    }

    /// The values of the extensions with this OID.
    pub(super) fn extensions(&self, oid: ObjectIdentifier) -> impl Iterator<Item = &[u8]> {
        let all = self.0.tbs_certificate().extensions().into_iter().flatten();
        all.filter(move |one| one.extn_id == oid).map(|one| one.extn_value.as_bytes())
    }
}

/// How many CAs may follow one on a path, the device's own certificate not counted (`pathLenConstraint`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathLength(Option<u8>);

impl PathLength {
    /// Whether so many may.
    pub(super) fn allows(self, cas: usize) -> bool {
        self.0.is_none_or(|most| cas <= usize::from(most))
    }
}

/// Whose list it is, and when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListIdentity {
    issuer: Name,
    /// For which certificates, if not for all of the issuer: `issuingDistributionPoint`.
    scope: Option<Vec<u8>>,
    made_at: UnixTime,
}

impl ListIdentity {
    /// Reads the identity of a revocation list in DER.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let list = CertificateList::<Rfc5280>::from_der(der).ok()?.tbs_cert_list;
        let extensions = list.crl_extensions.iter().flatten();
        let mut scopes = extensions.filter(|one| one.extn_id == ISSUING_DISTRIBUTION_POINT);
        let scope = scopes.next().map(|one| one.extn_value.as_bytes().to_vec());
        let made_at = UnixTime::from_secs(list.this_update.to_unix_duration().as_secs());
        Some(Self { issuer: list.issuer, scope, made_at })
    }

    /// Whether `other` is a list for the same certificates that is as new, or newer.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        let is_same = self.issuer == other.issuer && self.scope == other.scope;
        is_same && self.made_at <= other.made_at
    }
}
