//! The record of a content key, and the index from KIDs to contents.

use std::cmp::Reverse;

use reelkey_client::key::KeyId;
use serde::{Deserialize, Serialize};

use crate::crypto::wrap::{Place, Wrapped};
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::batch::Batch;
use crate::store::error::Error;
use crate::store::record::content::{TITLE_PREFIX, content_key};
use crate::store::record::form::Json;
use crate::store::record::secret_record::SecretRecord;
use crate::store::record::stored::{Record, Stored};
use crate::store::record::text;

/// A content key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its KID.
    #[serde(with = "text")]
    pub kid: KeyId,
    /// The content that it belongs to.
    #[serde(with = "text")]
    pub content_id: ContentId,
    /// The track type that it encrypts, if known.
    #[serde(with = "text::optional", default, skip_serializing_if = "Option::is_none")]
    pub track_type: Option<TrackType>,
    /// The crypto period that it is for. Absent for a key that does not change with time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_period_index: Option<u32>,
    /// Whether it can be granted.
    pub state: KeyState,
    /// The wrapped key.
    pub wrapped: Wrapped,
    /// When it was added, in seconds since 1970.
    pub created_at: u64,
    /// The number of keys of its content that were added before it in the same second. Absent in older records.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nth_in_second: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The state of a content key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// It can be granted.
    Active,
    /// It is kept, but never granted again.
    Retired,
}

impl KeyState {
    /// Its name in records and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }
}

impl KeyRecord {
    /// The order of lists: by track type, keys without one last, and the newest first: by crypto period, then
    /// by the time when they were added.
    #[must_use]
    pub fn list_order(&self) -> impl Ord + use<> {
        let track = (self.track_type.is_none(), self.track_type);
        let age = (self.crypto_period_index, self.created_at, self.nth_in_second);
        (track, Reverse(age), self.kid)
    }

    /// The place of a content key, to which its wrapping is bound. The content and the track type are part of it.
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
    type Form = Json;

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

/// An entry of the index: the content that has the key with this KID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KidRecord {
    /// The KID.
    #[serde(with = "text")]
    pub kid: KeyId,
    /// The content ID.
    #[serde(with = "text")]
    pub content_id: ContentId,
}

impl Record for KidRecord {
    type Form = Json;

    const PREFIX: &'static str = "kid/";

    fn key(&self) -> Vec<u8> {
        kid_key(self.kid)
    }
}

impl Batch {
    /// Adds a content key and its index entry. Expects that neither exists.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn add_key(self, record: &KeyRecord) -> Result<Self, Error> {
        let kid = KidRecord { kid: record.kid, content_id: record.content_id.clone() };
        self.add_record(record)?.add_record(&kid)
    }

    /// Removes a content key and its index entry. Expects that the key is as it was read.
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
