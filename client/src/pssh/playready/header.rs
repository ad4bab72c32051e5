//! What a rights management header says, of versions 4.0 to 4.3.
//!
//! Its KIDs are GUIDs, whose first three fields have the least significant byte first, so they are turned round.
//! Deliberately absent: custom attributes, which only the service that wrote them understands.

use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};

use crate::key::KeyId;
use crate::pssh::playready::checksum::Checksum;
use crate::pssh::playready::object::header_of;
use crate::pssh::playready::xml::{Tag, attribute, tags, unescape};

/// What the data of a PlayReady box says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlayReady {
    /// The version of the header, for example `4.3.0.0`.
    pub version: Option<String>,
    /// The keys that the header names.
    pub keys: Vec<HeaderKey>,
    /// Where licenses are asked for (LA_URL).
    pub la_url: Option<String>,
    /// Where people find more about a license (LUI_URL).
    pub lui_url: Option<String>,
    /// The identifier of a domain service (DS_ID), in the byte order of `default_KID`.
    pub ds_id: Option<KeyId>,
    /// When the decryptor has to be ready (DECRYPTORSETUP), for example `ONDEMAND`.
    pub decryptor_setup: Option<String>,
}

/// A key that a header names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderKey {
    /// The KID, in the byte order of `default_KID`.
    pub kid: KeyId,
    /// The cipher (ALGID), for example `AESCTR`.
    pub algorithm: Option<String>,
    /// The checksum of the key, if there is one and it has 8 bytes.
    pub checksum: Option<Checksum>,
}

impl PlayReady {
    /// Reads the data of the box; `None` if it is no object with a header.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (pairs, _) = header_of(data)?.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        Self::parse_xml(&String::from_utf16_lossy(&units))
    }

    /// Reads a header as XML text; `None` if it is none.
    #[must_use]
    pub fn parse_xml(text: &str) -> Option<Self> {
        if !text.contains("<WRMHEADER") {
            return None;
        }
        let mut reading = Reading::default();
        tags(text).for_each(|tag| reading.take(&tag));
        Some(reading.finish())
    }

    /// The KIDs of the keys, in their order.
    pub fn kids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.iter().map(|key| key.kid)
    }
}

/// A header, and what version 4.0 says of its key in elements of their own.
#[derive(Default)]
struct Reading {
    header: PlayReady,
    is_custom: bool,
    algorithm: Option<String>,
    checksum: Option<Checksum>,
}

impl Reading {
    fn take(&mut self, Tag { name, attributes, text }: &Tag<'_>) {
        match *name {
            // What a service has put there may look like anything.
            "CUSTOMATTRIBUTES" => self.is_custom = !attributes.ends_with('/'),
            "/CUSTOMATTRIBUTES" => self.is_custom = false,
            _ if self.is_custom => {}
            "WRMHEADER" => self.header.version = attribute(attributes, "version").map(unescape),
            "ALGID" => self.algorithm = Some(unescape(text.trim())),
            "CHECKSUM" => self.checksum = text.trim().parse().ok(),
            // 4.0 has it as text, later versions as an attribute.
            "KID" => {
                let kid = kid_of(attribute(attributes, "VALUE").unwrap_or(text).trim());
                self.header.keys.extend(kid.map(|kid| HeaderKey {
                    kid,
                    algorithm: attribute(attributes, "ALGID").map(unescape),
                    checksum: attribute(attributes, "CHECKSUM").and_then(|text| text.parse().ok()),
                }));
            }
            "LA_URL" => self.header.la_url = Some(unescape(text.trim())),
            "LUI_URL" => self.header.lui_url = Some(unescape(text.trim())),
            "DS_ID" => self.header.ds_id = kid_of(text.trim()),
            "DECRYPTORSETUP" => self.header.decryptor_setup = Some(unescape(text.trim())),
            _ => {}
        }
    }

    fn finish(self) -> PlayReady {
        let Self { mut header, algorithm, checksum, .. } = self;
        if let [key] = &mut *header.keys {
            key.algorithm = key.algorithm.take().or(algorithm);
            key.checksum = key.checksum.or(checksum);
        }
        header
    }
}

/// A KID as base64 of a GUID.
fn kid_of(base64: &str) -> Option<KeyId> {
    let mut buffer = [0; 16];
    let guid = Base64::decode(base64, &mut buffer).ok()?;
    Some(KeyId::from_bytes(guid.try_into().ok()?).in_playready_order())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn object(header: &str) -> Vec<u8> {
        let utf16: Vec<u8> = header.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = u16::try_from(utf16.len()).unwrap().to_le_bytes();
        let other = [3, 0, 2, 0, 9, 9];
        let body = [&[2, 0][..], &other, &[1, 0], &length, &utf16].concat();
        let total = u32::try_from(body.len() + 4).unwrap().to_le_bytes();
        [&total[..], &body].concat()
    }

    /// The GUID of this KID in base64: the first eight bytes change places.
    const GUID: &str = "CpOXTXs9AFCAAFx72h8KEQ==";
    const KID: &str = "4d97930a-3d7b-5000-8000-5c7bda1f0a11";

    #[test]
    fn kids_are_read_from_headers_of_every_version_and_turned_round() {
        let protect = |inner: &str| format!("<DATA><PROTECTINFO>{inner}</PROTECTINFO>");
        for (version, data, count) in [
            ("4.0.0.0", format!("{}<KID> {GUID} </KID><CHECKSUM>x=</CHECKSUM>", protect("")), 1),
            ("4.1.0.0", protect(&format!("<KID ALGID='AESCTR' VALUE='{GUID}'></KID>")), 1),
            (
                "4.2.0.0",
                protect(&format!("<KIDS><KID VALUE=\"{GUID}\" /><KID VALUE=\"{GUID}\"/></KIDS>")),
                2,
            ),
            (
                "4.3.0.0",
                protect(&format!("<KIDS><KID ALGID=\"AESCBC\" VALUE = \"{GUID}\"/></KIDS>")),
                1,
            ),
        ] {
            let header = format!(
                "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" version=\"{version}\">{data}\
                 <LA_URL>https://a.example/?a=1&amp;b=2</LA_URL>\
                 <CUSTOMATTRIBUTES><KID>{GUID}</KID></CUSTOMATTRIBUTES></DATA></WRMHEADER>"
            );
            let read = PlayReady::parse(&object(&header)).unwrap();
            assert_eq!(read.version.as_deref(), Some(version));
            let expected: KeyId = KID.parse().unwrap();
            assert!(read.kids().all(|kid| kid == expected), "{version}: {:?}", read.keys);
            assert_eq!(read.keys.len(), count, "{version}");
            assert_eq!(read.la_url.as_deref(), Some("https://a.example/?a=1&b=2"));
        }
    }

    #[test]
    fn what_is_no_object_or_no_header_is_none_and_a_wrong_kid_is_left_out() {
        let whole = object("<WRMHEADER version='4.0.0.0'><DATA><KID>short</KID></DATA>");
        assert_eq!(PlayReady::parse(&whole).unwrap().keys, []);
        for length in 0..whole.len() {
            assert_eq!(PlayReady::parse(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(PlayReady::parse(&object("<html>")), None);
        for odd in
            ["<WRMHEADER", "<WRMHEADER version=>", "<WRMHEADER a='b", "<WRMHEADER><KID VALUE='"]
        {
            assert_eq!(PlayReady::parse(&object(odd)).unwrap(), PlayReady::default(), "{odd}");
        }
    }
}
