//! The record of a license, and the index from license IDs to them.

use reelkey_client::exchange::request::SessionType;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::domain::content::ContentId;
use crate::domain::past::{Event, EventKind, License, LicenseId, LicenseState};
use crate::store::record::fact::account::{ACCOUNTS, AccountId, Fact, Kind};
use crate::store::record::stored::Record;
use crate::store::record::text::{self, jkt};

/// A license that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseRecord {
    /// The account.
    #[serde(with = "text")]
    pub account: AccountId,
    /// Its ID.
    #[serde(with = "text")]
    pub id: LicenseId,
    /// The account's name at its issuer, for receipts.
    pub sub: String,
    /// The device that has it.
    #[serde(with = "jkt")]
    pub jkt: Thumbprint,
    /// The content.
    #[serde(with = "text")]
    pub content_id: ContentId,
    /// The purchase or rental.
    pub entitlement_id: String,
    /// The policy that granted it last.
    pub policy_id: String,
    /// To play now, or to keep.
    pub session_type: SessionType,
    /// When it was first granted, in seconds since 1970.
    pub issued_at: u64,
    /// When it last changed.
    pub updated_at: u64,
    /// Its end.
    pub expires_at: u64,
    /// How often it was renewed.
    #[serde(default)]
    pub counter: u64,
    /// The name of the last renewal.
    #[serde(with = "text::optional", default, skip_serializing_if = "Option::is_none")]
    pub renewed_by: Option<LicenseId>,
    /// What became of it.
    pub state: State,
    /// What happened to it: the name of the event, and when.
    pub events: Vec<(EventName, u64)>,
}

/// What became of a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing.
    Active,
    /// It was revoked.
    Revoked,
    /// It was released.
    Returned,
    /// A newer one has ended it.
    Ended,
}

/// The name of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventName {
    /// See [`EventKind::Issued`].
    Issued,
    /// See [`EventKind::FirstPlay`].
    FirstPlay,
    /// See [`EventKind::Revoked`].
    Revoked,
    /// See [`EventKind::Restored`].
    Restored,
    /// See [`EventKind::Returned`].
    Returned,
    /// See [`EventKind::Ended`].
    Ended,
}

/// Pairs of what the rules and what records call the same.
const STATES: [(LicenseState, State); 4] = [
    (LicenseState::Active, State::Active),
    (LicenseState::Revoked, State::Revoked),
    (LicenseState::Returned, State::Returned),
    (LicenseState::Ended, State::Ended),
];

const EVENTS: [(EventKind, EventName); 6] = [
    (EventKind::Issued, EventName::Issued),
    (EventKind::FirstPlay, EventName::FirstPlay),
    (EventKind::Revoked, EventName::Revoked),
    (EventKind::Restored, EventName::Restored),
    (EventKind::Returned, EventName::Returned),
    (EventKind::Ended, EventName::Ended),
];

impl LicenseRecord {
    /// The key of a license.
    #[must_use]
    pub fn key_of(account: &AccountId, jkt: &Thumbprint, id: &LicenseId) -> Vec<u8> {
        account.key_of(Self::KIND, &[jkt.as_bytes(), id.as_bytes()])
    }

    /// The keys of a device's licenses begin with this.
    #[must_use]
    pub fn prefix(account: &AccountId, jkt: &Thumbprint) -> Vec<u8> {
        account.key_of(Self::KIND, &[jkt.as_bytes()])
    }

    /// The record of a license.
    #[must_use]
    pub fn new(account: AccountId, license: &License) -> Self {
        let state = STATES.iter().find(|(state, _)| *state == license.state);
        let name = |kind| EVENTS.iter().find(|(one, _)| *one == kind).map(|(_, name)| *name);
        let event = |event: &Event| Some((name(event.kind)?, event.at.as_secs()));
        Self {
            account,
            id: license.id,
            sub: license.sub.clone(),
            jkt: license.device,
            content_id: license.content.clone(),
            entitlement_id: license.entitlement_id.clone(),
            policy_id: license.policy_id.clone(),
            session_type: license.session_type,
            issued_at: license.issued_at.as_secs(),
            updated_at: license.updated_at.as_secs(),
            expires_at: license.expires_at.as_secs(),
            counter: license.counter,
            renewed_by: license.renewed_by,
            state: state.map_or(State::Ended, |(_, state)| *state),
            events: license.events.iter().filter_map(event).collect(),
        }
    }

    /// The license.
    #[must_use]
    pub fn license(&self) -> License {
        let state = STATES.iter().find(|(_, state)| *state == self.state);
        let kind = |name| EVENTS.iter().find(|(_, one)| *one == name).map(|(kind, _)| *kind);
        let event = |(name, at): &(EventName, u64)| {
            Some(Event { kind: kind(*name)?, at: UnixTime::from_secs(*at) })
        };
        License {
            id: self.id,
            sub: self.sub.clone(),
            device: self.jkt,
            content: self.content_id.clone(),
            entitlement_id: self.entitlement_id.clone(),
            policy_id: self.policy_id.clone(),
            session_type: self.session_type,
            issued_at: UnixTime::from_secs(self.issued_at),
            updated_at: UnixTime::from_secs(self.updated_at),
            expires_at: UnixTime::from_secs(self.expires_at),
            counter: self.counter,
            renewed_by: self.renewed_by,
            state: state.map_or(LicenseState::Ended, |(state, _)| *state),
            events: self.events.iter().filter_map(event).collect(),
        }
    }
}

impl Record for LicenseRecord {
    const PREFIX: &'static str = ACCOUNTS;

    fn key(&self) -> Vec<u8> {
        Self::key_of(&self.account, &self.jkt, &self.id)
    }
}

impl Fact for LicenseRecord {
    const KIND: Kind = Kind::License;
}

/// Where a license is: whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    /// The license.
    #[serde(with = "text")]
    pub id: LicenseId,
    /// The account.
    #[serde(with = "text")]
    pub account: AccountId,
    /// The device.
    #[serde(with = "jkt")]
    pub jkt: Thumbprint,
}

impl OwnerRecord {
    /// The key of a license's owner.
    #[must_use]
    pub fn key_of(id: &LicenseId) -> Vec<u8> {
        [Self::PREFIX.as_bytes(), id.as_bytes()].concat()
    }
}

impl Record for OwnerRecord {
    const PREFIX: &'static str = "owner/";

    fn key(&self) -> Vec<u8> {
        Self::key_of(&self.id)
    }
}
