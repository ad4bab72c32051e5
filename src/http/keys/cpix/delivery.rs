//! Encrypted delivery: the keys of an answer are encrypted under a document key, and that one to the certificates of the
//! recipients. Each value has a MAC.
//!
//! ```text
//! document key   32 random bytes      MAC key   64 random bytes      both: RSA-OAEP with SHA-1 to each recipient
//! value          IV (16 random bytes) | AES-256-CBC(document key, IV, key with PKCS#7)      or RFC 3394 (document key, key)
//! ValueMAC       HMAC-SHA512(MAC key, value)
//! ```

use base64ct::{Base64, Encoding};
use reelkey_client::key::ContentKey;
use zeroize::Zeroizing;

use crate::crypto::random::{self, RandomnessFailed};
use crate::crypto::rsa::RsaPublicKey;
use crate::crypto::{cbc, key_wrap, plain_key};
use crate::http::keys::cpix::vocabulary::{CPIX, DS, ENC, Malformed, PSKC, listed};
use crate::http::keys::xml::element::Element;

/// The algorithms, as XML encryption and XML signatures name them.
const RSA_OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const AES_256_CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";
const AES_256_KEY_WRAP: &str = "http://www.w3.org/2001/04/xmlenc#kw-aes256";
const HMAC_SHA_512: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512";

/// The most recipients of one document.
const RECIPIENTS_MAX: usize = 16;

/// How the MAC key stands in the document. Readers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum MacShape {
    /// `Key/EncryptedValue`: AWS and Shaka Packager.
    #[default]
    Aws,
    /// The encrypted data directly in `Key`: Axinom's library, and what it writes.
    Axinom,
    /// `MACKey`, and no algorithm at the document key: the schema of CPIX 2.4.
    Schema,
}

/// How values are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Values {
    /// AES-256-CBC.
    #[default]
    Cbc,
    /// AES Key Wrap (RFC 3394).
    KeyWrap,
}

/// Nothing could be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotDelivered {
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
    /// A cipher refused.
    #[error("a key could not be encrypted to its recipients")]
    Cipher,
}

/// The keys under which the keys of one document are encrypted.
pub(crate) struct Delivery {
    document_key: Box<Zeroizing<[u8; 32]>>,
    mac_key: Box<Zeroizing<[u8; 64]>>,
    values: Values,
}

/// The certificates of those who may read the answer; none if it is in the clear.
pub(crate) fn recipients(root: &Element) -> Result<Vec<RsaPublicKey>, Malformed> {
    let data: Vec<_> = listed(root, "DeliveryDataList", "DeliveryData").collect();
    if data.is_empty() && root.first(CPIX, "DeliveryDataList").is_some() {
        return Err(Malformed::at(root, "DeliveryDataList has no DeliveryData"));
    }
    if data.len() > RECIPIENTS_MAX {
        return Err(Malformed::at(
            root,
            format!("a document has at most {RECIPIENTS_MAX} recipients"),
        ));
    }
    let mut recipients = Vec::with_capacity(data.len());
    for data in data {
        let certificate = data.first(CPIX, "DeliveryKey").and_then(|key| key.first(DS, "X509Data"));
        let certificate = certificate.and_then(|data| data.first(DS, "X509Certificate"));
        let certificate = certificate.ok_or_else(|| {
            Malformed::at(data, "DeliveryData has no DeliveryKey with an X509Certificate")
        })?;
        let text: String = certificate.text.split_ascii_whitespace().collect();
        let der = Base64::decode_vec(&text)
            .map_err(|_| Malformed::at(certificate, "the X509Certificate is not base64"))?;
        let key = RsaPublicKey::of_certificate(&der)
            .map_err(|why| Malformed::at(certificate, format!("X509Certificate: {why}")))?;
        recipients.push(key);
    }
    Ok(recipients)
}

/// How the request wants values to be encrypted.
pub(crate) fn values(root: &Element) -> Values {
    let data = listed(root, "DeliveryDataList", "DeliveryData");
    let mut keys = data.flat_map(|data| data.all(CPIX, "DocumentKey"));
    match keys.any(|key| key.attribute("Algorithm") == Some(AES_256_KEY_WRAP)) {
        true => Values::KeyWrap,
        false => Values::Cbc,
    }
}

impl Delivery {
    /// New keys.
    pub(crate) fn generate(values: Values) -> Result<Self, NotDelivered> {
        let mut document_key = Box::new(Zeroizing::new([0; 32]));
        let mut mac_key = Box::new(Zeroizing::new([0; 64]));
        random::fill(document_key.as_mut_slice())?;
        random::fill(mac_key.as_mut_slice())?;
        Ok(Self { document_key, mac_key, values })
    }

    /// Puts both keys, encrypted to its recipient, into a `DeliveryData`, behind its `DeliveryKey`.
    pub(crate) fn deliver(
        &self,
        data: &mut Element,
        recipient: &RsaPublicKey,
        shape: MacShape,
    ) -> Result<(), NotDelivered> {
        data.children
            .retain(|child| !child.is(CPIX, "DocumentKey") && !child.is(CPIX, "MACMethod"));
        let key = recipient.encrypt_oaep_sha1(self.document_key.as_slice());
        let key = key.map_err(|_| NotDelivered::Cipher)?;
        let mut secret =
            Element::new(PSKC, "Secret").with_child(in_value(encrypted(RSA_OAEP, &key)));
        if shape == MacShape::Aws {
            secret.children.push(self.mac(&key));
        }
        let document_key = Element::new(CPIX, "DocumentKey")
            .with_child(Element::new(CPIX, "Data").with_child(secret));
        let document_key = match shape {
            MacShape::Schema => document_key,
            MacShape::Aws | MacShape::Axinom => document_key.with("Algorithm", self.algorithm()),
        };
        let mac_key = recipient.encrypt_oaep_sha1(self.mac_key.as_slice());
        let mac_key = encrypted(RSA_OAEP, &mac_key.map_err(|_| NotDelivered::Cipher)?);
        let mac_key = match shape {
            MacShape::Aws => Element::new(CPIX, "Key").with_child(in_value(mac_key)),
            MacShape::Axinom => Element { children: mac_key, ..Element::new(CPIX, "Key") },
            MacShape::Schema => Element { children: mac_key, ..Element::new(PSKC, "MACKey") },
        };
        let method = Element::new(CPIX, "MACMethod").with("Algorithm", HMAC_SHA_512);
        let behind = data.children.iter().position(|child| child.is(CPIX, "DeliveryKey"));
        let behind = behind.map_or(0, |at| at + 1);
        data.children.splice(behind..behind, [document_key, method.with_child(mac_key)]);
        Ok(())
    }

    /// The `Secret` of a content key.
    pub(crate) fn secret(&self, key: &ContentKey) -> Result<Element, NotDelivered> {
        let key = plain_key::bytes(key);
        let value = match self.values {
            Values::Cbc => {
                let iv = random::bytes()?;
                let text = cbc::encrypt(self.document_key.as_slice(), &iv, key.as_slice());
                [&iv[..], &text.map_err(|_| NotDelivered::Cipher)?].concat()
            }
            Values::KeyWrap => key_wrap::wrap(self.document_key.as_slice(), key.as_slice())
                .map_err(|_| NotDelivered::Cipher)?,
        };
        Ok(Element::new(PSKC, "Secret")
            .with_child(in_value(encrypted(self.algorithm(), &value)))
            .with_child(self.mac(&value)))
    }

    const fn algorithm(&self) -> &'static str {
        match self.values {
            Values::Cbc => AES_256_CBC,
            Values::KeyWrap => AES_256_KEY_WRAP,
        }
    }

    fn mac(&self, value: &[u8]) -> Element {
        let mac = cbc::hmac_sha512(self.mac_key.as_slice(), value);
        Element::new(PSKC, "ValueMAC").with_text(Base64::encode_string(&mac))
    }
}

/// Encrypted data, as XML encryption has it.
fn encrypted(algorithm: &'static str, value: &[u8]) -> Vec<Element> {
    let value = Element::new(ENC, "CipherValue").with_text(Base64::encode_string(value));
    vec![
        Element::new(ENC, "EncryptionMethod").with("Algorithm", algorithm),
        Element::new(ENC, "CipherData").with_child(value),
    ]
}

fn in_value(encrypted: Vec<Element>) -> Element {
    Element { children: encrypted, ..Element::new(PSKC, "EncryptedValue") }
}
