//! Packagers: their names, what they may do, and the names that they have for tracks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::track::TrackType;

/// The longest name, in bytes.
const BYTES_MAX: usize = 64;

/// The name of a packager: 1 to 64 of `A-Za-z0-9._-`. It is the user of HTTP's Basic scheme, and the signer of requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PackagerName(String);

/// The text is no name of a packager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a packager is 1 to 64 of A-Z a-z 0-9 . _ -")]
pub struct InvalidPackagerName;

impl PackagerName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackagerName {
    type Err = InvalidPackagerName;

    fn from_str(text: &str) -> Result<Self, InvalidPackagerName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidPackagerName) }
    }
}

impl TryFrom<String> for PackagerName {
    type Error = InvalidPackagerName;

    fn try_from(text: String) -> Result<Self, InvalidPackagerName> {
        text.parse()
    }
}

impl fmt::Display for PackagerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a packager may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Ask for the keys of a content to encrypt it. New keys are made where there are none.
    Issue,
    /// Ask for keys that there are, by their KIDs: to decrypt.
    Read,
}

impl Permission {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Issue, Self::Read];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Read => "read",
        }
    }
}

/// The text is no permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packager may be allowed to issue and to read")]
pub struct InvalidPermission;

impl FromStr for Permission {
    type Err = InvalidPermission;

    fn from_str(text: &str) -> Result<Self, InvalidPermission> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(InvalidPermission)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The track type that a packager's name of a track stands for; the inner `None` for the name of all tracks.
///
/// Besides our own names these are those of AWS's encryption contracts (SPEKE version 2) and of Shaka Packager, compared
/// without regard to case. `VIDEO` has any resolution up to high definition. A name that spans two types is the higher one.
/// Returns `None` for an unknown name.
#[must_use]
pub fn track_type(name: &str) -> Option<Option<TrackType>> {
    let name = name.to_ascii_uppercase();
    Some(match name.as_str() {
        "ALL" => None,
        "AUDIO"
        | "STEREO_AUDIO"
        | "MULTICHANNEL_AUDIO"
        | "MULTICHANNEL_AUDIO_3_6"
        | "MULTICHANNEL_AUDIO_7" => Some(TrackType::Audio),
        "SD" => Some(TrackType::Sd),
        "VIDEO" | "HD" | "HD1" | "HD2" | "SD+HD1" | "HD1+HD2" | "SD+HD1+HD2" | "SD+HD" => {
            Some(TrackType::Hd)
        }
        "UHD1" => Some(TrackType::Uhd1),
        "UHD" | "UHD2" | "UHD1+UHD2" => Some(TrackType::Uhd2),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_headers_and_files() {
        for fine in ["a", "encoder-1", "widevine_test", "A.b", &"x".repeat(64)] {
            assert!(fine.parse::<PackagerName>().is_ok(), "{fine}");
        }
        for wrong in ["", "a b", "a/b", "a:b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(wrong.parse::<PackagerName>(), Err(InvalidPackagerName), "{wrong:?}");
        }
    }

    #[test]
    fn names_of_tracks_stand_for_track_types() {
        for own in TrackType::ALL {
            assert_eq!(track_type(own.as_str()), Some(Some(own)));
        }
        for (name, expected) in [
            ("stereo_audio", Some(Some(TrackType::Audio))),
            ("MULTICHANNEL_AUDIO_3_6", Some(Some(TrackType::Audio))),
            ("VIDEO", Some(Some(TrackType::Hd))),
            ("HD2", Some(Some(TrackType::Hd))),
            ("ALL", Some(None)),
            ("", None),
            ("SUBTITLES", None),
        ] {
            assert_eq!(track_type(name), expected, "{name}");
        }
    }
}
