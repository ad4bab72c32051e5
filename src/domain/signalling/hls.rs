//! `EXT-X-KEY` and `EXT-X-SESSION-KEY` tags of HLS (RFC 8216, 4.3.2.4 and 4.3.4.5), with the attributes in the order in which
//! Shaka Packager writes them.
//!
//! Deliberately absent: the playlist around them.

use std::fmt::{self, Write as _};

use base64ct::{Base64, Encoding};
use reelkey_client::key::KeyId;
use reelkey_client::pssh::ProtectionScheme;

use crate::domain::signalling::manifest_url::ManifestUrl;

/// How media is encrypted, in the words of HLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Whole segments with AES-CBC.
    Aes128,
    /// Samples with AES-CBC and a pattern: `cbcs`.
    SampleAes,
    /// Samples with AES-CTR: `cenc`.
    SampleAesCtr,
}

impl Method {
    /// The method for media in a scheme. HLS has none for `cbc1` and `cens`.
    #[must_use]
    pub const fn of(scheme: ProtectionScheme) -> Option<Self> {
        match scheme {
            ProtectionScheme::Cenc => Some(Self::SampleAesCtr),
            ProtectionScheme::Cbcs => Some(Self::SampleAes),
            ProtectionScheme::Cbc1 | ProtectionScheme::Cens => None,
        }
    }

    /// The method as tags have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes128 => "AES-128",
            Self::SampleAes => "SAMPLE-AES",
            Self::SampleAesCtr => "SAMPLE-AES-CTR",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a tag says. Its parts are public, because SPEKE asks for each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTag {
    /// How the media is encrypted.
    pub method: Method,
    /// Where the key is, or what the system needs to get it. Nothing in it has to be escaped.
    pub uri: String,
    /// The KID, where the system wants it.
    pub kid: Option<KeyId>,
    /// The IV of the media, where it is not in the media or the number of the segment.
    pub iv: Option<[u8; 16]>,
    /// The system (`KEYFORMAT`), of version 1. `None` is `identity`: the URI leads to the key itself.
    pub key_format: Option<&'static str>,
}

impl KeyTag {
    /// The key itself, 16 bytes, is at this URL.
    #[must_use]
    pub fn identity(method: Method, url: &ManifestUrl) -> Self {
        Self { method, uri: url.as_str().to_owned(), kid: None, iv: None, key_format: None }
    }

    /// FairPlay; its URL often begins with `skd://`.
    #[must_use]
    pub fn fairplay(method: Method, url: &ManifestUrl) -> Self {
        let key_format = Some("com.apple.streamingkeydelivery");
        Self { key_format, ..Self::identity(method, url) }
    }

    /// Widevine, with a whole `pssh` box.
    #[must_use]
    pub fn widevine(method: Method, boxed: &[u8], kid: Option<KeyId>) -> Self {
        let key_format = Some("urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed");
        Self { method, uri: data("text/plain", boxed), kid, iv: None, key_format }
    }

    /// PlayReady, with an object.
    #[must_use]
    pub fn playready(method: Method, object: &[u8]) -> Self {
        let uri = data("text/plain;charset=UTF-16", object);
        Self { method, uri, kid: None, iv: None, key_format: Some("com.microsoft.playready") }
    }

    /// What hls.js reads for the ClearKey system of a browser.
    #[must_use]
    pub fn clear_key(method: Method, kid: KeyId) -> Self {
        let uri = data("text/plain", kid.as_bytes());
        Self { method, uri, kid: Some(kid), iv: None, key_format: Some("org.w3.clearkey") }
    }

    /// The tag with an IV.
    #[must_use]
    pub fn with_iv(self, iv: [u8; 16]) -> Self {
        Self { iv: Some(iv), ..self }
    }

    /// The line of a media playlist.
    #[must_use]
    pub fn media_line(&self) -> String {
        self.line("#EXT-X-KEY")
    }

    /// The line of a multivariant playlist, from which players ask for licenses early.
    #[must_use]
    pub fn session_line(&self) -> String {
        self.line("#EXT-X-SESSION-KEY")
    }

    fn line(&self, tag: &str) -> String {
        let mut line = format!("{tag}:METHOD={},URI=\"{}\"", self.method, self.uri);
        let kid = self.kid.as_ref().map(KeyId::as_bytes);
        for (name, bytes) in [("KEYID", kid), ("IV", self.iv.as_ref())] {
            if let Some(bytes) = bytes {
                let number = u128::from_be_bytes(*bytes);
                write!(line, ",{name}=0x{number:032x}").unwrap_or(());
            }
        }
        if let Some(format) = self.key_format {
            write!(line, ",KEYFORMATVERSIONS=\"1\",KEYFORMAT=\"{format}\"").unwrap_or(());
        }
        line
    }
}

fn data(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", Base64::encode_string(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_that_shaka_packager_writes() {
        let kid: KeyId = "6d76f25c-b17f-5e16-b8ea-ef6bbf582d8e".parse().unwrap();
        let iv = 0xd584_80a3_2afb_f381_be6f_f0b8_fa8b_fde9_u128.to_be_bytes();
        assert_eq!(
            KeyTag::widevine(Method::SampleAes, b"box", Some(kid)).with_iv(iv).session_line(),
            "#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,Ym94\",\
             KEYID=0x6d76f25cb17f5e16b8eaef6bbf582d8e,IV=0xd58480a32afbf381be6ff0b8fa8bfde9,\
             KEYFORMATVERSIONS=\"1\",KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\""
        );
        assert_eq!(
            KeyTag::playready(Method::SampleAesCtr, b"object").media_line(),
            "#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI=\"data:text/plain;charset=UTF-16;base64,b2JqZWN0\",\
             KEYFORMATVERSIONS=\"1\",KEYFORMAT=\"com.microsoft.playready\""
        );
        let url: ManifestUrl = "skd://asset1".parse().unwrap();
        assert_eq!(
            KeyTag::fairplay(Method::SampleAes, &url).media_line(),
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://asset1\",KEYFORMATVERSIONS=\"1\",\
             KEYFORMAT=\"com.apple.streamingkeydelivery\""
        );
        assert_eq!(
            KeyTag::identity(Method::Aes128, &url).with_iv([0; 16]).media_line(),
            "#EXT-X-KEY:METHOD=AES-128,URI=\"skd://asset1\",IV=0x00000000000000000000000000000000"
        );
    }

    #[test]
    fn hls_has_a_method_for_two_schemes() {
        let methods = ProtectionScheme::ALL.map(Method::of);
        assert_eq!(methods, [Some(Method::SampleAesCtr), None, None, Some(Method::SampleAes)]);
    }
}
