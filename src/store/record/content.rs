//! The record of a content.

use serde::{Deserialize, Serialize};

use crate::domain::content::ContentId;
use crate::store::record::stored::Record;
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
}

impl Record for ContentRecord {
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
