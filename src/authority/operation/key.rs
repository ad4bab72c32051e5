//! What an operator does to content keys. Importing and exporting are the operations that carry keys in the clear; nothing
//! else here does.

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

/// A key as it is shown: everything but the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its KID, a UUID.
    pub kid: String,
    /// Its content.
    pub content_id: String,
    /// What it encrypts.
    pub track_type: Option<String>,
    /// `active` or `retired`.
    pub state: String,
    /// The generation of the KEK that wraps it.
    pub kek: u32,
    /// When it was added, seconds since 1970.
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

/// A key was stored, or was there.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyStored {
    /// The key.
    pub key: KeyView,
    /// Whether it is new.
    pub created: bool,
}

/// Make a key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateKey {
    /// Its content.
    pub content_id: ContentId,
    /// What it encrypts.
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

/// Store a key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportKey {
    /// Its KID, a UUID.
    pub kid: String,
    /// Its content.
    pub content_id: ContentId,
    /// What it encrypts.
    pub track_type: Option<TrackType>,
    /// The key, in hexadecimal digits.
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

/// A content key in the clear, as `key export` writes it and `key import --from` reads it: one JSON object a
/// line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainKey {
    /// Its content.
    pub content_id: ContentId,
    /// Its KID, a UUID.
    pub kid: String,
    /// What it encrypts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_type: Option<TrackType>,
    /// The key, in hexadecimal digits.
    pub key: Zeroizing<String>,
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainKey({}, ..)", self.kid)
    }
}

/// Store many keys, in order, up to the first that is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportKeys {
    /// Contents that are missing are added under these policies; if there are none, a missing content is
    /// refused.
    pub policies: Vec<String>,
    /// The keys.
    pub keys: Vec<PlainKey>,
}

/// Many keys were stored.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeysImported {
    /// How many are new.
    pub stored: usize,
    /// How many were there.
    pub already: usize,
    /// Why the next one was refused, and what to do about it.
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

/// Tell active keys in the clear.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportKeys {
    /// Of this content; otherwise of all.
    pub content_id: Option<ContentId>,
    /// Those that follow this one.
    pub after: Option<KeyPosition>,
}

/// Where an export goes on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPosition {
    /// The content of the last key.
    pub content_id: ContentId,
    /// Its KID, a UUID.
    pub kid: String,
}

/// Keys in the clear.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeysExported {
    /// In the order of their contents and KIDs.
    pub keys: Vec<PlainKey>,
    /// Where to go on, unless these were the last.
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
        // After the records, so that it has what opens them.
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
    /// Some keys of all contents, and where to go on.
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

/// List the keys, of one content or of all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListKeys {
    /// The content.
    pub content_id: Option<ContentId>,
}

impl Operation for ListKeys {
    const NAME: &'static str = "key/list";
    /// In the order of their contents and KIDs.
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

/// Show what is known of a key.
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

/// Make a new key beside the ones that are there.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// Their content.
    pub content_id: ContentId,
    /// For this track type only; otherwise for each that the content has.
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

/// Give a key out no more.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetireKey {
    /// Its KID, a UUID.
    pub kid: String,
}

/// A key was retired, or was before.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeyRetired {
    /// The key.
    pub key: KeyView,
    /// Whether it was active until now.
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
