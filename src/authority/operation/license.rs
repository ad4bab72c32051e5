//! The operator's operations on licenses and sessions.

use std::convert::Infallible;

use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::authority::operation::account::AccountName;
use crate::authority::operation::order::{Desk, Operation};
use crate::authority::registry::licenses::{self, Filter};
use crate::authority::registry::sessions;
use crate::authority::stop::{Remedy, Stop};
use crate::authority::vault::fault::Fault;
use crate::domain::content::ContentId;
use crate::domain::past::{Event, License, LicenseId};

/// Why an operation on a license is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is remembered of it.
    #[error("nothing is remembered of the license {0}")]
    NoLicense(String),
}

impl Remedy for Refusal {
    fn remedy(&self) -> Option<String> {
        let Self::NoLicense(_) = self;
        Some(
            "see `reelkey license list`; licenses under policies without renewals, windows, limits or offline playback are \
             not remembered"
                .into(),
        )
    }
}

/// A license, as commands show it. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseView {
    /// Its ID.
    pub id: String,
    /// `active`, `revoked`, `returned` or `expired`.
    pub status: String,
    /// The account's name at its issuer.
    pub account: String,
    /// The content.
    pub content_id: String,
    /// The purchase or rental.
    pub entitlement_id: String,
    /// The policy that granted it last.
    pub policy_id: String,
    /// `temporary` or `persistent-license`.
    pub session_type: String,
    /// The device that has it.
    pub device: String,
    /// When it was first granted.
    pub issued_at: u64,
    /// When it last changed.
    pub updated_at: u64,
    /// Its end.
    pub expires_at: u64,
    /// How often it was renewed.
    pub counter: u64,
    /// What happened to it besides renewals.
    pub events: Vec<EventView>,
}

/// Something that happened to a license.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// What.
    pub r#type: String,
    /// When.
    pub at: u64,
}

impl LicenseView {
    /// The view of a license at `now`.
    #[must_use]
    pub fn of(license: &License, now: UnixTime) -> Self {
        let event = |event: &Event| EventView {
            r#type: event.kind.as_str().into(),
            at: event.at.as_secs(),
        };
        Self {
            id: license.id.to_string(),
            status: license.status(now).into(),
            account: license.sub.clone(),
            content_id: license.content.to_string(),
            entitlement_id: license.entitlement_id.clone(),
            policy_id: license.policy_id.clone(),
            session_type: license.session_name().into(),
            device: license.device.to_string(),
            issued_at: license.issued_at.as_secs(),
            updated_at: license.updated_at.as_secs(),
            expires_at: license.expires_at.as_secs(),
            counter: license.counter,
            events: license.events.iter().map(event).collect(),
        }
    }
}

/// Lists licenses. Every filter that is there must fit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListLicenses {
    /// Of this account.
    pub account: Option<AccountName>,
    /// Of this device.
    pub device: Option<String>,
    /// For this content.
    pub content_id: Option<ContentId>,
    /// Granted by this policy.
    pub policy_id: Option<String>,
    /// Only those that are still valid.
    pub live: bool,
    /// At most so many.
    pub limit: usize,
}

impl Operation for ListLicenses {
    const NAME: &'static str = "license/list";
    type Outcome = Vec<LicenseView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<LicenseView>, Stop<Infallible>> {
        let device = match self.device.as_deref().map(Thumbprint::parse) {
            Some(Ok(device)) => Some(device),
            // What is no thumbprint is nobody's.
            Some(Err(_)) => return Ok(Vec::new()),
            None => None,
        };
        let filter = Filter {
            account: match &self.account {
                Some(account) => Some(account.id(desk).await?),
                None => None,
            },
            device,
            content: self.content_id,
            policy_id: self.policy_id,
            live_at: self.live.then_some(desk.now),
        };
        let found = licenses::list(&*desk.vault.facts(), &filter, self.limit).await?;
        Ok(found.iter().map(|owned| LicenseView::of(&owned.license, desk.now)).collect())
    }
}

/// Shows a license.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowLicense {
    /// Its ID.
    pub id: String,
}

impl Operation for ShowLicense {
    const NAME: &'static str = "license/show";
    type Outcome = LicenseView;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<LicenseView, Stop<Refusal>> {
        let found = licenses::find(&*desk.vault.facts(), parse(&self.id)?).await?;
        let owned = found.ok_or(Stop::Refused(Refusal::NoLicense(self.id)))?;
        Ok(LicenseView::of(&owned.license, desk.now))
    }
}

/// What an operator does to a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Withdraws it, and bars others for the same account, content and entitlement.
    Revoke,
    /// Undoes that.
    Restore,
    /// Ends its session: it is not renewed any more, and its slot is free.
    End,
}

/// Revokes, restores or ends a license.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeLicense {
    /// Its ID.
    pub id: String,
    /// What is done.
    pub act: Act,
}

/// The license as it is now.
#[derive(Debug, Serialize, Deserialize)]
pub struct LicenseChanged {
    /// The license.
    pub license: LicenseView,
    /// Whether anything was changed.
    pub changed: bool,
}

impl Operation for ChangeLicense {
    const NAME: &'static str = "license/change";
    type Outcome = LicenseChanged;
    type Refusal = Refusal;

    async fn execute(self, desk: &Desk<'_>) -> Result<LicenseChanged, Stop<Refusal>> {
        let (facts, id, now) = (desk.vault.facts(), parse(&self.id)?, desk.now);
        let changed = match self.act {
            Act::Revoke => licenses::withdraw(&*facts, id, now).await,
            Act::Restore => licenses::give_back(&*facts, id, now).await,
            Act::End => sessions::end(&*facts, id, now).await,
        };
        let (license, changed) = changed?.ok_or(Stop::Refused(Refusal::NoLicense(self.id)))?;
        Ok(LicenseChanged { license: LicenseView::of(&license, now), changed })
    }
}

/// A session, as commands show it. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// The license that was granted last in it: what `session end` takes.
    pub session: String,
    /// The account's name at its issuer, where the license is still remembered.
    pub account: Option<String>,
    /// The device that plays.
    pub device: String,
    /// What it plays.
    pub content_id: String,
    /// When it began.
    pub since: u64,
    /// When its slot is free at the latest.
    pub until: u64,
}

/// Lists the sessions that have a slot now.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSessions {
    /// Of this account only.
    pub account: Option<AccountName>,
    /// At most so many.
    pub limit: usize,
}

impl Operation for ListSessions {
    const NAME: &'static str = "session/list";
    type Outcome = Vec<SessionView>;
    type Refusal = Infallible;

    async fn execute(self, desk: &Desk<'_>) -> Result<Vec<SessionView>, Stop<Infallible>> {
        let account = match &self.account {
            Some(account) => Some(account.id(desk).await?),
            None => None,
        };
        let facts = desk.vault.facts();
        let mut views = Vec::new();
        for session in sessions::list(&*facts, account, self.limit, desk.now).await? {
            let owned: Result<_, Fault> = licenses::find(&*facts, session.slot.license).await;
            views.push(SessionView {
                session: session.slot.license.to_string(),
                account: owned?.map(|owned| owned.license.sub),
                device: session.slot.device.to_string(),
                content_id: session.slot.content.to_string(),
                since: session.slot.since.as_secs(),
                until: session.slot.until.as_secs(),
            });
        }
        Ok(views)
    }
}

fn parse(id: &str) -> Result<LicenseId, Stop<Refusal>> {
    id.parse().map_err(|_| Stop::Refused(Refusal::NoLicense(id.into())))
}
