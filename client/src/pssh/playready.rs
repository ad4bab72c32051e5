//! The data of PlayReady: a PlayReady Object, whose first record is a rights management header (WRMHEADER) in UTF-16
//! (PlayReady Header Specification, versions 4.0 to 4.3).
//!
//! Its KIDs are GUIDs, whose first three fields have the least significant byte first, so they are turned round.
//! Deliberately absent: a reader of XML. Only elements and attributes are looked for, and only those of the header itself.

use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};

use crate::key::KeyId;

/// What the data of a PlayReady box says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlayReady {
    /// The version of the header, for example `4.3.0.0`.
    pub version: Option<String>,
    /// The KIDs, in the byte order of `default_KID`.
    pub kids: Vec<KeyId>,
    /// Where licenses are asked for (LA_URL).
    pub la_url: Option<String>,
}

/// The type of the record that holds the header.
const RIGHTS_MANAGEMENT_HEADER: [u8; 2] = 1_u16.to_le_bytes();

impl PlayReady {
    /// Reads the data of the box; `None` if it is no object with a header.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (_length, rest) = data.split_first_chunk::<4>()?;
        let (count, mut rest) = rest.split_first_chunk::<2>()?;
        for _ in 0..u16::from_le_bytes(*count) {
            let (kind, after) = rest.split_first_chunk::<2>()?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let (value, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
            if *kind == RIGHTS_MANAGEMENT_HEADER {
                return Self::of_header(value);
            }
            rest = after;
        }
        None
    }

    fn of_header(utf16: &[u8]) -> Option<Self> {
        let (pairs, _) = utf16.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let text = String::from_utf16_lossy(&units);
        if !text.contains("<WRMHEADER") {
            return None;
        }
        let (mut header, mut is_custom) = (Self::default(), false);
        for Tag { name, attributes, text } in tags(&text) {
            match name {
                // What a service has put there may look like anything.
                "CUSTOMATTRIBUTES" => is_custom = !attributes.ends_with('/'),
                "/CUSTOMATTRIBUTES" => is_custom = false,
                _ if is_custom => {}
                "WRMHEADER" => header.version = attribute(attributes, "version").map(unescape),
                // 4.0 has it as text, later versions as an attribute.
                "KID" => header
                    .kids
                    .extend(kid_of(attribute(attributes, "VALUE").unwrap_or(text).trim())),
                "LA_URL" => header.la_url = Some(unescape(text.trim())),
                _ => {}
            }
        }
        Some(header)
    }
}

/// A tag and the text behind it, up to the next one.
struct Tag<'a> {
    /// With a slash before it if the tag ends an element.
    name: &'a str,
    attributes: &'a str,
    text: &'a str,
}

fn tags(xml: &str) -> impl Iterator<Item = Tag<'_>> {
    xml.split('<').skip(1).map(|part| {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let end = tag.find(|c: char| c.is_whitespace()).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at_checked(end).unwrap_or((tag, ""));
        let name = if attributes.is_empty() { name.trim_end_matches('/') } else { name };
        Tag { name, attributes: if tag.ends_with('/') { tag } else { attributes }, text }
    })
}

/// The value of an attribute, in either kind of quotes.
fn attribute<'a>(attributes: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = attributes;
    loop {
        let (before, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, following) = after.get(1..)?.split_once(quote)?;
        if before.split_whitespace().next_back() == Some(name) {
            return Some(value);
        }
        rest = following;
    }
}

/// A KID as base64 of a GUID.
fn kid_of(base64: &str) -> Option<KeyId> {
    let mut buffer = [0; 16];
    let guid = Base64::decode(base64, &mut buffer).ok()?;
    let &[a, b, c, d, e, f, g, h, rest @ ..] = guid.first_chunk::<16>()?;
    let [i, j, k, l, m, n, o, p] = rest;
    Some(KeyId::from_bytes([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]))
}

/// The entities that XML itself defines. The ampersand comes last, so that nothing is replaced twice.
fn unescape(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.into(), |text: String, (entity, c)| text.replace(entity, c))
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
            assert!(read.kids.iter().all(|kid| *kid == expected), "{version}: {:?}", read.kids);
            assert_eq!(read.kids.len(), count, "{version}");
            assert_eq!(read.la_url.as_deref(), Some("https://a.example/?a=1&b=2"));
        }
    }

    #[test]
    fn what_is_no_object_or_no_header_is_none_and_a_wrong_kid_is_left_out() {
        let whole = object("<WRMHEADER version='4.0.0.0'><DATA><KID>short</KID></DATA>");
        assert_eq!(PlayReady::parse(&whole).unwrap().kids, []);
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
