//! The operator's operations on content keys. Import and export are the only operations that carry keys in the clear.

use std::fmt;

use reelkey_client::key::{ContentKey, KeyId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authority::operation::order::{Desk, Operation};
use crate::authority::provision::contents;
use crate::authority::provision::keys::{self, NewKey};
use crate::authority::provision::refusal::{Provisioned, Refusal};
use crate::authority::stop::{Remedy, Stop};
use crate::crypto::clean_stack::on_clean_stack;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::key::{KeyRecord, KeyState};
use crate::store::record::stored::Stored;
use crate::store::record::title;

type Stopped = Stop<Refusal>;

/// A key, as commands show it: without the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its KID, a UUID.
    pub kid: String,
    /// Its content ID.
    pub content_id: String,
    /// The track type that it encrypts.
    pub track_type: Option<String>,
    /// `active` or `retired`.
    pub state: String,
    /// The generation of the KEK that wraps it.
    pub kek: u32,
    /// When it was added, in seconds since 1970.
    pub created_at: u64,
}

impl KeyView {
    pub(super) fn of(key: &KeyRecord) -> Self {
        Self {
            kid: key.kid.to_string(),
            content_id: key.content_id.to_string(),
            track_type: key.track_type.map(|track| track.to_string()),
            state: key.state.as_str().into(),
            kek: key.wrapped.kek,
            created_at: key.created_at,
        }
    }
}

fn parse_kid(text: &str) -> Result<KeyId, Refusal> {
    text.parse().map_err(|_| Refusal::Malformed)
}

fn parse_key(hex: &str) -> Result<ContentKey, Refusal> {
    on_clean_stack(|| ContentKey::parse_hex(hex)).map_err(|_| Refusal::Malformed)
}

async fn find(desk: &Desk<'_>, kid: KeyId) -> Result<KeyView, Stopped> {
    let record = title::key(&*desk.vault.store(), kid).await?.ok_or(Refusal::NoKey(kid))?;
    Ok(KeyView::of(&record))
}

/// The key was stored, or existed already.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyStored {
    /// The key.
    pub key: KeyView,
    /// Whether it is new.
    pub created: bool,
}

/// Makes a random key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateKey {
    /// The content ID.
    pub content_id: ContentId,
    /// The track type that it encrypts.
    pub track_type: Option<TrackType>,
}

impl Operation for GenerateKey {
    const NAME: &'static str = "key/generate";
    type Outcome = KeyStored;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<KeyStored, Stopped> {
        let new = NewKey::generate(&self.content_id, self.track_type)?;
        let kid = new.kid;
        keys::import(desk.vault, new, desk.now).await?;
        Ok(KeyStored { key: find(desk, kid).await?, created: true })
    }
}

/// Stores one key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportKey {
    /// Its KID, a UUID.
    pub kid: String,
    /// The content ID.
    pub content_id: ContentId,
    /// The track type that it encrypts.
    pub track_type: Option<TrackType>,
    /// The key: 32 hexadecimal digits.
    pub key: Zeroizing<String>,
}

impl Operation for ImportKey {
    const NAME: &'static str = "key/import";
    type Outcome = KeyStored;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<KeyStored, Stopped> {
        let kid = parse_kid(&self.kid)?;
        let key = parse_key(&self.key)?;
        let new = NewKey { kid, content: &self.content_id, track: self.track_type, key };
        let done = keys::import(desk.vault, new, desk.now).await?;
        Ok(KeyStored { key: find(desk, kid).await?, created: done == Provisioned::Done })
    }
}

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
    /// The key: 32 hexadecimal digits.
    pub key: Zeroizing<String>,
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
            new.push(NewKey { kid, content: &line.content_id, track: line.track_type, key });
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
    /// The keys, ordered by content ID and KID.
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
        // Taken after the records were read, so that it can open them.
        let keyring = desk.vault.keyring();
        let active = records.into_iter().filter(|record| record.state == KeyState::Active);
        let plain = |record: Stored<KeyRecord>| {
            let key = keyring.content_key(&record)?;
            let key = on_clean_stack(|| key.to_hex());
            let (content_id, kid) = (record.content_id.clone(), record.kid.to_string());
            Ok(PlainKey { content_id, kid, track_type: record.track_type, key })
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
    /// One page of the keys of all contents, and where the next page begins.
    async fn page(
        &self,
        desk: &Desk<'_>,
    ) -> Result<(Vec<Stored<KeyRecord>>, Option<KeyPosition>), Stopped> {
        let after = match &self.after {
            Some(at) => Some((&at.content_id, parse_kid(&at.kid)?)),
            None => None,
        };
        let records = title::keys_after(&*desk.vault.store(), after).await?;
        let next = records.last().map(|last| KeyPosition {
            content_id: last.content_id.clone(),
            kid: last.kid.to_string(),
        });
        Ok((records, next))
    }
}

/// Lists the keys of one content or of all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListKeys {
    /// The content ID; if absent, all contents.
    pub content_id: Option<ContentId>,
}

impl Operation for ListKeys {
    const NAME: &'static str = "key/list";
    /// The keys, ordered by content ID and KID.
    type Outcome = Vec<KeyView>;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<KeyView>, Stopped> {
        let titles = match &self.content_id {
            Some(content_id) => vec![contents::title(desk.vault, content_id).await?],
            None => title::titles(&*desk.vault.store()).await?,
        };
        Ok(titles.iter().flat_map(|title| &title.keys).map(|key| KeyView::of(key)).collect())
    }
}

/// Shows everything about a key except the key itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowKey {
    /// Its KID, a UUID.
    pub kid: String,
}

impl Operation for ShowKey {
    const NAME: &'static str = "key/show";
    type Outcome = KeyView;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<KeyView, Stopped> {
        find(desk, parse_kid(&self.kid)?).await
    }
}

/// Makes new keys beside the existing ones.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// The content ID.
    pub content_id: ContentId,
    /// Only this track type; if absent, each track type of the content.
    pub track_type: Option<TrackType>,
}

impl Operation for RotateKeys {
    const NAME: &'static str = "key/rotate";
    /// The new keys.
    type Outcome = Vec<KeyView>;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<KeyView>, Stopped> {
        let kids = keys::rotate(desk.vault, &self.content_id, self.track_type, desk.now).await?;
        let title = contents::title(desk.vault, &self.content_id).await?;
        let made = title.keys.iter().filter(|key| kids.contains(&key.kid));
        Ok(made.map(|key| KeyView::of(key)).collect())
    }
}

/// Retires a key: it is never granted again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireKey {
    /// Its KID, a UUID.
    pub kid: String,
}

/// The key was retired now or earlier.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyRetired {
    /// The key.
    pub key: KeyView,
    /// Whether it was active before.
    pub changed: bool,
}

impl Operation for RetireKey {
    const NAME: &'static str = "key/retire";
    type Outcome = KeyRetired;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<KeyRetired, Stopped> {
        let kid = parse_kid(&self.kid)?;
        let done = keys::retire(desk.vault, kid).await?;
        Ok(KeyRetired { key: find(desk, kid).await?, changed: done == Provisioned::Done })
    }
}
