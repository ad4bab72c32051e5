//! `ContentProtection` elements of an MPD (ISO/IEC 23009-1, 5.8.4.1; ISO/IEC 23001-7:2023, 11.2), and what is in them.
//!
//! CPIX documents carry the contents alone (`ContentProtectionData`), so each of them declares its namespaces itself.
//! Deliberately absent: the MPD around them.

use base64ct::{Base64, Encoding};
use reelkey_client::key::KeyId;
use reelkey_client::pssh::{ProtectionScheme, SystemId};

use crate::domain::signalling::manifest_url::ManifestUrl;

/// A `pssh` element, which holds a whole box.
#[must_use]
pub fn pssh(boxed: &[u8]) -> String {
    format!("<pssh xmlns=\"urn:mpeg:cenc:2013\">{}</pssh>", Base64::encode_string(boxed))
}

/// A `pro` element, which holds a PlayReady object.
#[must_use]
pub fn pro(object: &[u8]) -> String {
    format!("<pro xmlns=\"urn:microsoft:playready\">{}</pro>", Base64::encode_string(object))
}

/// The element that says that the media is encrypted: its scheme, and the KID where all of it has the same. The MPD declares
/// the prefix `cenc`.
#[must_use]
pub fn common_encryption(scheme: ProtectionScheme, kid: Option<KeyId>) -> String {
    let kid = kid.map(|kid| format!(" cenc:default_KID=\"{kid}\"")).unwrap_or_default();
    format!(
        "<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"{scheme}\"{kid}/>"
    )
}

/// The element of a DRM system around `contents`, which is the XML of this module.
#[must_use]
pub fn of_system(system_id: SystemId, contents: &str) -> String {
    let value = match system_id {
        SystemId::PLAYREADY => " value=\"MSPR 2.0\"",
        SystemId::CLEAR_KEY => " value=\"ClearKey1.0\"",
        _ => "",
    };
    let start = format!("<ContentProtection schemeIdUri=\"urn:uuid:{system_id}\"{value}");
    if contents.is_empty() {
        format!("{start}/>")
    } else {
        format!("{start}>{contents}</ContentProtection>")
    }
}

/// Where the prefix `dashif` is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// In the MPD.
    InMpd,
    /// In each element that has it.
    InElement,
}

/// Where ClearKey players get licenses, and tokens if there is an authorization service (DASH-IF implementation guidelines,
/// content protection and key management): an element a line, each with two spaces before it.
#[must_use]
pub fn license_urls(
    license: &ManifestUrl,
    authorization: Option<&ManifestUrl>,
    prefix: Prefix,
) -> String {
    let namespace = match prefix {
        Prefix::InMpd => "",
        Prefix::InElement => " xmlns:dashif=\"https://dashif.org/CPS\"",
    };
    let element = |name: &str, url: &ManifestUrl| {
        format!("<dashif:{name}{namespace}>{}</dashif:{name}>", url.to_xml())
    };
    let authorization = authorization.map(|url| element("Authzurl", url));
    let lines: Vec<_> = authorization.into_iter().chain([element("Laurl", license)]).collect();
    format!("\n  {}\n", lines.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_those_that_packagers_write() {
        let kid: KeyId = "0b595594-ba82-8aa1-3060-f8af68e60db8".parse().unwrap();
        assert_eq!(
            common_encryption(ProtectionScheme::Cbcs, Some(kid)),
            "<ContentProtection schemeIdUri=\"urn:mpeg:dash:mp4protection:2011\" value=\"cbcs\" \
             cenc:default_KID=\"0b595594-ba82-8aa1-3060-f8af68e60db8\"/>"
        );
        assert!(!common_encryption(ProtectionScheme::Cenc, None).contains("default_KID"));
        assert_eq!(
            of_system(SystemId::PLAYREADY, &(pssh(b"box") + &pro(b"object"))),
            "<ContentProtection schemeIdUri=\"urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95\" value=\"MSPR 2.0\">\
             <pssh xmlns=\"urn:mpeg:cenc:2013\">Ym94</pssh><pro xmlns=\"urn:microsoft:playready\">b2JqZWN0</pro>\
             </ContentProtection>"
        );
        assert_eq!(
            of_system(SystemId::FAIRPLAY, ""),
            "<ContentProtection schemeIdUri=\"urn:uuid:94ce86fb-07ff-4f43-adb8-93d2fa968ca2\"/>"
        );
    }

    #[test]
    fn urls_are_escaped_and_stand_with_their_namespace() {
        let url: ManifestUrl = "https://a.example/?b=1&c=2".parse().unwrap();
        assert_eq!(
            license_urls(&url, Some(&url), Prefix::InMpd),
            "\n  <dashif:Authzurl>https://a.example/?b=1&amp;c=2</dashif:Authzurl>\
             \n  <dashif:Laurl>https://a.example/?b=1&amp;c=2</dashif:Laurl>\n"
        );
        assert_eq!(
            license_urls(&url, None, Prefix::InElement),
            "\n  <dashif:Laurl xmlns:dashif=\"https://dashif.org/CPS\">https://a.example/?b=1&amp;c=2</dashif:Laurl>\n"
        );
    }
}
