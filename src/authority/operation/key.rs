//! The operator's operations on single content keys. Only [`ImportKey`] carries a key in the clear.
//!
//! Deliberately absent: operations that carry many keys in the clear. They are in `clear_key`.

use reelkey_client::key::{ContentKey, KeyId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authority::in_force::Policies;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::provision::contents;
use crate::authority::provision::keys::{self, NewKey};
use crate::authority::provision::periods::{self, Derived};
use crate::authority::provision::refusal::{Provisioned, Refusal};
use crate::authority::stop::Stop;
use crate::crypto::clean_stack::on_clean_stack;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::content::ContentRecord;
use crate::store::record::key::{KeyRecord, KeyState};
use crate::store::record::period_seed::PeriodSeedRecord;
use crate::store::record::stored;
use crate::store::record::title::{self, Title};

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
    /// The crypto period that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_period_index: Option<u32>,
    /// `active` or `retired`.
    pub state: String,
    /// The generation of the KEK that wraps it.
    pub kek: u32,
    /// When it was added, in seconds since 1970; of a derived key, when its content was.
    pub created_at: u64,
    /// Whether it is derived, as the keys of crypto periods are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub derived: bool,
}

impl KeyView {
    pub(super) fn of(key: &KeyRecord) -> Self {
        Self {
            kid: key.kid.to_string(),
            content_id: key.content_id.to_string(),
            track_type: key.track_type.map(|track| track.to_string()),
            crypto_period_index: key.crypto_period_index,
            state: key.state.as_str().into(),
            kek: key.wrapped.kek,
            created_at: key.created_at,
            derived: false,
        }
    }

    fn of_derived(content: &ContentRecord, key: &Derived, kek: u32) -> Self {
        Self {
            kid: key.kid.to_string(),
            content_id: content.content_id.to_string(),
            track_type: key.track.map(|track| track.to_string()),
            crypto_period_index: Some(key.period),
            state: KeyState::Active.as_str().into(),
            kek,
            created_at: content.created_at,
            derived: true,
        }
    }
}

pub(super) fn parse_kid(text: &str) -> Result<KeyId, Refusal> {
    text.parse().map_err(|_| Refusal::Malformed)
}

pub(super) fn parse_key(hex: &str) -> Result<ContentKey, Refusal> {
    on_clean_stack(|| ContentKey::parse_hex(hex)).map_err(|_| Refusal::Malformed)
}

async fn find(desk: &Desk<'_>, kid: KeyId) -> Result<KeyView, Stopped> {
    if let Some(record) = title::key(&*desk.vault.store(), kid).await? {
        return Ok(KeyView::of(&record));
    }
    let (content, key) = periods::key(desk.vault, kid).await?.ok_or(Refusal::NoKey(kid))?;
    let seed = stored::only::<PeriodSeedRecord>(&*desk.vault.store()).await?;
    let kek = seed.map(|seed| seed.wrapped.kek).unwrap_or_default();
    Ok(KeyView::of_derived(&content, &key, kek))
}

/// Refuses a new key that no policy of its content grants.
fn judge_track(
    in_force: &Policies,
    content: &ContentRecord,
    track: Option<TrackType>,
) -> Result<(), Refusal> {
    let named = content.policies.iter().map(|name| in_force.get(name));
    // A policy that is not in force yet may grant it.
    let Some(policies) = named.collect::<Option<Vec<_>>>() else { return Ok(()) };
    if policies.iter().any(|policy| policy.allows(track)) {
        return Ok(());
    }
    let given = |track: &TrackType| policies.iter().any(|policy| policy.allows(Some(*track)));
    let tracks = TrackType::ALL.into_iter().filter(given).collect();
    Err(Refusal::Unreachable { content: content.content_id.clone(), track, tracks })
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
    /// The crypto period that it is for.
    #[serde(default)]
    pub crypto_period_index: Option<u32>,
}

impl Operation for GenerateKey {
    const NAME: &'static str = "key/generate";
    type Outcome = KeyStored;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<KeyStored, Stopped> {
        let content = contents::content(desk.vault, &self.content_id).await?;
        judge_track(&desk.in_force.load().policies, &content, self.track_type)?;
        let new = NewKey::generate(&self.content_id, self.track_type, self.crypto_period_index)?;
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
    /// The crypto period that it is for.
    #[serde(default)]
    pub crypto_period_index: Option<u32>,
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
        let (track, period) = (self.track_type, self.crypto_period_index);
        let new = NewKey { kid, content: &self.content_id, track, period, key };
        let done = keys::import(desk.vault, new, desk.now).await?;
        Ok(KeyStored { key: find(desk, kid).await?, created: done == Provisioned::Done })
    }
}

/// Lists the keys of one content or of all.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListKeys {
    /// The content ID; if absent, all contents.
    pub content_id: Option<ContentId>,
    /// Only keys of these track types; if empty, all keys.
    #[serde(default)]
    pub tracks: Vec<TrackType>,
    /// Only keys in this state; if absent, all keys.
    #[serde(default)]
    pub state: Option<KeyState>,
    /// At most this many keys, the first ones.
    #[serde(default)]
    pub limit: Option<usize>,
}

impl ListKeys {
    fn wants(&self, key: &KeyRecord) -> bool {
        let is_track = |track: TrackType| self.tracks.contains(&track);
        (self.tracks.is_empty() || key.track_type.is_some_and(is_track))
            && self.state.is_none_or(|state| key.state == state)
    }
}

impl Operation for ListKeys {
    const NAME: &'static str = "key/list";
    /// The keys, ordered by content ID, and those of a content in [the order of lists](KeyRecord::list_order).
    type Outcome = Vec<KeyView>;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<KeyView>, Stopped> {
        let titles = match &self.content_id {
            Some(content_id) => vec![contents::title(desk.vault, content_id).await?],
            None => title::titles(&*desk.vault.store()).await?,
        };
        let keys = titles.iter().flat_map(Title::listed_keys);
        let wanted = keys.filter(|key| self.wants(key)).take(self.limit.unwrap_or(usize::MAX));
        Ok(wanted.map(KeyView::of).collect())
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
        let made = title.listed_keys().into_iter().filter(|key| kids.contains(&key.kid));
        Ok(made.map(KeyView::of).collect())
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
        let done = keys::retire(desk.vault, kid, desk.now).await?;
        Ok(KeyRetired { key: find(desk, kid).await?, changed: done == Provisioned::Done })
    }
}
