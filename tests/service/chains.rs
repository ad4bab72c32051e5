//! Certificate chains of devices, right and wrong in one point each, made when they are needed.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SerialNumber, date_time_ymd,
};
use reelkey_client::exchange::device::DeviceKey;
use sha2::{Digest, Sha256};

/// A CA, or one that another CA certified.
pub(crate) struct Ca {
    pub(crate) params: CertificateParams,
    pub(crate) key: KeyPair,
    /// Its own certificate, DER.
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
}

impl Ca {
    /// A root that is valid from 2020 to 2039.
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, |_| {})
    }

    pub(crate) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (ca_params(name), KeyPair::generate().unwrap());
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Self { params, key, der: certificate.der().to_vec(), pem: certificate.pem() }
    }

    /// Another certificate of this root, of the same name and key.
    pub(crate) fn reissued(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = self.params.clone();
        change(&mut params);
        params.self_signed(&self.key).unwrap().pem()
    }

    /// A CA below this one.
    pub(crate) fn sub(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (ca_params(name), KeyPair::generate().unwrap());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        Self { params, key, der: certificate.der().to_vec(), pem: certificate.pem() }
    }

    pub(crate) fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A certificate for a device, DER.
    pub(crate) fn certify(
        &self,
        device: &DeviceKey,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let mut params = params("device 1");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        let key = KeyPair::try_from(device.to_pkcs8_der().as_slice()).unwrap();
        params.signed_by(&key, &self.issuer()).unwrap().der().to_vec()
    }

    /// The hash by which its key is revoked.
    pub(crate) fn key_hash(&self) -> [u8; 32] {
        Sha256::digest(self.key.subject_public_key_info()).into()
    }
}

/// The hash by which a device's key is revoked.
pub(crate) fn device_key_hash(device: &DeviceKey) -> [u8; 32] {
    let key = KeyPair::try_from(device.to_pkcs8_der().as_slice()).unwrap();

    Sha256::digest(key.subject_public_key_info()).into()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2039, 1, 1);
    params.serial_number = Some(SerialNumber::from(0xc0ffee_u64));
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// What an Android device attests about a key.
#[derive(Clone, Copy)]
pub(crate) struct Attested {
    pub(crate) attested_by: u8,
    pub(crate) kept_by: u8,
    pub(crate) purpose: u8,
    pub(crate) origin: Option<u8>,
    /// Whether the boot loader is locked, and the state of the boot.
    pub(crate) boot: Option<(bool, u8)>,
    /// Whether software says all this, and not the hardware.
    pub(crate) by_software: bool,
}

/// What a device in order attests.
pub(crate) const IN_ORDER: Attested = Attested {
    attested_by: 1,
    kept_by: 1,
    purpose: 2,
    origin: Some(0),
    boot: Some((true, 0)),
    by_software: false,
};

impl Attested {
    /// `KeyDescription`, DER.
    pub(crate) fn to_der(self) -> Vec<u8> {
        let mut list = explicit(1, &tlv(0x31, &tlv(2, &[self.purpose])));
        list.extend(explicit(2, &tlv(2, &[3]))); // EC
        list.extend(explicit(503, &tlv(5, &[])));
        if let Some(origin) = self.origin {
            list.extend(explicit(702, &tlv(2, &[origin])));
        }
        if let Some((locked, state)) = self.boot {
            let locked = tlv(1, &[if locked { 0xff } else { 0 }]);
            let parts = [tlv(4, &[7; 32]), locked, tlv(10, &[state]), tlv(4, &[8; 32])];
            list.extend(explicit(704, &tlv(0x30, &parts.concat())));
        }
        list.extend(explicit(706, &tlv(2, &[3, 0x16, 0x3e])));
        let (mut software, mut hardware) = (explicit(701, &tlv(2, &[1, 2, 3, 4])), list);
        if self.by_software {
            software.append(&mut hardware);
        }
        let parts = [
            tlv(2, &[0, 200]),
            tlv(10, &[self.attested_by]),
            tlv(2, &[0, 200]),
            tlv(10, &[self.kept_by]),
            tlv(4, b"challenge"),
            tlv(4, &[]),
            tlv(0x30, &software),
            tlv(0x30, &hardware),
        ];
        tlv(0x30, &parts.concat())
    }

    /// The extension of a certificate.
    pub(crate) fn extension(self) -> CustomExtension {
        const OID: [u64; 10] = [1, 3, 6, 1, 4, 1, 11129, 2, 1, 17];
        CustomExtension::from_oid_content(&OID, self.to_der())
    }
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = match value.len() {
        short @ 0..0x80 => vec![u8::try_from(short).unwrap()],
        long => {
            let [high, low] = u16::try_from(long).unwrap().to_be_bytes();
            if high == 0 { vec![0x81, low] } else { vec![0x82, high, low] }
        }
    };
    [&[tag], &*length, value].concat()
}

/// `[number] EXPLICIT`, with its number in one byte or three (X.690, 8.1.2.4).
fn explicit(number: u16, value: &[u8]) -> Vec<u8> {
    let Ok(short @ 0..31) = u8::try_from(number) else {
        let [high, low] = [number >> 7, number & 0x7f].map(|part| u8::try_from(part).unwrap());
        let mut field = tlv(0, value);
        field.splice(..1, [0xbf, 0x80 | high, low]);
        return field;
    };
    tlv(0xa0 | short, value)
}
