//! A `pssh` box as a value.
//!
//! Deliberately absent: where in a film the box is.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::key::KeyId;
use crate::pssh::layout::PsshFields;
use crate::pssh::playready::PlayReady;
use crate::pssh::system::SystemId;
use crate::pssh::widevine::Widevine;

/// [`Pssh::parse_all`] reads at most so many boxes. Initialization data has one box for each system.
pub const BOXES_MAX: usize = 256;

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
        PsshFields::read(body).map(Self::of)
    }

    /// Reads one or more whole boxes, one behind the other, such as the `initData` of an EME `encrypted` event. `None` if
    /// there is anything else, or more than [`BOXES_MAX`] of them.
    #[must_use]
    pub fn parse_all(bytes: &[u8]) -> Option<Vec<Self>> {
        let (mut boxes, mut rest) = (Vec::new(), bytes);
        while !rest.is_empty() {
            let (fields, following) = PsshFields::read_box(rest)?;
            if boxes.len() == BOXES_MAX {
                return None;
            }
            boxes.push(Self::of(fields));
            rest = following;
        }
        (!boxes.is_empty()).then_some(boxes)
    }

    fn of(fields: PsshFields<'_>) -> Self {
        let PsshFields { version, system_id, kids, data } = fields;
        let kids = kids.iter().copied().map(KeyId::from_bytes).collect();
        Self { system_id: SystemId(system_id), version, kids, data: data.to_vec() }
    }

    /// Every KID that the box names, in its list or in its data, each of them once and in order.
    #[must_use]
    pub fn all_kids(&self) -> BTreeSet<KeyId> {
        let mut kids: BTreeSet<KeyId> = self.kids.iter().copied().collect();
        match self.contents() {
            Some(Contents::Widevine(header)) => kids.extend(header.key_ids),
            Some(Contents::PlayReady(header)) => kids.extend(header.kids()),
            None => {}
        }
        kids
    }

    /// The box of version 0 with this data.
    #[must_use]
    pub fn with_data(system_id: SystemId, data: &[u8]) -> Self {
        Self { system_id, version: 0, kids: Vec::new(), data: data.to_vec() }
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
