//! What is said of one key to one DRM system, in each of the forms that CPIX and SPEKE ask for.

use base64ct::{Base64, Encoding};
use reelkey_client::key::{ContentKey, KeyId};
use reelkey_client::pssh::playready::Checksum;
use reelkey_client::pssh::{ProtectionScheme, boxed, clear_key, common, playready, widevine};

use crate::crypto::clean_stack::on_clean_stack;
use crate::crypto::digest::sha256;
use crate::domain::content::ContentId;
use crate::domain::signalling::dash::{self, Prefix};
use crate::domain::signalling::hls::{KeyTag, Method};
use crate::domain::signalling::manifest_url::ManifestUrl;
use crate::http::keys::cpix::vocabulary::System;

/// A key and what the media is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signalled<'a> {
    /// The KID.
    pub(crate) kid: KeyId,
    /// The key, for PlayReady's checksum.
    pub(crate) key: &'a ContentKey,
    /// The content.
    pub(crate) content: &'a ContentId,
    /// The protection scheme, if it is known.
    pub(crate) scheme: Option<ProtectionScheme>,
    /// What the URLs of this service begin with.
    pub(crate) base: &'a str,
}

impl Signalled<'_> {
    /// The whole `pssh` box. FairPlay and plain HLS have none.
    pub(crate) fn pssh(&self, system: System) -> Option<Vec<u8>> {
        match system {
            System::Widevine => {
                let header = widevine::Header {
                    kids: &[self.kid],
                    scheme: self.scheme,
                    ..widevine::Header::default()
                };
                boxed(system.id(), None, &header.payload()).ok()
            }
            System::PlayReady => boxed(system.id(), None, &self.object()?).ok(),
            System::Common => common(&[self.kid]).ok(),
            System::ClearKey => clear_key(&[self.kid]).ok(),
            System::FairPlay | System::Aes128 => None,
        }
    }

    /// The PlayReady Object.
    pub(crate) fn object(&self) -> Option<Vec<u8>> {
        let keys = [(self.kid, Some(on_clean_stack(|| Checksum::of(self.kid, self.key))))];
        let header =
            playready::Header { keys: &keys, scheme: self.scheme, ..playready::Header::default() };
        header.object().ok()
    }

    /// The elements of an MPD's `ContentProtection`.
    pub(crate) fn dash(&self, system: System) -> Option<String> {
        let pssh = dash::pssh(&self.pssh(system)?);
        Some(match system {
            System::PlayReady => pssh + &dash::pro(&self.object()?),
            System::ClearKey => {
                let url = format!("{}/v1/clearkey", self.base).parse().ok()?;
                pssh + &dash::license_urls(&url, None, Prefix::InElement)
            }
            _ => pssh,
        })
    }

    /// The tag of a playlist.
    pub(crate) fn hls(&self, system: System) -> Option<KeyTag> {
        let is_cbc = self.scheme.is_some_and(ProtectionScheme::is_cbc);
        let method = if is_cbc { Method::SampleAes } else { Method::SampleAesCtr };
        Some(match system {
            System::Widevine => KeyTag::widevine(method, &self.pssh(system)?, Some(self.kid)),
            System::PlayReady => KeyTag::playready(method, &self.object()?),
            System::FairPlay => KeyTag::fairplay(Method::SampleAes, &self.url(system)?),
            System::Aes128 => KeyTag::identity(Method::Aes128, &self.url(system)?),
            System::ClearKey => KeyTag::clear_key(method, self.kid),
            System::Common => return None,
        })
    }

    /// Where players ask for the key (`URIExtXKey`).
    pub(crate) fn url(&self, system: System) -> Option<ManifestUrl> {
        let Self { kid, content, base, .. } = self;
        match system {
            System::FairPlay => format!("skd://{kid}").parse().ok(),
            System::Aes128 => format!("{base}/v1/hls/{content}/{kid}.key").parse().ok(),
            _ => None,
        }
    }
}

/// Whether the key needs an initialization vector that the document says: FairPlay's is constant and not in the media. In plain
/// HLS each segment has its own, which is its number.
pub(crate) const fn needs_iv(system: System) -> bool {
    matches!(system, System::FairPlay)
}

/// The initialization vector of a key, for encoders that name none. It is no secret, and the same for ever.
pub(crate) fn initialization_vector(kid: KeyId) -> String {
    let digest = sha256(&[b"reelkey explicitIV 1".as_slice(), kid.as_bytes()].concat());
    Base64::encode_string(digest.get(..16).unwrap_or_default())
}

/// The `KEYFORMAT` of SPEKE version 1.
pub(crate) const fn key_format(system: System) -> Option<&'static str> {
    match system {
        System::FairPlay => Some("com.apple.streamingkeydelivery"),
        System::Aes128 => Some("identity"),
        _ => None,
    }
}
