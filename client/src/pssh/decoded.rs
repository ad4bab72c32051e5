//! A `pssh` box as a value.
//!
//! Deliberately absent: where in a film the box is.

use alloc::vec::Vec;

use crate::key::KeyId;
use crate::pssh::layout::PsshFields;
use crate::pssh::playready::PlayReady;
use crate::pssh::system::SystemId;
use crate::pssh::widevine::Widevine;

/// A `pssh` box (ISO/IEC 23001-7:2023, 8.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Pssh {
    /// The system that the box is for.
    pub system_id: SystemId,
    /// 0, or 1 for a box that lists KIDs.
    pub version: u8,
    /// The KIDs that the box lists in the clear.
    pub kids: Vec<KeyId>,
    /// What only the system understands.
    pub data: Vec<u8>,
}

/// The data of a `pssh` box whose form is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The message of a Widevine box.
    Widevine(Widevine),
    /// The object of a PlayReady box.
    PlayReady(PlayReady),
}

impl Pssh {
    /// Reads the body of a box, everything behind its header. `None` if its fields are not exactly as long as the body.
    #[must_use]
    pub fn parse_body(body: &[u8]) -> Option<Self> {
        let PsshFields { version, system_id, kids, data } = PsshFields::read(body)?;
        let kids = kids.iter().copied().map(KeyId::from_bytes).collect();
        Some(Self { system_id: SystemId(system_id), version, kids, data: data.to_vec() })
    }

    /// Reads the data, if the system is Widevine or PlayReady and the data has that system's form.
    #[must_use]
    pub fn contents(&self) -> Option<Contents> {
        match self.system_id {
            SystemId::WIDEVINE => Widevine::parse(&self.data).map(Contents::Widevine),
            SystemId::PLAYREADY => PlayReady::parse(&self.data).map(Contents::PlayReady),
            _ => None,
        }
    }
}
