//! Names of CPIX and SPEKE: namespaces, DRM systems that only they have, and what is wrong with a document.

use reelkey_client::pssh::SystemId;

use crate::http::keys::xml::element::Element;
use crate::http::keys::xml::reader::{self, Unreadable};

/// CPIX.
pub(crate) const CPIX: &str = "urn:dashif:org:cpix";
/// Portable Symmetric Key Container (RFC 6030), of which CPIX has the keys.
pub(crate) const PSKC: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
/// XML signatures, of which CPIX has the certificates.
pub(crate) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XML encryption.
pub(crate) const ENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// SPEKE version 1.
pub(crate) const SPEKE: &str = "urn:aws:amazon:com:speke";

/// The namespaces that are known here.
pub(crate) const KNOWN: &[&str] = &[CPIX, PSKC, DS, ENC, SPEKE];

/// The prefixes that answers have.
pub(crate) const PREFIXES: &[(&str, &str)] =
    &[(CPIX, "cpix"), (PSKC, "pskc"), (DS, "ds"), (ENC, "enc"), (SPEKE, "speke")];

/// HLS with whole segments in AES-128, as SPEKE version 1 names it.
const AES_128_OF_SPEKE_1: u128 = 0x8137_6844_f976_481e_a84e_cc25_d39b_0b33;
/// The same, as SPEKE version 2 and other clients name it.
const AES_128: u128 = 0x3ea8_778f_7742_4bf9_b18b_e834_b2ac_bd47;

/// A DRM system that can be signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Widevine.
    Widevine,
    /// PlayReady.
    PlayReady,
    /// FairPlay.
    FairPlay,
    /// The Common system, whose boxes list KIDs.
    Common,
    /// ClearKey.
    ClearKey,
    /// HLS with whole segments in AES-128: no DRM system.
    Aes128,
}

impl System {
    /// The system of this identifier.
    pub(crate) fn of(id: SystemId) -> Option<Self> {
        Some(match id {
            SystemId::WIDEVINE => Self::Widevine,
            SystemId::PLAYREADY => Self::PlayReady,
            SystemId::FAIRPLAY => Self::FairPlay,
            SystemId::COMMON => Self::Common,
            SystemId::CLEAR_KEY => Self::ClearKey,
            SystemId(bytes) => match u128::from_be_bytes(bytes) {
                AES_128_OF_SPEKE_1 | AES_128 => Self::Aes128,
                _ => return None,
            },
        })
    }

    /// Its identifier.
    pub(crate) fn id(self) -> SystemId {
        match self {
            Self::Widevine => SystemId::WIDEVINE,
            Self::PlayReady => SystemId::PLAYREADY,
            Self::FairPlay => SystemId::FAIRPLAY,
            Self::Common => SystemId::COMMON,
            Self::ClearKey => SystemId::CLEAR_KEY,
            Self::Aes128 => SystemId(AES_128.to_be_bytes()),
        }
    }
}

/// What is wrong with a document, in one sentence with the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// It is no document that can be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It does not say what it must, or contradicts itself.
    #[error("line {line}: {what}")]
    Wrong {
        /// The line of the element that is wrong.
        line: u32,
        /// What is wrong.
        what: String,
    },
}

impl Malformed {
    /// This element is wrong.
    pub(crate) fn at(element: &Element, what: impl Into<String>) -> Self {
        Self::Wrong { line: element.line, what: what.into() }
    }
}

/// Reads a document whose root is `CPIX`.
pub(crate) fn read(bytes: &[u8]) -> Result<Element, Malformed> {
    let root = reader::read(bytes, KNOWN)?;
    if !root.is(CPIX, "CPIX") {
        let what = format!("the root is {} and not CPIX of the namespace {CPIX}", root.local);
        return Err(Malformed::at(&root, what));
    }
    Ok(root)
}

/// The elements of a list of the root, for example the `ContentKey` of `ContentKeyList`.
pub(crate) fn listed<'a>(
    root: &'a Element,
    list: &'static str,
    item: &'static str,
) -> impl Iterator<Item = &'a Element> {
    root.all(CPIX, list).flat_map(move |list| list.all(CPIX, item))
}
