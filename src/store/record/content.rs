//! The record of a content.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::batch::Batch;
use crate::store::error::Error;
use crate::store::record::form::Json;
use crate::store::record::stored::{Record, Stored};
use crate::store::record::text;

/// The key prefix of contents and content keys.
pub(super) const TITLE_PREFIX: &str = "title/";

/// A content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRecord {
    /// Its content ID.
    #[serde(with = "text")]
    pub content_id: ContentId,
    /// The names of its policies. The first applies to tokens that name none.
    pub policies: Vec<String>,
    /// When it was added, in seconds since 1970.
    pub created_at: u64,
    /// Its crypto periods, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_periods: Option<CryptoPeriods>,
    /// How often packagers have had keys made for it. Two that ask at once for the same new key both change this, so one of
    /// them looks again and finds the other's key.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asks: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The crypto periods of a content, whose keys are derived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CryptoPeriods {
    /// The content's number, a random one. Keys and KIDs depend on it.
    pub number: u32,
    /// How long a period lasts, if the operator has periods counted by the clock: from 1970 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// How long a period lasts as the first packager said. It tells licenses which keys are of this moment, as far as that
    /// packager counts by the clock too, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_seconds: Option<u32>,
    /// The track types for which packagers have asked; `None` is a key for all tracks.
    #[serde(default)]
    pub tracks: BTreeSet<Option<TrackType>>,
}

impl ContentRecord {
    /// A new content without keys.
    #[must_use]
    pub fn new(content_id: ContentId, policies: &[String], created_at: u64) -> Self {
        let policies = policies.to_vec();
        Self { content_id, policies, created_at, crypto_periods: None, asks: 0 }
    }
}

/// An entry of the index: the content that has this number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRecord {
    /// The number.
    pub number: u32,
    /// The content ID.
    #[serde(with = "text")]
    pub content_id: ContentId,
}

impl Record for NumberRecord {
    type Form = Json;

    const PREFIX: &'static str = "number/";

    fn key(&self) -> Vec<u8> {
        number_key(self.number)
    }
}

pub(super) fn number_key(number: u32) -> Vec<u8> {
    [NumberRecord::PREFIX.as_bytes(), &number.to_be_bytes()].concat()
}

impl Batch {
    /// Replaces a content, or adds it where there was none, and keeps the index of numbers with it. A content never
    /// changes its number.
    ///
    /// # Errors
    /// [`Error::Encoding`].
    pub fn put_content(
        self,
        old: Option<&Stored<ContentRecord>>,
        new: &ContentRecord,
    ) -> Result<Self, Error> {
        let batch = self.put_record(old, new)?;
        let had_number = old.is_some_and(|old| old.crypto_periods.is_some());
        match &new.crypto_periods {
            Some(periods) if !had_number => batch.add_record(&NumberRecord {
                number: periods.number,
                content_id: new.content_id.clone(),
            }),
            _ => Ok(batch),
        }
    }

    /// Removes a content and its number. Expects that the content is as it was read.
    #[must_use]
    pub fn remove_content(self, record: &Stored<ContentRecord>) -> Self {
        let batch = self.remove_record(record);
        match &record.crypto_periods {
            Some(periods) => batch.remove(number_key(periods.number)),
            None => batch,
        }
    }
}

impl Record for ContentRecord {
    type Form = Json;

    const PREFIX: &'static str = TITLE_PREFIX;

    fn key(&self) -> Vec<u8> {
        content_key(&self.content_id)
    }
}

/// The key of a content's record. A content ID contains no NUL, so the keys of one content never begin with the key of
/// another.
pub(in crate::store) fn content_key(content: &ContentId) -> Vec<u8> {
    [TITLE_PREFIX.as_bytes(), content.as_str().as_bytes(), &[0]].concat()
}

/// Whether this is the key of a content's record, not of a content key's: nothing follows its NUL.
pub(super) fn is_content_key(key: &[u8]) -> bool {
    key.iter().position(|byte| *byte == 0) == key.len().checked_sub(1)
}
