//! The operator's operations on contents.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::authority::operation::key::KeyView;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::provision::contents;
use crate::authority::provision::refusal::{Provisioned, Refusal};
use crate::authority::stop::Stop;
use crate::domain::content::ContentId;
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
    /// When it was added, in seconds since 1970.
    pub created_at: u64,
}

impl ContentView {
    fn of(title: &Title) -> Self {
        Self {
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
        let Self { content_id, policies } = self;
        contents::judge_policies(&desk.in_force.load().policies, &policies)?;
        let done = contents::add(desk.vault, &content_id, &policies, desk.now).await?;
        let content = ContentView::of(&contents::title(desk.vault, &content_id).await?);
        Ok(ContentAdded { content, created: done == Provisioned::Done })
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
}

impl Operation for RemoveContent {
    const NAME: &'static str = "content/remove";
    type Outcome = ContentRemoved;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<ContentRemoved, Stop<Refusal>> {
        let removed = contents::remove(desk.vault, &self.content_id).await?;
        Ok(ContentRemoved { changed: removed.is_some(), keys: removed.unwrap_or_default() })
    }
}

/// Lists the contents.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListContents {}

impl Operation for ListContents {
    const NAME: &'static str = "content/list";
    /// The contents, ordered by content ID.
    type Outcome = Vec<ContentView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<ContentView>, Stop<Infallible>> {
        let titles = title::titles(&*desk.vault.store()).await?;
        Ok(titles.iter().map(ContentView::of).collect())
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
    /// Its keys.
    pub keys: Vec<KeyView>,
}

impl Operation for ShowContent {
    const NAME: &'static str = "content/show";
    type Outcome = ContentShown;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<ContentShown, Stop<Refusal>> {
        let title = contents::title(desk.vault, &self.content_id).await?;
        let keys = title.keys.iter().map(|key| KeyView::of(key)).collect();
        Ok(ContentShown { content: ContentView::of(&title), keys })
    }
}
