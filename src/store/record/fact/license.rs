//! The record of a license, and the index from license IDs to them.

use minicbor::{Decode, Encode};
use reelkey_client::exchange::request::SessionType;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;
use serde::Deserialize;

use crate::domain::content::ContentId;
use crate::domain::past::{Event, EventKind, License, LicenseId, LicenseState};
use crate::store::record::fact::account::{ACCOUNTS, AccountId, Fact, Kind};
use crate::store::record::fact::cbor::{self, of_key};
use crate::store::record::form::Cbor;
use crate::store::record::stored::Record;
use crate::store::record::text::{self, jkt};

/// A license that was granted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[cbor(context_bound = "AsRef<[u8]>")]
pub struct LicenseRecord {
    /// The account.
    #[serde(with = "text")]
    #[cbor(n(0), with = "of_key")]
    pub account: AccountId,
    /// Its ID.
    #[serde(with = "text")]
    #[cbor(n(1), with = "of_key")]
    pub id: LicenseId,
    /// The account's name at its issuer, for receipts.
    #[n(2)]
    pub sub: String,
    /// The device that has it.
    #[serde(with = "jkt")]
    #[cbor(n(3), with = "of_key")]
    pub jkt: Thumbprint,
    /// The content.
    #[serde(with = "text")]
    #[n(4)]
    pub content_id: ContentId,
    /// The purchase or rental.
    #[n(5)]
    pub entitlement_id: String,
    /// The policy that granted it last.
    #[n(6)]
    pub policy_id: String,
    /// To play now, or to keep.
    #[cbor(n(7), with = "cbor::session_type")]
    pub session_type: SessionType,
    /// When it was first granted, in seconds since 1970.
    #[n(8)]
    pub issued_at: u64,
    /// When it last changed.
    #[n(9)]
    pub updated_at: u64,
    /// Its end.
    #[n(10)]
    pub expires_at: u64,
    /// How often it was renewed.
    #[serde(default)]
    #[n(11)]
    pub counter: u64,
    /// The name of the last renewal.
    #[serde(with = "text::optional", default)]
    #[n(12)]
    pub renewed_by: Option<LicenseId>,
    /// What became of it.
    #[n(13)]
    pub state: State,
    /// What happened to it: the name of the event, and when.
    #[n(14)]
    pub events: Vec<(EventName, u64)>,
}

/// What became of a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum State {
    /// Nothing.
    #[n(0)]
    Active,
    /// It was revoked.
    #[n(1)]
    Revoked,
    /// It was released.
    #[n(2)]
    Returned,
    /// A newer one has ended it.
    #[n(3)]
    Ended,
}

/// The name of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum EventName {
    /// See [`EventKind::Issued`].
    #[n(0)]
    Issued,
    /// See [`EventKind::FirstPlay`].
    #[n(1)]
    FirstPlay,
    /// See [`EventKind::Revoked`].
    #[n(2)]
    Revoked,
    /// See [`EventKind::Restored`].
    #[n(3)]
    Restored,
    /// See [`EventKind::Returned`].
    #[n(4)]
    Returned,
    /// See [`EventKind::Ended`].
    #[n(5)]
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
    type Form = Cbor;

    const PREFIX: &'static str = ACCOUNTS;

    fn key(&self) -> Vec<u8> {
        Self::key_of(&self.account, &self.jkt, &self.id)
    }
}

impl Fact for LicenseRecord {
    const KIND: Kind = Kind::License;
}

/// Where a license is: whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Encode, Decode)]
#[cbor(context_bound = "AsRef<[u8]>")]
pub struct OwnerRecord {
    /// The license.
    #[serde(with = "text")]
    #[cbor(n(0), with = "of_key")]
    pub id: LicenseId,
    /// The account.
    #[serde(with = "text")]
    #[n(1)]
    pub account: AccountId,
    /// The device.
    #[serde(with = "jkt")]
    #[cbor(n(2), with = "cbor::jkt")]
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
    type Form = Cbor;

    const PREFIX: &'static str = "owner/";

    fn key(&self) -> Vec<u8> {
        Self::key_of(&self.id)
    }
}
