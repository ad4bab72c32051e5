//! The record of a content key, and the index from KIDs to contents.

use reelkey_client::key::KeyId;
use serde::{Deserialize, Serialize};

use crate::crypto::wrap::{Place, Wrapped};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::batch::Batch;
use crate::store::error::Error;
use crate::store::record::content::{TITLE_PREFIX, content_key};
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::stored::{Record, Stored};
use crate::store::record::text;

/// A content key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its identifier.
    #[serde(with = "text")]
    pub kid: KeyId,
    /// The one content that has it.
    #[serde(with = "text")]
    pub content_id: ContentId,
    /// What it encrypts, if that was said.
    #[serde(with = "text::optional", default, skip_serializing_if = "Option::is_none")]
    pub track_type: Option<TrackType>,
    /// Whether it is given out.
    pub state: KeyState,
    /// The key.
    pub wrapped: Wrapped,
    /// When it was added, seconds since 1970.
    pub created_at: u64,
}

/// Where a content key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Given out.
    Active,
    /// Kept, and never given out again.
    Retired,
}

impl KeyState {
    /// As records and documents write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl KeyRecord {
    /// Where a content key is wrapped: its content and track type are bound to it.
    #[must_use]
    pub fn place_of(
        store_id: &[u8; 16],
        kid: KeyId,
        content: &ContentId,
        track: Option<TrackType>,
    ) -> Place {
        let track = track.map_or("", TrackType::as_str);
        Place::new(
            store_id,
            "key",
            kid.as_bytes(),
            &[content.as_str().as_bytes(), track.as_bytes()],
        )
    }
}

impl Record for KeyRecord {
    const PREFIX: &'static str = TITLE_PREFIX;

    fn key(&self) -> Vec<u8> {
        key_key(&self.content_id, self.kid)
    }
}

impl SecretRecord for KeyRecord {
    fn wrapped(&self) -> &Wrapped {
        &self.wrapped
    }

    fn rewrapped(&self, wrapped: Wrapped) -> Self {
        Self { wrapped, ..self.clone() }
    }

    fn place(&self, store_id: &[u8; 16]) -> Place {
        Self::place_of(store_id, self.kid, &self.content_id, self.track_type)
    }

    fn name(&self) -> String {
        format!("content key {}", self.kid)
    }
}

/// Which content has the key with this KID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KidRecord {
    /// The KID.
    #[serde(with = "text")]
    pub kid: KeyId,
    /// The content.
    #[serde(with = "text")]
    pub content_id: ContentId,
}

impl Record for KidRecord {
    const PREFIX: &'static str = "kid/";

    fn key(&self) -> Vec<u8> {
        kid_key(self.kid)
    }
}

impl Batch {
    /// Puts a content key that must not be there yet, and its KID into the index.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn add_key(self, record: &KeyRecord) -> Result<Self, Error> {
        let kid = KidRecord { kid: record.kid, content_id: record.content_id.clone() };
        self.add_record(record)?.add_record(&kid)
    }

    /// Removes a content key that is as it was read, and its KID from the index.
    #[must_use]
    pub fn remove_key(self, record: &Stored<KeyRecord>) -> Self {
        self.remove_record(record).remove(kid_key(record.kid))
    }
}

pub(super) fn kid_key(kid: KeyId) -> Vec<u8> {
    [KidRecord::PREFIX.as_bytes(), kid.as_bytes()].concat()
}

pub(in crate::store) fn key_key(content: &ContentId, kid: KeyId) -> Vec<u8> {
    [&content_key(content)[..], kid.as_bytes()].concat()
}
