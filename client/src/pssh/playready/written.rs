//! Writing a rights management header and the object around it (PlayReady Header Specification, versions 4.0 to 4.3).
//!
//! The specification asks for attributes in alphabetical order with `xmlns` first, for no whitespace between elements, and for
//! no tag that closes itself (3.2). Deliberately absent: custom attributes and license stores.

use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};
use core::fmt;
use core::str::FromStr;

use crate::key::KeyId;
use crate::pssh::playready::checksum::Checksum;
use crate::pssh::playready::object::object_of;
use crate::pssh::playready::xml::push_escaped;
use crate::pssh::scheme::ProtectionScheme;

/// The version of a header. Each can be read by the clients of one PlayReady release and of all later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 4.0.0.0, since PlayReady 1: one key.
    V4_0,
    /// 4.1.0.0, since PlayReady 2: one key.
    V4_1,
    /// 4.2.0.0, since PlayReady 3: several keys.
    V4_2,
    /// 4.3.0.0, since PlayReady 4: several keys, and AES in CBC mode.
    V4_3,
}

impl Version {
    /// Every version, the lowest first.
    pub const ALL: [Self; 4] = [Self::V4_0, Self::V4_1, Self::V4_2, Self::V4_3];

    /// The version as headers have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4_0 => "4.0.0.0",
            Self::V4_1 => "4.1.0.0",
            Self::V4_2 => "4.2.0.0",
            Self::V4_3 => "4.3.0.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no version of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version of a PlayReady header is 4.0, 4.1, 4.2 or 4.3")]
pub struct InvalidVersion;

/// Reads `4.3` and `4.3.0.0`.
impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let is_it = |version: &Self| {
            let whole = version.as_str();
            text == whole || whole.strip_suffix(".0.0") == Some(text)
        };
        Self::ALL.into_iter().find(is_it).ok_or(InvalidVersion)
    }
}

/// What to write for PlayReady.
#[derive(Clone, Copy, Debug, Default)]
pub struct Header<'a> {
    /// The version of the header. `None` is the lowest that can say the rest, which most clients can read.
    pub version: Option<Version>,
    /// The keys. A checksum is written for AES-CTR only: the specification has none for AES-CBC.
    pub keys: &'a [(KeyId, Option<Checksum>)],
    /// The protection scheme, whose cipher the header names. `None` is `cenc`.
    pub scheme: Option<ProtectionScheme>,
    /// Where licenses are asked for (`LA_URL`).
    pub la_url: Option<&'a str>,
    /// Where people find more about a license (`LUI_URL`).
    pub lui_url: Option<&'a str>,
    /// The identifier of a domain service (`DS_ID`), written as KIDs are.
    pub ds_id: Option<KeyId>,
}

/// The header cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// There is no key.
    #[error("a PlayReady header names at least one key")]
    NoKeys,
    /// Versions 4.0 and 4.1 have room for one key.
    #[error("a PlayReady header of version {0} names one key only; 4.2 and later name several")]
    SeveralKeys(Version),
    /// Versions below 4.3 know AES-CTR only.
    #[error("a PlayReady header of version {0} knows no AES-CBC; 4.3 does")]
    Cbc(Version),
    /// A URL is empty, or has whitespace or a control character.
    #[error(
        "a URL of a PlayReady header has neither whitespace nor control characters, and is not empty"
    )]
    Url,
    /// The object would be longer than 15 KB, the limit of the specification.
    #[error("the PlayReady object would be longer than 15 KB: name fewer keys or a shorter URL")]
    TooLong,
}

impl Header<'_> {
    /// The version that is written.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version.unwrap_or_else(|| {
            if self.is_cbc() {
                Version::V4_3
            } else if self.keys.len() > 1 {
                Version::V4_2
            } else {
                Version::V4_0
            }
        })
    }

    /// The PlayReady Object: what a `pro` element of a manifest holds in base64, and the data of a `pssh` box.
    ///
    /// # Errors
    /// [`Unwritable`].
    pub fn object(&self) -> Result<Vec<u8>, Unwritable> {
        object_of(&self.xml()?).ok_or(Unwritable::TooLong)
    }

    /// The header as XML text.
    ///
    /// # Errors
    /// [`Unwritable`].
    pub fn xml(&self) -> Result<String, Unwritable> {
        let version = self.version();
        let [first, others @ ..] = self.keys else { return Err(Unwritable::NoKeys) };
        if version < Version::V4_2 && !others.is_empty() {
            return Err(Unwritable::SeveralKeys(version));
        }
        if version < Version::V4_3 && self.is_cbc() {
            return Err(Unwritable::Cbc(version));
        }
        let mut xml = String::from(
            "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" version=\"",
        );
        xml.push_str(version.as_str());
        xml.push_str("\"><DATA><PROTECTINFO>");
        match version {
            Version::V4_0 => self.push_key_elements(&mut xml, first),
            Version::V4_1 => {
                self.push_key(&mut xml, first);
                xml.push_str("</PROTECTINFO>");
            }
            Version::V4_2 | Version::V4_3 => {
                xml.push_str("<KIDS>");
                for key in self.keys {
                    self.push_key(&mut xml, key);
                }
                xml.push_str("</KIDS></PROTECTINFO>");
            }
        }
        for (name, url) in [("LA_URL", self.la_url), ("LUI_URL", self.lui_url)] {
            if let Some(url) = url {
                if url.is_empty() || url.contains(|c: char| !is_of_url(c)) {
                    return Err(Unwritable::Url);
                }
                push_element(&mut xml, name, url);
            }
        }
        if let Some(id) = self.ds_id {
            push_element(&mut xml, "DS_ID", &guid(id));
        }
        xml.push_str("</DATA></WRMHEADER>");
        Ok(xml)
    }

    fn is_cbc(&self) -> bool {
        self.scheme.is_some_and(ProtectionScheme::is_cbc)
    }

    /// Version 4.0: elements, and the KID behind PROTECTINFO.
    fn push_key_elements(&self, xml: &mut String, (kid, checksum): &(KeyId, Option<Checksum>)) {
        push_element(xml, "KEYLEN", "16");
        push_element(xml, "ALGID", self.algorithm());
        xml.push_str("</PROTECTINFO>");
        push_element(xml, "KID", &guid(*kid));
        if let Some(checksum) = checksum {
            push_element(xml, "CHECKSUM", &Base64::encode_string(&checksum.0));
        }
    }

    /// Later versions: attributes in alphabetical order.
    fn push_key(&self, xml: &mut String, (kid, checksum): &(KeyId, Option<Checksum>)) {
        xml.push_str("<KID ALGID=\"");
        xml.push_str(self.algorithm());
        if let Some(checksum) = checksum.filter(|_| !self.is_cbc()) {
            xml.push_str("\" CHECKSUM=\"");
            xml.push_str(&Base64::encode_string(&checksum.0));
        }
        xml.push_str("\" VALUE=\"");
        xml.push_str(&guid(*kid));
        xml.push_str("\"></KID>");
    }

    fn algorithm(&self) -> &'static str {
        if self.is_cbc() { "AESCBC" } else { "AESCTR" }
    }
}

/// A character that XML 1.0 can hold (2.2) and that no reader takes for the end of a URL.
fn is_of_url(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn push_element(xml: &mut String, name: &str, text: &str) {
    xml.push('<');
    xml.push_str(name);
    xml.push('>');
    push_escaped(xml, text);
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
}

fn guid(kid: KeyId) -> String {
    Base64::encode_string(kid.in_playready_order().as_bytes())
}
