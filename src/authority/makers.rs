//! The makers of devices that the operator trusts: the CAs that vouch for devices, each with the level that it stands for.

use std::collections::BTreeMap;

use reelkey_client::strict::jwk::PublicKey;
use reelkey_client::time::UnixTime;

use crate::crypto::device_ca::{DeviceCas, Kind};
use crate::domain::decision::Vouched;
use crate::domain::security_level::SecurityLevel;

/// The security level of a device whose secure hardware Android's key attestation vouches for.
pub const ATTESTED_LEVEL: SecurityLevel = SecurityLevel::HwSecureCrypto;

/// The configured device CAs and their levels.
#[derive(Clone, Debug, Default)]
pub struct Makers {
    cas: DeviceCas,
    levels: BTreeMap<String, SecurityLevel>,
}

impl Makers {
    /// These CAs with these levels, by their names. A CA without one vouches for the lowest.
    #[must_use]
    pub fn new(cas: DeviceCas, levels: BTreeMap<String, SecurityLevel>) -> Self {
        Self { cas, levels }
    }

    /// The highest level that a CA vouches for; `None` if there is no CA.
    #[must_use]
    pub fn highest_level(&self) -> Option<SecurityLevel> {
        let cas = self.cas.all().iter();
        cas.map(|ca| self.level(ca.name(), ca.kind())).max()
    }

    /// The CAs.
    #[must_use]
    pub fn cas(&self) -> &DeviceCas {
        &self.cas
    }

    /// The level that a CA vouches for.
    #[must_use]
    pub fn level(&self, name: &str, kind: Kind) -> SecurityLevel {
        match kind {
            Kind::AndroidKeyAttestation => ATTESTED_LEVEL,
            Kind::Certificates => self.levels.get(name).copied().unwrap_or_default(),
        }
    }

    /// What the chain of a device vouches for. `certificates` is in DER, the device's own first; it may be empty.
    #[must_use]
    pub fn judge(&self, certificates: &[Vec<u8>], device: &PublicKey, now: UnixTime) -> Vouched {
        if certificates.is_empty() {
            return Vouched::Nothing;
        }
        match self.cas.judge(certificates, device, now) {
            Ok(ca) => {
                Vouched::Level { by: ca.name().to_owned(), level: self.level(ca.name(), ca.kind()) }
            }
            Err(defect) => Vouched::Invalid(defect.to_string()),
        }
    }
}
