//! The operations that carry many content keys in the clear: import and export.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authority::operation::key::{parse_key, parse_kid};
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::provision::contents;
use crate::authority::provision::keys::{self, NewKey};
use crate::authority::provision::refusal::Refusal;
use crate::authority::stop::{Remedy, Stop};
use crate::crypto::clean_stack::on_clean_stack;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::key::{KeyRecord, KeyState};
use crate::store::record::stored::Stored;
use crate::store::record::title;

type Stopped = Stop<Refusal>;

/// A content key in the clear, as `key export` writes it and `key import --from` reads it: one JSON object per line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainKey {
    /// The content ID.
    pub content_id: ContentId,
    /// Its KID, a UUID.
    pub kid: String,
    /// The track type that it encrypts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_type: Option<TrackType>,
    /// The crypto period that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_period_index: Option<u32>,
    /// The key: 32 hexadecimal digits.
    pub key: Zeroizing<String>,
    /// When it was added, in seconds since 1970. An import ignores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<u64>,
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainKey({}, ..)", self.kid)
    }
}

/// Stores many keys, in order. Stops at the first that is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportKeys {
    /// Missing contents are added with these policies. If the list is empty, a key of a missing content is refused.
    pub policies: Vec<String>,
    /// The keys.
    pub keys: Vec<PlainKey>,
}

/// Many keys were stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeysImported {
    /// How many keys are new.
    pub stored: usize,
    /// How many keys existed already.
    pub already: usize,
    /// Why the next key was refused, and what to do about it.
    pub refused: Option<String>,
}

impl Operation for ImportKeys {
    const NAME: &'static str = "key/import-many";
    type Outcome = KeysImported;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<KeysImported, Stopped> {
        contents::judge_policies(&desk.in_force.load().policies, &self.policies)?;
        let mut new = Vec::with_capacity(self.keys.len());
        let mut malformed = None;
        for line in &self.keys {
            let (kid, key) = (line.kid.parse(), parse_key(&line.key));
            let (Ok(kid), Ok(key)) = (kid, key) else {
                malformed = Some(Refusal::Malformed);
                break;
            };
            let (track, period) = (line.track_type, line.crypto_period_index);
            new.push(NewKey { kid, content: &line.content_id, track, period, key });
        }
        let imported = keys::import_many(desk.vault, &self.policies, new, desk.now).await;
        let refusal = match imported.stopped {
            Some(Stop::Refused(refusal)) => Some(refusal),
            Some(Stop::Failed(fault)) => return Err(Stop::Failed(fault)),
            None => malformed,
        };
        let refused = refusal.map(|refusal| match refusal.remedy() {
            Some(remedy) => format!("{refusal}; {remedy}"),
            None => refusal.to_string(),
        });
        Ok(KeysImported { stored: imported.stored, already: imported.already, refused })
    }
}

/// Returns active keys in the clear, a page at a time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportKeys {
    /// The content ID; if absent, the keys of all contents.
    pub content_id: Option<ContentId>,
    /// The end of the page before; if absent, the first page.
    pub after: Option<KeyPosition>,
}

/// A position in the list of keys, from which an export continues.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPosition {
    /// The content ID of the last key.
    pub content_id: ContentId,
    /// Its KID, a UUID.
    pub kid: String,
}

/// Keys in the clear.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeysExported {
    /// The keys, ordered by content ID, and those of a content in [the order of lists](KeyRecord::list_order).
    pub keys: Vec<PlainKey>,
    /// Where the next page begins; absent on the last page.
    pub next: Option<KeyPosition>,
}

impl Operation for ExportKeys {
    const NAME: &'static str = "key/export";
    type Outcome = KeysExported;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<KeysExported, Stopped> {
        let (records, next) = match &self.content_id {
            Some(content_id) => (contents::title(desk.vault, content_id).await?.keys, None),
            None => self.page(desk).await?,
        };
        let mut records = records;
        records.sort_by_cached_key(|record| (record.content_id.clone(), record.list_order()));
        // Taken after the records were read, so that it can open them.
        let keyring = desk.vault.keyring();
        let active = records.into_iter().filter(|record| record.state == KeyState::Active);
        let plain = |record: Stored<KeyRecord>| {
            let key = keyring.content_key(&record)?;
            let key = on_clean_stack(|| key.to_hex());
            let (content_id, kid) = (record.content_id.clone(), record.kid.to_string());
            Ok(PlainKey {
                content_id,
                kid,
                track_type: record.track_type,
                crypto_period_index: record.crypto_period_index,
                key,
                created_at: Some(record.created_at),
            })
        };
        let keys: Vec<_> = active.map(plain).collect::<Result<_, Stopped>>()?;
        tracing::warn!(
            content.id = self.content_id.as_ref().map(tracing::field::display),
            keys = keys.len(),
            actor = %desk.actor,
            "keys were exported in the clear"
        );
        Ok(KeysExported { keys, next })
    }
}

impl ExportKeys {
    /// All keys of some contents, and where the next page begins.
    async fn page(
        &self,
        desk: &Desk<'_>,
    ) -> Result<(Vec<Stored<KeyRecord>>, Option<KeyPosition>), Stopped> {
        let after = match &self.after {
            Some(at) => Some((&at.content_id, parse_kid(&at.kid)?)),
            None => None,
        };
        let store = desk.vault.store();
        let mut records = title::keys_after(&*store, after).await?;
        // A page must not end in the middle of a content, or its keys could not be ordered.
        if let Some(last) = records.last().map(|last| last.content_id.clone())
            && let Some(title) = title::title(&*store, &last).await?
        {
            records.retain(|record| record.content_id != last);
            records.extend(title.keys);
        }
        let next = records.last().map(|last| KeyPosition {
            content_id: last.content_id.clone(),
            kid: last.kid.to_string(),
        });
        Ok((records, next))
    }
}
