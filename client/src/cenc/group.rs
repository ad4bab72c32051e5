//! Sample groups of protection: some samples of a track are protected otherwise than the rest (ISO/IEC 23001-7:2023,
//! clause 6; ISO/IEC 14496-12:2022, 8.9).
//!
//! `sgpd` describes groups, in the `moov` for a whole track or in a `traf` for its own samples, and `sbgp` says which
//! samples are in which. Keys rotate this way, and clear samples are mixed in.

use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, FourCc};
use crate::cenc::protection::{self, Description};

/// The grouping type of protection.
const SEIG: [u8; 4] = *b"seig";

/// From this index on, the descriptions are those of the `traf` itself (14496-12, 8.9.4).
const LOCAL: u32 = 0x1_0000;

/// A group of protection is unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A box is damaged.
    #[error(transparent)]
    Box(#[from] boxes::Error),
    /// A description breaks a rule.
    #[error("the sgpd at byte {at}: {source}")]
    Description {
        /// Where the box begins.
        at: usize,
        /// The rule.
        source: protection::Error,
    },
    /// A group that nothing describes (8.9.4).
    #[error(
        "the sbgp at byte {at} names group {index}, which is not described (ISO/IEC 14496-12, 8.9.4)"
    )]
    Undescribed {
        /// Where the box begins.
        at: usize,
        /// The index.
        index: u32,
    },
    /// More samples are grouped than there are (8.9.2).
    #[error("the sbgp at byte {0} groups more samples than there are (ISO/IEC 14496-12, 8.9.2)")]
    TooMany(usize),
    /// The compact form (8.9.5).
    #[error("the csgp at byte {0} groups protection in the compact form, which is not supported")]
    Compact(usize),
}

/// The descriptions of one box, from 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptions {
    all: Vec<Description>,
    /// The one of samples in no group; 0: the sample entry's.
    default: u32,
}

/// So many samples in a row, and the description that they have, if not their sample entry's.
pub(super) type GroupRun = (usize, Option<Description>);

/// Whether a box is about groups of protection. Answers what kind of box.
pub(super) fn is_seig(this: &BoxRef<'_>) -> Result<bool, Error> {
    if !matches!(&this.kind.0, b"sgpd" | b"sbgp" | b"csgp") {
        return Ok(false);
    }
    let mut fields = this.fields();
    fields.version_and_flags()?;
    let is_seig = fields.array()? == SEIG;
    if is_seig && this.kind == FourCc(*b"csgp") {
        return Err(Error::Compact(this.at));
    }
    Ok(is_seig)
}

impl Descriptions {
    /// Reads `sgpd` (8.9.3).
    pub(super) fn read(sgpd: &BoxRef<'_>) -> Result<Self, Error> {
        let wrong = |source| Error::Description { at: sgpd.at, source };
        let mut fields = sgpd.fields();
        let (version, _) = fields.version_and_flags()?;
        fields.bytes(4)?;
        let length = if version >= 1 { fields.u32()? } else { 0 };
        let default = if version >= 2 { fields.u32()? } else { 0 };
        let mut all = Vec::new();
        for _ in 0..fields.u32()? {
            if version == 0 {
                // It has no lengths, but what it holds is known.
                all.push(Description::of_seig(&mut fields).map_err(wrong)?);
                continue;
            }
            let length = if length == 0 { fields.u32()? } else { length };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let entry = BoxRef { body: fields.bytes(length)?, ..*sgpd };
            all.push(Description::of_seig(&mut entry.fields()).map_err(wrong)?);
        }
        Ok(Self { all, default })
    }

    fn find(&self, index: u32) -> Option<Description> {
        let at = usize::try_from(index.checked_sub(1)?).ok()?;
        self.all.get(at).copied()
    }
}

/// Reads which of `samples` samples are in which group: `sbgp` (8.9.2), whose indices are of `local` or of `global`
/// descriptions. Without one, all are in the default group, if there is one.
pub(super) fn read_runs(
    sbgp: Option<&BoxRef<'_>>,
    local: &Descriptions,
    global: &Descriptions,
    samples: usize,
) -> Result<Vec<GroupRun>, Error> {
    let default = local.find(local.default).or_else(|| global.find(global.default));
    let Some(sbgp) = sbgp else { return Ok([(samples, default)].into()) };
    let mut fields = sbgp.fields();
    let (version, _) = fields.version_and_flags()?;
    fields.bytes(if version == 1 { 8 } else { 4 })?;
    let (mut runs, mut left) = (Vec::new(), samples);
    for _ in 0..fields.u32()? {
        let (count, index) = (fields.u32()?, fields.u32()?);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        left = left.checked_sub(count).ok_or(Error::TooMany(sbgp.at))?;
        let found = match index {
            0 => default,
            _ => {
                let found = match index.checked_sub(LOCAL) {
                    Some(index) => local.find(index),
                    None => global.find(index),
                };
                Some(found.ok_or(Error::Undescribed { at: sbgp.at, index })?)
            }
        };
        runs.push((count, found));
    }
    runs.push((left, default));
    Ok(runs)
}
