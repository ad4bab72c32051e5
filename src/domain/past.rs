//! What is remembered of an account: its devices, first uses, slots and licenses.
//!
//! These are the facts that earlier grants left. A decision reads them and lists in
//! [`Changes`](crate::domain::changes::Changes) what is to be remembered next. Deliberately absent: how they are stored.

use std::fmt;
use std::str::FromStr;

use reelkey_client::exchange::request::SessionType;
use reelkey_client::strict::base64url;
use reelkey_client::strict::jwk::Thumbprint;
use reelkey_client::time::UnixTime;

use crate::domain::content::ContentId;

/// What is remembered that a decision may need. Empty where the policy needs no memory.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The asking device, if it was seen before.
    pub device: Option<Device>,
    /// The other devices that have a place.
    pub others: Vec<Device>,
    /// The first uses of this content with this entitlement.
    pub usage: Option<Usage>,
    /// The slots that are or were taken, of those that the policy counts.
    pub slots: Vec<Slot>,
    /// The licenses of the asking device.
    pub licenses: Vec<License>,
}

/// The ID of a license, which is also the name of the request for it (DESIGN 3.6): 16 bytes, printed as base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LicenseId([u8; 16]);

impl LicenseId {
    /// The ID with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseId({self})")
    }
}

impl FromStr for LicenseId {
    type Err = base64url::Malformed;

    fn from_str(text: &str) -> Result<Self, base64url::Malformed> {
        base64url::decode_array(text).map(Self)
    }
}

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device key's thumbprint.
    pub jkt: Thumbprint,
    /// Its name, as the device itself says.
    pub name: Option<String>,
    /// Its model, as the device itself says.
    pub model: Option<String>,
    /// Its place among the account's devices, if it has one.
    pub place: Option<u16>,
    /// When it took that place. Facts of earlier versions lack it; then it is `registered_at`.
    pub placed_at: Option<UnixTime>,
    /// When it became one of the account's devices.
    pub registered_at: UnixTime,
    /// When it was last granted a license.
    pub last_seen_at: UnixTime,
    /// Whether it may have licenses.
    pub status: DeviceStatus,
    /// Since when the status is this one.
    pub status_since: UnixTime,
}

/// Whether a device may have licenses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceStatus {
    /// It may.
    Active,
    /// It may not, until it is restored. It keeps its place.
    Revoked,
    /// It is not one of the account's devices any more. Its licenses end at their next request.
    Removed,
}

/// The first uses of a content by an account with one entitlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The content.
    pub content: ContentId,
    /// The purchase or rental (`entitlement_id` of the token), "" by default.
    pub entitlement_id: String,
    /// When the first license was granted.
    pub rented_at: Option<UnixTime>,
    /// When it was first played.
    pub played_at: Option<UnixTime>,
    /// The devices that keep a license for it, or kept one that they did not return unplayed. At most
    /// [`KEEPERS_MAX`](Self::KEEPERS_MAX).
    pub keepers: Vec<Thumbprint>,
    /// Whether licenses are barred: one was revoked.
    pub barred: bool,
}

impl Usage {
    /// With more devices than this, every further one counts as the second license of a device.
    pub const KEEPERS_MAX: usize = 64;

    /// No use yet.
    #[must_use]
    pub fn none(content: ContentId, entitlement_id: String) -> Self {
        Self {
            content,
            entitlement_id,
            rented_at: None,
            played_at: None,
            keepers: Vec::new(),
            barred: false,
        }
    }

    /// Notes that the device keeps a license. `false` if it had one already, or if there are too many devices to tell.
    pub fn keep(&mut self, device: Thumbprint) -> bool {
        let is_first = !self.keepers.contains(&device) && self.keepers.len() < Self::KEEPERS_MAX;
        if is_first {
            self.keepers.push(device);
        }
        is_first
    }
}

/// A slot for one of the streams that an account may have at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its number, from 0 on.
    pub number: u16,
    /// The license that was granted last in this slot.
    pub license: LicenseId,
    /// The device that plays.
    pub device: Thumbprint,
    /// What it plays.
    pub content: ContentId,
    /// When the session began.
    pub since: UnixTime,
    /// The slot is free from this moment on.
    pub until: UnixTime,
    /// The devices that sessions in this slot have stopped, each with the end of what it had: until then it stops no other. At
    /// most [`STOPPED_MAX`](Self::STOPPED_MAX).
    pub stopped: Vec<(Thumbprint, UnixTime)>,
}

impl Slot {
    /// Of more devices that were stopped, those are forgotten that may stop others first.
    pub const STOPPED_MAX: usize = 16;

    /// Whether it is taken.
    #[must_use]
    pub fn is_taken(&self, now: UnixTime) -> bool {
        now < self.until
    }
}

/// A license that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// Its ID.
    pub id: LicenseId,
    /// The account's name at its issuer.
    pub sub: String,
    /// The device that has it.
    pub device: Thumbprint,
    /// The content.
    pub content: ContentId,
    /// The purchase or rental that it was granted for.
    pub entitlement_id: String,
    /// The policy that granted it last.
    pub policy_id: String,
    /// To play now, or to keep.
    pub session_type: SessionType,
    /// When it was first granted.
    pub issued_at: UnixTime,
    /// When it was granted or renewed last, or its state changed.
    pub updated_at: UnixTime,
    /// Its end, exclusive.
    pub expires_at: UnixTime,
    /// How often it was renewed.
    pub counter: u64,
    /// The name of the last renewal: when it is repeated, it is the same.
    pub renewed_by: Option<LicenseId>,
    /// What became of it.
    pub state: LicenseState,
    /// What happened to it besides renewals, in order. At most [`EVENTS_MAX`](Self::EVENTS_MAX).
    pub events: Vec<Event>,
}

/// What became of a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LicenseState {
    /// Nothing: it is valid until its end.
    Active,
    /// It was revoked.
    Revoked,
    /// The device has released it.
    Returned,
    /// A newer license of the device has ended it.
    Ended,
}

/// Something that happened to a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: UnixTime,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was first granted.
    Issued,
    /// It was first played, as the device reports.
    FirstPlay,
    /// It was revoked.
    Revoked,
    /// It was restored after it had been revoked.
    Restored,
    /// The device has released it.
    Returned,
    /// A newer license of the device has ended it.
    Ended,
}

impl EventKind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::FirstPlay => "first-play",
            Self::Revoked => "revoked",
            Self::Restored => "restored",
            Self::Returned => "returned",
            Self::Ended => "ended",
        }
    }
}

impl DeviceStatus {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Removed => "removed",
        }
    }
}

impl License {
    /// Later events are not noted.
    pub const EVENTS_MAX: usize = 32;

    /// Whether it still counts: it may be played, and nothing has ended it.
    #[must_use]
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.state == LicenseState::Active && now < self.expires_at
    }

    /// What a person is told of it: `active`, `revoked`, `returned` or `expired`.
    #[must_use]
    pub fn status(&self, now: UnixTime) -> &'static str {
        match self.state {
            LicenseState::Revoked => "revoked",
            LicenseState::Returned => "returned",
            LicenseState::Active if self.is_live(now) => "active",
            LicenseState::Active | LicenseState::Ended => "expired",
        }
    }

    /// The name of its session type.
    #[must_use]
    pub const fn session_name(&self) -> &'static str {
        match self.session_type {
            SessionType::Temporary => "temporary",
            SessionType::PersistentLicense => "persistent-license",
        }
    }

    /// Notes that something happened.
    pub fn note(&mut self, kind: EventKind, at: UnixTime) {
        self.updated_at = at;
        if self.events.len() < Self::EVENTS_MAX {
            self.events.push(Event { kind, at });
        }
    }

    /// Whether this has happened to it.
    #[must_use]
    pub fn has(&self, kind: EventKind) -> bool {
        self.events.iter().any(|event| event.kind == kind)
    }

    /// Notes at `now` when it was first played. The first report counts.
    pub fn note_first_play(&mut self, played_at: UnixTime, now: UnixTime) {
        if !self.has(EventKind::FirstPlay) {
            self.note(EventKind::FirstPlay, played_at);
            self.updated_at = now;
        }
    }

    /// The moment of the first play that a device reports: so many seconds after the license was first granted. `None` if that
    /// is in the future.
    #[must_use]
    pub fn played_at(&self, first_play_secs: u64, now: UnixTime) -> Option<UnixTime> {
        let at = self.issued_at.saturating_add(first_play_secs);
        (at <= now).then_some(at)
    }
}
