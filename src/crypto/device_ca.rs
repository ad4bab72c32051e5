//! The CAs whose certificates vouch for devices, and the judgement of a device's chain.
//!
//! A chain leads from the device's own certificate to a certificate of a configured CA (RFC 5280 section 6). webpki verifies
//! signatures, validity, EKUs, the path length below the CA, DNS and address constraints and revocation lists; names of a
//! directory under a constraint are refused. This file adds what webpki leaves open: key usages, the validity and path
//! length of the CA itself, revoked keys, and Android's attestation.
//!
//! If several configured CAs are on the way, the nearest to the device counts.
//!
//! Deliberately absent: which level a CA vouches for, and where its files are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reelkey_client::strict::certificate;
use reelkey_client::strict::jwk::PublicKey;
use reelkey_client::time::UnixTime;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor};
use webpki::{
    ALL_VERIFICATION_ALGS, CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath, anchor_from_trusted_cert,
};

use crate::crypto::android::{self, ATTESTATION, Shortcoming};
pub use crate::crypto::chain_defect::Defect;
use crate::crypto::status_list;
use crate::crypto::x509::{Certificate, ListIdentity};

/// A configured CA: one certificate or more, under one name.
#[derive(Clone)]
pub struct DeviceCa {
    name: String,
    kind: Kind,
    anchors: Vec<Anchor>,
    /// One of each issuer: the newest.
    revocation_lists: Vec<RevocationList>,
    /// The serial numbers that the maker's status list revokes, in hexadecimal.
    revoked_serials: BTreeSet<String>,
}

/// What a chain to a CA has to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The CA vouches for the device by issuing its certificate.
    Certificates,
    /// The CA vouches for secure hardware, whose attestation says what is known about the device key.
    AndroidKeyAttestation,
}

/// A revocation list, and what tells which of two lists replaces the other.
#[derive(Clone)]
struct RevocationList {
    identity: ListIdentity,
    list: Arc<CertRevocationList<'static>>,
}

#[derive(Clone)]
struct Anchor {
    trusted: TrustAnchor<'static>,
    certificate: Certificate,
}

/// A certificate of a CA, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorView {
    /// Its subject (RFC 4514).
    pub subject: String,
    /// SHA-256 of its `subjectPublicKeyInfo`.
    pub key_hash: [u8; 32],
    /// The last moment of its validity.
    pub not_after: UnixTime,
}

/// The files do not make a CA.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not PEM (RFC 7468).
    #[error("not a PEM file")]
    Pem(#[source] pem::Error),
    /// There is no certificate in the file.
    #[error("there is no certificate in the file")]
    Empty,
    /// A certificate cannot be parsed.
    #[error("certificate {0} of the file cannot be read")]
    Form(usize),
    /// A certificate is not that of a CA.
    #[error(
        "{0}: not a CA's certificate (basicConstraints CA:TRUE, and keyCertSign if it has a key usage)"
    )]
    NotCa(String),
    /// Two CAs have the same name and key, so that nobody could say which of them vouches.
    #[error("{0} and {1} are the same CA; remove one of the two")]
    Twice(String, String),
    /// A revocation list cannot be parsed.
    #[error("the revocation list cannot be read: {0}")]
    RevocationList(String),
    /// The status list cannot be parsed.
    #[error(
        "the status list is not {{\"entries\": {{SERIAL: {{\"status\": \"REVOKED\" or \"SUSPENDED\"}}}}}}"
    )]
    StatusList(#[source] serde_json::Error),
}

impl DeviceCa {
    /// Reads the certificates of a CA, PEM.
    ///
    /// # Errors
    /// [`Error`].
    pub fn from_pem(name: &str, kind: Kind, certificates: &[u8]) -> Result<Self, Error> {
        let mut anchors = Vec::new();
        for (at, der) in CertificateDer::pem_slice_iter(certificates).enumerate() {
            let der = der.map_err(Error::Pem)?;
            let certificate = Certificate::parse(&der).ok_or(Error::Form(at + 1))?;
            if certificate.ca().is_none() || !certificate.may_sign_certificates() {
                return Err(Error::NotCa(certificate.subject()));
            }
            let trusted = anchor_from_trusted_cert(&der).map_err(|_| Error::Form(at + 1))?;
            anchors.push(Anchor { trusted: trusted.to_owned(), certificate });
        }
        if anchors.is_empty() {
            return Err(Error::Empty);
        }
        let (revocation_lists, revoked_serials) = (Vec::new(), BTreeSet::new());
        Ok(Self { name: name.to_owned(), kind, anchors, revocation_lists, revoked_serials })
    }

    /// Adds revocation lists (RFC 5280 section 5): PEM, or one in DER. A list counts although its next one is due. Of several
    /// lists of one issuer, the newest counts alone.
    ///
    /// # Errors
    /// [`Error::RevocationList`].
    pub fn revoke_by_lists(&mut self, lists: &[u8]) -> Result<(), Error> {
        let malformed = |error: &dyn fmt::Display| Error::RevocationList(error.to_string());
        let in_der = || vec![CertificateRevocationListDer::from(lists.to_vec())];
        let all =
            CertificateRevocationListDer::pem_slice_iter(lists).collect::<Result<Vec<_>, _>>();
        let all = match all {
            Ok(all) if all.is_empty() => in_der(),
            Ok(all) => all,
            Err(_) if lists.first() == Some(&0x30) => in_der(),
            Err(error) => return Err(malformed(&error)),
        };
        for der in all {
            let identity =
                ListIdentity::parse(&der).ok_or_else(|| malformed(&"it cannot be parsed"))?;
            let list =
                OwnedCertRevocationList::from_der(&der).map_err(|error| malformed(&error))?;
            // webpki asks one list of an issuer: the newest counts, as if it were the only one (RFC 5280, 5.1.2.4).
            let others = &mut self.revocation_lists;
            if others.iter().any(|other| identity.is_replaced_by(&other.identity)) {
                continue;
            }
            others.retain(|other| !other.identity.is_replaced_by(&identity));
            others.push(RevocationList { identity, list: Arc::new(list.into()) });
        }
        Ok(())
    }

    /// Adds a status list as Google publishes it for Android's attestation: `{"entries": {SERIAL: {"status": ...}}}`, serial
    /// numbers in lower-case hexadecimal. Whatever is listed is revoked.
    ///
    /// # Errors
    /// [`Error::StatusList`].
    pub fn revoke_by_status(&mut self, list: &[u8]) -> Result<(), Error> {
        self.revoked_serials.extend(status_list::serials(list).map_err(Error::StatusList)?);
        Ok(())
    }

    /// The name that it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a chain has to prove.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its certificates.
    pub fn certificates(&self) -> impl Iterator<Item = AnchorView> {
        self.anchors.iter().map(|anchor| AnchorView {
            subject: anchor.certificate.subject(),
            key_hash: anchor.certificate.key_hash(),
            not_after: anchor.certificate.validity().1,
        })
    }

    /// How many certificates its lists revoke by a status list, and how many revocation lists there are.
    #[must_use]
    pub fn revocations(&self) -> (usize, usize) {
        (self.revoked_serials.len(), self.revocation_lists.len())
    }
}

/// The certificates of a PEM file in DER, in their order.
///
/// # Errors
/// [`Error`].
pub fn chain_from_pem(pem: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let chain = CertificateDer::pem_slice_iter(pem).map(|der| der.map(|der| der.to_vec()));
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(Error::Pem)?;
    if chain.is_empty() { Err(Error::Empty) } else { Ok(chain) }
}

impl fmt::Debug for DeviceCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceCa({:?}, {:?}, {} certificates)", self.name, self.kind, self.anchors.len())
    }
}

/// All configured CAs, and the keys that count no more.
#[derive(Clone, Debug, Default)]
pub struct DeviceCas {
    cas: Vec<DeviceCa>,
    /// SHA-256 of the `subjectPublicKeyInfo` of CAs and devices.
    revoked_keys: BTreeSet<[u8; 32]>,
}

impl DeviceCas {
    /// These CAs, without the keys whose hashes are revoked.
    ///
    /// # Errors
    /// [`Error::Twice`].
    pub fn new(cas: Vec<DeviceCa>, revoked_keys: BTreeSet<[u8; 32]>) -> Result<Self, Error> {
        for (at, ca) in cas.iter().enumerate() {
            for other in cas.iter().take(at) {
                let is_theirs = |anchor: &Anchor| {
                    other.anchors.iter().any(|theirs| theirs.trusted == anchor.trusted)
                };
                if ca.anchors.iter().any(is_theirs) {
                    return Err(Error::Twice(other.name.clone(), ca.name.clone()));
                }
            }
        }
        Ok(Self { cas, revoked_keys })
    }

    /// The CAs.
    #[must_use]
    pub fn all(&self) -> &[DeviceCa] {
        &self.cas
    }

    /// Judges a chain, the device's own certificate first, in DER. Returns the CA that vouches for the holder of `device`.
    ///
    /// # Errors
    /// [`Defect`].
    pub fn judge(
        &self,
        chain: &[Vec<u8>],
        device: &PublicKey,
        now: UnixTime,
    ) -> Result<&DeviceCa, Defect> {
        if self.cas.is_empty() {
            return Err(Defect::NoCa);
        }
        let (own, issuers) = chain.split_first().ok_or(Defect::Form(1))?;
        if certificate::public_key(own).as_ref() != Some(device) {
            return Err(Defect::OtherKey);
        }
        let parse =
            |(at, der): (usize, &Vec<u8>)| Certificate::parse(der).ok_or(Defect::Form(at + 1));
        let parsed = chain.iter().enumerate().map(parse).collect::<Result<Vec<_>, _>>()?;
        let own_parsed = parsed.first().ok_or(Defect::Form(1))?;
        if parsed.iter().any(|one| self.revoked_keys.contains(&one.key_hash())) {
            return Err(Defect::KeyRevoked);
        }
        if (1..chain.len()).any(|at| chain.iter().take(at).any(|one| chain.get(at) == Some(one))) {
            return Err(Defect::Twice);
        }
        let own = CertificateDer::from(own.as_slice());
        let issuers: Vec<_> = issuers.iter().map(|der| CertificateDer::from(&**der)).collect();
        let leaf = EndEntityCert::try_from(&own)?;
        let anchors = trusted(self.cas.iter());
        let ca = {
            let path = verify(&leaf, &issuers, &anchors, &[], now)?;
            self.ca_of(path.anchor()).ok_or(webpki::Error::UnknownIssuer)?
        };
        // Only the lists of this CA: webpki asks the first list with the name of an issuer, and names are not unique.
        let lists: Vec<_> = ca.revocation_lists.iter().map(|list| &*list.list).collect();
        let anchors = trusted(std::iter::once(ca));
        let path = verify(&leaf, &issuers, &anchors, &lists, now)?;
        let between: Vec<_> = path.intermediate_certificates().map(|one| one.der()).collect();
        let between = between.iter().filter_map(|der| Certificate::parse(der)).collect::<Vec<_>>();
        self.judge_ca(ca, path.anchor(), &between, now)?;
        if !own_parsed.may_sign_requests() {
            return Err(Defect::KeyUsage);
        }
        if parsed.iter().any(|one| ca.revoked_serials.contains(&one.serial())) {
            return Err(Defect::Listed);
        }
        match ca.kind {
            Kind::Certificates => {}
            Kind::AndroidKeyAttestation => judge_attestation(own_parsed, &between)?,
        }
        Ok(ca)
    }

    /// What webpki does not ask of the CA and of those between it and the device.
    ///
    /// A CA may have several certificates of one key, the older of which have ended: one that is good is enough.
    fn judge_ca(
        &self,
        ca: &DeviceCa,
        found: &TrustAnchor<'_>,
        between: &[Certificate],
        now: UnixTime,
    ) -> Result<(), Defect> {
        let mut verdict = Err(Defect::CaNotValid);
        for anchor in ca.anchors.iter().filter(|anchor| anchor.trusted == *found) {
            verdict = self.judge_anchor(anchor, between, now);
            if verdict.is_ok() {
                break;
            }
        }
        verdict?;
        match between.iter().all(Certificate::may_sign_certificates) {
            true => Ok(()),
            false => Err(Defect::CaKeyUsage),
        }
    }

    fn judge_anchor(
        &self,
        anchor: &Anchor,
        between: &[Certificate],
        now: UnixTime,
    ) -> Result<(), Defect> {
        if self.revoked_keys.contains(&anchor.certificate.key_hash()) {
            return Err(Defect::KeyRevoked);
        }
        let (from, until) = anchor.certificate.validity();
        if now < from || until < now {
            return Err(Defect::CaNotValid);
        }
        let length = anchor.certificate.ca();
        match length.is_some_and(|length| length.allows(between.len())) {
            true => Ok(()),
            false => Err(Defect::TooLong),
        }
    }

    fn ca_of(&self, found: &TrustAnchor<'_>) -> Option<&DeviceCa> {
        self.cas.iter().find(|ca| ca.anchors.iter().any(|anchor| anchor.trusted == *found))
    }
}

/// The certificates of these CAs, as webpki takes them.
fn trusted<'a>(cas: impl Iterator<Item = &'a DeviceCa>) -> Vec<TrustAnchor<'static>> {
    cas.flat_map(|ca| &ca.anchors).map(|anchor| anchor.trusted.clone()).collect()
}

/// The nearest path from the device's certificate to one of the CAs' certificates.
fn verify<'a>(
    leaf: &'a EndEntityCert<'a>,
    issuers: &'a [CertificateDer<'a>],
    anchors: &'a [TrustAnchor<'a>],
    lists: &[&CertRevocationList<'_>],
    now: UnixTime,
) -> Result<VerifiedPath<'a>, webpki::Error> {
    // Without a list there is nothing to look up; a list says nothing about certificates of other issuers.
    let revocation = RevocationOptionsBuilder::new(lists).ok();
    let revocation =
        revocation.map(|lists| lists.with_status_policy(UnknownStatusPolicy::Allow).build());
    let time = rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
    let usage = KeyUsage::client_auth();
    leaf.verify_for_usage(ALL_VERIFICATION_ALGS, anchors, issuers, time, usage, revocation, None)
}

/// The attestation of the device key, which the maker's key has to have signed itself.
fn judge_attestation(own: &Certificate, between: &[Certificate]) -> Result<(), Shortcoming> {
    if between.iter().any(|one| one.extensions(ATTESTATION).next().is_some()) {
        return Err(Shortcoming::NotByTheMaker);
    }
    let mut attestations = own.extensions(ATTESTATION);
    match (attestations.next(), attestations.next()) {
        (Some(attestation), None) => android::judge(attestation),
        _ => Err(Shortcoming::Missing),
    }
}
