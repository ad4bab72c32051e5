//! Track types.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The track type that a content key encrypts. Video types are ordered by resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TrackType {
    /// Audio.
    Audio,
    /// Video up to 576 lines.
    Sd,
    /// Video up to 1080 lines.
    Hd,
    /// Video up to 2160 lines.
    Uhd1,
    /// Video above 2160 lines.
    Uhd2,
}

/// The text is not one of the five names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a track type is one of AUDIO, SD, HD, UHD1 and UHD2")]
pub struct InvalidTrackType;

impl TrackType {
    /// All types, in order.
    pub const ALL: [Self; 5] = [Self::Audio, Self::Sd, Self::Hd, Self::Uhd1, Self::Uhd2];

    /// The number of a track type in KIDs of crypto periods, 0 for none. **It never changes**: films depend on it.
    #[must_use]
    pub fn number(track: Option<Self>) -> u8 {
        match track {
            None => 0,
            Some(Self::Audio) => 1,
            Some(Self::Sd) => 2,
            Some(Self::Hd) => 3,
            Some(Self::Uhd1) => 4,
            Some(Self::Uhd2) => 5,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "AUDIO",
            Self::Sd => "SD",
            Self::Hd => "HD",
            Self::Uhd1 => "UHD1",
            Self::Uhd2 => "UHD2",
        }
    }
}

impl FromStr for TrackType {
    type Err = InvalidTrackType;

    fn from_str(text: &str) -> Result<Self, InvalidTrackType> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(InvalidTrackType)
    }
}

impl fmt::Display for TrackType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
