//! The messages of `AcquirePackagingData`, a SOAP 1.1 call.
//!
//! The challenge is not read as XML. Shaka Packager puts the program identifier into it as it is, so an `&` in it makes a
//! document that no strict reader takes, and the packager would be told of a syntax error instead of a wrong name. What is
//! read is one element, by its tags, and what a reader of XML could be attacked with is refused: there is neither a declaration
//! (`<!`) nor a second identifier. The answer is well-formed XML, its tags without attributes, because the packager looks
//! for them in the same way.
//!
//! All tracks have one key, and it does not rotate. The call does not tell the protection scheme, so the header is that of
//! AES-CTR. Deliberately absent: `LA_URL`, and systems other than PlayReady.

use base64ct::{Base64, Encoding};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::pssh::SystemId;
use reelkey_client::pssh::playready::{Checksum, Header};
use zeroize::Zeroizing;

use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::plain_key;
use crate::domain::content::ContentId;

/// The longest body, in bytes.
pub const BYTES_MAX: usize = 16 * 1024;

/// Why there are no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The challenge cannot be read.
    Malformed,
    /// The challenge names systems, and PlayReady is not among them.
    OtherSystem,
    /// Nobody is known to ask.
    Unauthenticated,
    /// The packager may not have the keys of this content, or there is no such content.
    NotAllowed,
    /// The packager may ask for the content, and it does not exist.
    NoContent,
    /// Too many requests, or the service failed.
    Unavailable,
}

impl Fault {
    /// Whether the caller is at fault, and what a person reads.
    const fn told(self) -> (bool, &'static str) {
        match self {
            Self::Malformed => {
                (true, "the challenge has not exactly one ProgramIdentifier that is a content ID")
            }
            Self::OtherSystem => (true, "the challenge is not for PlayReady"),
            Self::Unauthenticated => (true, "the packager is unknown or its secret is wrong"),
            Self::NotAllowed => (true, "the packager may not have the keys of this content"),
            Self::NoContent => (true, "there is no such content"),
            Self::Unavailable => (false, "the service cannot answer now"),
        }
    }
}

/// Reads the content that the challenge names.
///
/// # Errors
/// [`Fault`].
pub fn asked(body: &[u8]) -> Result<ContentId, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| Fault::Malformed)?;
    if text.contains("<!") || text.matches("<ProgramIdentifier>").count() != 1 {
        return Err(Fault::Malformed);
    }
    let mut systems = elements(text, "ProtectionSystemId").peekable();
    let playready = SystemId::PLAYREADY.to_string();
    let names_system = systems.peek().is_some();
    if names_system && !systems.any(|system| system.eq_ignore_ascii_case(&playready)) {
        return Err(Fault::OtherSystem);
    }
    let identifier = elements(text, "ProgramIdentifier").next().ok_or(Fault::Malformed)?;
    identifier.parse().map_err(|_| Fault::Malformed)
}

/// What is between the tags of an element that has no prefix and no attributes, each time.
fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inside, following) = after.split_once(&close)?;
        rest = following;
        Some(inside.trim())
    })
}

/// The answer with the key of a content; `None` if no header can be written for it.
#[must_use]
pub fn granted(kid: KeyId, key: &ContentKey) -> Option<Zeroizing<String>> {
    on_clean_stack(|| {
        let keys = &[(kid, Some(Checksum::of(kid, key)))];
        let object = Header { keys, ..Header::default() }.object().ok()?;
        let (key, object) = (plain_key::base64(key), Base64::encode_string(&object));
        let system = SystemId::PLAYREADY.to_string().to_ascii_uppercase();
        Some(Zeroizing::new(envelope(&format!(
            "<AcquirePackagingDataResponse xmlns=\"http://schemas.microsoft.com/DRM/2007/03/protocols\"><response>\
             <StreamProtectionResponse><KeyId>{kid}</KeyId><KeyData>{}</KeyData><ProtectionSystemData>\
             <ProtectionSystemId>{system}</ProtectionSystemId><Data>{object}</Data></ProtectionSystemData>\
             </StreamProtectionResponse></response></AcquirePackagingDataResponse>",
            *key
        ))))
    })
}

/// A SOAP Fault (SOAP 1.1 section 4.4).
#[must_use]
pub fn refused(fault: Fault) -> String {
    let (is_theirs, text) = fault.told();
    let code = if is_theirs { "Client" } else { "Server" };
    envelope(&format!(
        "<soap:Fault><faultcode>soap:{code}</faultcode><faultstring>{text}</faultstring></soap:Fault>"
    ))
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>{body}</soap:Body></soap:Envelope>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use reelkey_client::pssh::PlayReady;

    /// The challenge of Shaka Packager 3.8.0.
    fn challenge(identifier: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soap:Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><AcquirePackagingData xmlns=\"http://schemas.microsoft.com/DRM/2007/03/protocols\"><challenge xmlns=\"http://schemas.microsoft.com/DRM/2007/03/protocols/AcquirePackagingData/v1.0\"><ProtectionSystems><ProtectionSystemId>9A04F079-9840-4286-AB92-E65BE0885F95</ProtectionSystemId></ProtectionSystems><StreamProtectionRequests><StreamInformation><ProgramIdentifier>{identifier}</ProgramIdentifier><OffsetFromProgramStart>P0S</OffsetFromProgramStart></StreamInformation></StreamProtectionRequests></challenge></AcquirePackagingData></soap:Body></soap:Envelope>"
        )
    }

    #[test]
    fn a_challenge_of_shaka_packager_names_its_content() {
        let read = |identifier: &str| {
            asked(challenge(identifier).as_bytes()).map(|content| content.as_str().to_owned())
        };
        assert_eq!(read("movies/bunny"), Ok("movies/bunny".into()));
        assert_eq!(read(" prog-1\n"), Ok("prog-1".into()));
        // What the packager does not escape, and what looks like XML, is no content ID.
        for wrong in [
            "",
            "a&b",
            "a&amp;b",
            "a<b",
            "a</ProgramIdentifier><ProgramIdentifier>b",
            "<x/>",
            "<![CDATA[a]]>",
            "<!-- a -->a",
        ] {
            assert_eq!(read(wrong), Err(Fault::Malformed), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_challenge_is_refused() {
        for wrong in [
            &b""[..],
            b"\xff",
            b"<ProgramIdentifier>a",
            b"<ProgramIdentifier>a</ProgramIdentifier><ProgramIdentifier>b",
            b"<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><ProgramIdentifier>a</ProgramIdentifier>",
        ] {
            assert_eq!(asked(wrong), Err(Fault::Malformed));
        }
        let other = challenge("a").replace("9A04F079", "9A04F070");
        assert_eq!(asked(other.as_bytes()), Err(Fault::OtherSystem));
        // A challenge that names no system is one for this route.
        let none = "<ProgramIdentifier>a</ProgramIdentifier>";
        assert!(asked(none.as_bytes()).is_ok());
    }

    #[test]
    fn the_answer_has_kid_key_and_object_where_the_packager_looks_for_them() {
        let kid = "8ba94ade-6eb9-449d-b44f-a5beefaf43b0".parse().unwrap();
        let key = ContentKey::parse_hex("dbfd6922c321c4bb486f4a1c44097ed6").unwrap();
        let answer = granted(kid, &key).unwrap();
        let one = |name| elements(&answer, name).next().unwrap();
        assert_eq!(one("KeyId"), kid.to_string());
        assert_eq!(one("KeyData"), "2/1pIsMhxLtIb0ocRAl+1g==");
        let object = PlayReady::parse(&Base64::decode_vec(one("Data")).unwrap()).unwrap();
        assert_eq!(object.kids().collect::<Vec<_>>(), [kid]);
        assert_eq!(object.version.as_deref(), Some("4.0.0.0"));
    }

    #[test]
    fn a_fault_says_who_is_at_fault() {
        assert!(refused(Fault::NotAllowed).contains("<faultcode>soap:Client</faultcode>"));
        assert!(refused(Fault::Unavailable).contains("<faultcode>soap:Server</faultcode>"));
    }
}
