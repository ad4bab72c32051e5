//! The operator's operations on contents.

use std::convert::Infallible;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::authority::operation::key::KeyView;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::provision::contents;
use crate::authority::provision::refusal::{Provisioned, Refusal};
use crate::authority::stop::Stop;
use crate::domain::content::ContentId;
use crate::domain::track::TrackType;
use crate::store::record::title::{self, Title};

/// A content, as commands show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentView {
    /// Its content ID.
    pub content_id: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// The number of its keys.
    pub keys: usize,
    /// How long its crypto periods last, if they are counted by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crypto_period_seconds: Option<u32>,
    /// The track types whose keys packagers change with crypto periods; `ALL` is a key for all tracks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crypto_period_tracks: Vec<String>,
    /// When it was added, in seconds since 1970.
    pub created_at: u64,
}

impl ContentView {
    fn of(title: &Title) -> Self {
        let periods = title.content.crypto_periods.as_ref();
        let tracks = periods.into_iter().flat_map(|periods| &periods.tracks);
        Self {
            crypto_period_seconds: periods.and_then(|periods| periods.seconds),
            crypto_period_tracks: tracks
                .map(|track| track.map_or("ALL", TrackType::as_str).to_owned())
                .collect(),
            content_id: title.content.content_id.to_string(),
            policies: title.content.policies.clone(),
            keys: title.keys.len(),
            created_at: title.content.created_at,
        }
    }
}

/// Adds a content.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddContent {
    /// Its content ID.
    pub content_id: ContentId,
    /// Its policies. The first applies to tokens that name none.
    pub policies: Vec<String>,
    /// How long its crypto periods last, if they are counted by the clock.
    #[serde(default)]
    pub crypto_period_seconds: Option<NonZeroU32>,
}

/// The content was added, or existed already.
#[derive(Debug, Serialize, Deserialize)]
pub struct ContentAdded {
    /// The content.
    pub content: ContentView,
    /// Whether it is new.
    pub created: bool,
}

impl Operation for AddContent {
    const NAME: &'static str = "content/add";
    type Outcome = ContentAdded;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<ContentAdded, Stop<Refusal>> {
        let Self { content_id, policies, crypto_period_seconds } = self;
        contents::judge_policies(&desk.in_force.load().policies, &policies)?;
        let seconds = crypto_period_seconds.map(NonZeroU32::get);
        let done = contents::add(desk.vault, &content_id, &policies, seconds, desk.now).await?;
        let content = ContentView::of(&contents::title(desk.vault, &content_id).await?);
        Ok(ContentAdded { content, created: done == Provisioned::Done })
    }
}

/// Replaces the policies of a content.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPolicies {
    /// The content ID.
    pub content_id: ContentId,
    /// The new policies. The first is for tokens that name none.
    pub policies: Vec<String>,
}

/// The content has these policies now.
#[derive(Debug, Serialize, Deserialize)]
pub struct PoliciesSet {
    /// The content.
    pub content: ContentView,
    /// Whether it had other policies before.
    pub changed: bool,
}

impl Operation for SetPolicies {
    const NAME: &'static str = "content/set-policy";
    type Outcome = PoliciesSet;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<PoliciesSet, Stop<Refusal>> {
        let Self { content_id, policies } = self;
        contents::judge_policies(&desk.in_force.load().policies, &policies)?;
        let done = contents::set_policies(desk.vault, &content_id, &policies).await?;
        let content = ContentView::of(&contents::title(desk.vault, &content_id).await?);
        Ok(PoliciesSet { content, changed: done == Provisioned::Done })
    }
}

/// Removes a content whose keys are all retired, together with these keys.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveContent {
    /// Its content ID.
    pub content_id: ContentId,
}

/// The content was removed, or did not exist.
#[derive(Debug, Serialize, Deserialize)]
pub struct ContentRemoved {
    /// Whether it existed.
    pub changed: bool,
    /// The number of retired keys that were removed with it.
    pub keys: usize,
    /// If the content does not exist, the content with the most similar ID.
    pub nearest: Option<ContentId>,
}

impl Operation for RemoveContent {
    const NAME: &'static str = "content/remove";
    type Outcome = ContentRemoved;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<ContentRemoved, Stop<Refusal>> {
        let removed = contents::remove(desk.vault, &self.content_id).await?;
        let nearest = match removed {
            Some(_) => None,
            None => contents::nearest_content(desk.vault, &self.content_id).await?,
        };
        let (changed, keys) = (removed.is_some(), removed.unwrap_or_default());
        Ok(ContentRemoved { changed, keys, nearest })
    }
}

/// Lists the contents.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListContents {
    /// Only contents whose ID begins with this text.
    #[serde(default)]
    pub prefix: String,
    /// At most this many contents, the first ones.
    #[serde(default)]
    pub limit: Option<usize>,
}

impl Operation for ListContents {
    const NAME: &'static str = "content/list";
    /// The contents, ordered by content ID.
    type Outcome = Vec<ContentView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<ContentView>, Stop<Infallible>> {
        let titles = title::titles(&*desk.vault.store()).await?;
        let wanted = titles
            .iter()
            .filter(|title| title.content.content_id.as_str().starts_with(&self.prefix));
        Ok(wanted.take(self.limit.unwrap_or(usize::MAX)).map(ContentView::of).collect())
    }
}

/// Shows a content and its keys.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowContent {
    /// Its content ID.
    pub content_id: ContentId,
}

/// A content and its keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct ContentShown {
    /// The content.
    pub content: ContentView,
    /// Its keys, in [the order of lists](crate::store::record::key::KeyRecord::list_order).
    pub keys: Vec<KeyView>,
}

impl Operation for ShowContent {
    const NAME: &'static str = "content/show";
    type Outcome = ContentShown;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<ContentShown, Stop<Refusal>> {
        let title = contents::title(desk.vault, &self.content_id).await?;
        let keys = title.listed_keys().into_iter().map(KeyView::of).collect();
        Ok(ContentShown { content: ContentView::of(&title), keys })
    }
}
