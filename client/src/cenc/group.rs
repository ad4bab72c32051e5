//! Sample groups of protection: some samples of a track are protected otherwise than the rest (ISO/IEC 23001-7:2023,
//! clause 6; ISO/IEC 14496-12:2022, 8.9).
//!
//! `sgpd` describes groups, in the `moov` for a whole track or in a `traf` for its own samples, and `sbgp`, or `csgp` in
//! fewer bytes, says which samples are in which group. Keys rotate this way, and clear samples are mixed in.
//!
//! Deliberately absent: sample groups of other types.

use alloc::vec::Vec;

use crate::cenc::boxes::{self, BoxRef, Fields};
use crate::cenc::protection::{self, Description};
use crate::key::KeyId;

/// The grouping type of protection.
const SEIG: [u8; 4] = *b"seig";

/// From this index on, the descriptions are those of the `traf` itself (14496-12, 8.9.4).
pub(super) const LOCAL: u32 = 0x1_0000;

/// A group of protection is unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    /// A group without a description (8.9.4).
    #[error(
        "the box at byte {at} names group {index}, which is not described (ISO/IEC 14496-12, 8.9.4)"
    )]
    Undescribed {
        /// Where the box begins.
        at: usize,
        /// The index of the group.
        index: u32,
    },
    /// More samples are grouped than there are (8.9.2).
    #[error("the box at byte {0} groups more samples than there are (ISO/IEC 14496-12, 8.9.2)")]
    TooMany(usize),
    /// A pattern of no samples, or one with a length or a count, but not both, of four bits (8.9.5).
    #[error("the csgp at byte {0} has a pattern that cannot be (ISO/IEC 14496-12, 8.9.5)")]
    Pattern(usize),
}

/// The descriptions of one `sgpd` box. Indices count from 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptions {
    all: Vec<Description>,
    /// The index of the description for samples in no group; 0: their sample entry's.
    default: u32,
}

/// Samples in a row that are in one group.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupRun {
    /// How many samples.
    pub(super) count: usize,
    /// The group's description; `None`: their sample entry's.
    pub(super) description: Option<Description>,
}

/// Whether a box is about groups of protection: `sgpd`, `sbgp` or `csgp` with this grouping type.
pub(super) fn is_seig(this: &BoxRef<'_>) -> Result<bool, boxes::Error> {
    if !matches!(&this.kind.0, b"sgpd" | b"sbgp" | b"csgp") {
        return Ok(false);
    }
    let mut fields = this.fields();
    fields.version_and_flags()?;
    Ok(fields.array()? == SEIG)
}

impl Descriptions {
    /// Reads `sgpd` (8.9.3).
    pub(super) fn read(sgpd: &BoxRef<'_>) -> Result<Self, Error> {
        let wrong = |source| Error::Description { at: sgpd.at, source };
        let mut fields = sgpd.fields();
        let version = fields.version_and_flags()?.version;
        fields.bytes(4)?;
        let length = if version >= 1 { fields.u32()? } else { 0 };
        let default = if version >= 2 { fields.u32()? } else { 0 };
        let mut all = Vec::new();
        for _ in 0..fields.u32()? {
            if version == 0 {
                // Without lengths, but the fields of a description are known.
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

    /// Whether one of them says that samples are protected.
    pub(super) fn protect(&self) -> bool {
        self.kids().next().is_some()
    }

    /// The KIDs of all descriptions.
    pub(super) fn kids(&self) -> impl Iterator<Item = KeyId> {
        self.all.iter().filter_map(Description::kid)
    }

    fn find(&self, index: u32) -> Option<Description> {
        let at = usize::try_from(index.checked_sub(1)?).ok()?;
        self.all.get(at).copied()
    }
}

/// Reads which of `samples` samples are in which group: `sbgp` (8.9.2) or `csgp` (8.9.5), whose indices are of `local` or
/// of `global` descriptions. Without one, all are in the default group, if there is one.
pub(super) fn read_runs(
    to_group: Option<&BoxRef<'_>>,
    local: &Descriptions,
    global: &Descriptions,
    samples: usize,
) -> Result<Vec<GroupRun>, Error> {
    let default = local.find(local.default).or_else(|| global.find(global.default));
    let Some(to_group) = to_group else {
        return Ok([GroupRun { count: samples, description: default }].into());
    };
    let indices = match &to_group.kind.0 {
        b"csgp" => read_compact(to_group, samples)?,
        _ => read_plain(to_group)?,
    };
    let (mut runs, mut left) = (Vec::new(), samples);
    for IndexRun { count, index } in indices {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        left = left.checked_sub(count).ok_or(Error::TooMany(to_group.at))?;
        let description = match index {
            0 => default,
            _ => {
                let found = match index.checked_sub(LOCAL) {
                    Some(index) => local.find(index),
                    None => global.find(index),
                };
                Some(found.ok_or(Error::Undescribed { at: to_group.at, index })?)
            }
        };
        runs.push(GroupRun { count, description });
    }
    runs.push(GroupRun { count: left, description: default });
    Ok(runs)
}

/// Samples in a row, and the index of their group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexRun {
    pub(super) count: u32,
    pub(super) index: u32,
}

/// `sbgp` (8.9.2).
pub(super) fn read_plain(sbgp: &BoxRef<'_>) -> Result<Vec<IndexRun>, Error> {
    let mut fields = sbgp.fields();
    let version = fields.version_and_flags()?.version;
    fields.bytes(if version == 1 { 8 } else { 4 })?;
    let mut runs = Vec::new();
    for _ in 0..fields.u32()? {
        runs.push(IndexRun { count: fields.u32()?, index: fields.u32()? });
    }
    Ok(runs)
}

const TYPE_PARAMETER_PRESENT: u32 = 1 << 6;
const HIGH_BIT_IS_LOCAL: u32 = 1 << 7;

/// A pattern of `csgp`: `length` indices, repeated over `count` samples.
struct CompactPattern {
    length: u32,
    count: u32,
}

/// `csgp` (8.9.5): patterns of indices. The runs are never more than the samples, or than the bytes of the box.
pub(super) fn read_compact(csgp: &BoxRef<'_>, samples: usize) -> Result<Vec<IndexRun>, Error> {
    let mut fields = csgp.fields();
    let flags = fields.version_and_flags()?.flags;
    fields.bytes(if flags & TYPE_PARAMETER_PRESENT == 0 { 4 } else { 8 })?;
    let pattern_count = fields.u32()?;
    // The width of a field: 1, 2, 4 or 8 half bytes.
    let width = |shift: u32| 1_u32 << (flags >> shift & 0b11);
    let (index_width, count_width, length_width) = (width(0), width(2), width(4));
    if (length_width == 1) != (count_width == 1) {
        return Err(Error::Pattern(csgp.at));
    }
    let mut halves = HalfBytes { fields, low: None };
    let (mut patterns, mut left) = (Vec::new(), samples);
    for _ in 0..pattern_count {
        let (length, count) = (halves.read(length_width)?, halves.read(count_width)?);
        if length == 0 || count == 0 {
            return Err(Error::Pattern(csgp.at));
        }
        let grouped = usize::try_from(count).unwrap_or(usize::MAX);
        left = left.checked_sub(grouped).ok_or(Error::TooMany(csgp.at))?;
        patterns.push(CompactPattern { length, count });
    }
    let high_bit = 1_u32 << (4 * index_width - 1);
    let mut runs = Vec::new();
    for CompactPattern { length, count } in patterns {
        let mut indices = Vec::new();
        for _ in 0..length {
            let index = halves.read(index_width)?;
            let is_local = flags & HIGH_BIT_IS_LOCAL != 0 && index & high_bit != 0;
            indices.push(if is_local { LOCAL.saturating_add(index & !high_bit) } else { index });
        }
        match indices.as_slice() {
            [index] => runs.push(IndexRun { count, index: *index }),
            _ => {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                runs.extend(
                    indices
                        .iter()
                        .cycle()
                        .take(count)
                        .map(|index| IndexRun { count: 1, index: *index }),
                );
            }
        }
    }
    Ok(runs)
}

/// Reads numbers of some half bytes each, the high half of a byte first.
struct HalfBytes<'a> {
    fields: Fields<'a>,
    /// The low half of the last byte, if it was not read yet.
    low: Option<u8>,
}

impl HalfBytes<'_> {
    fn read(&mut self, width: u32) -> Result<u32, Error> {
        let mut number = 0;
        for _ in 0..width {
            let half = match self.low.take() {
                Some(low) => low,
                None => {
                    let byte = self.fields.u8()?;
                    self.low = Some(byte & 0xf);
                    byte >> 4
                }
            };
            number = number << 4 | u32::from(half);
        }
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cenc::boxes::FourCc;

    /// The count and the index of every run.
    fn compact(flags: u8, body: &[u8], samples: usize) -> Result<Vec<(u32, u32)>, Error> {
        let body = [&[0, 0, 0, flags], &SEIG, body].concat();
        let csgp = BoxRef { kind: FourCc(*b"csgp"), at: 0, body_at: 8, body: &body };
        let runs = read_compact(&csgp, samples)?;
        Ok(runs.into_iter().map(|run| (run.count, run.index)).collect())
    }

    #[test]
    fn compact_patterns_repeat_and_may_end_in_the_middle() {
        // Half bytes: a pattern of 2 for 5 samples, one of 1 for 9; indices 1, 2 and 3.
        let body = [0, 0, 0, 2, 0x25, 0x19, 0x12, 0x30];
        let expected = [(1, 1), (1, 2), (1, 1), (1, 2), (1, 1), (9, 3)];
        assert_eq!(compact(0, &body, 14).unwrap(), expected);
        // The same pattern of a fragment's own, in two bytes each, behind a parameter of the type.
        let body = [0, 0, 0, 7, 0, 0, 0, 1, 0, 1, 0, 9, 0x80, 3];
        assert_eq!(compact(0b1110_1010, &body, 9).unwrap(), [(9, LOCAL + 3)]);
    }

    #[test]
    fn compact_patterns_are_held_to_the_samples_and_the_box() {
        let is = |flags, body: &[u8]| compact(flags, body, 14).unwrap_err();
        assert_eq!(is(0, &[0, 0, 0, 1, 0x1f, 0x10]), Error::TooMany(0));
        for impossible in [&[0, 0, 0, 1, 0x01, 0x10], &[0, 0, 0, 1, 0x10, 0x10]] {
            assert_eq!(is(0, impossible), Error::Pattern(0));
        }
        assert_eq!(is(0b01_0000, &[0, 0, 0, 0]), Error::Pattern(0));
        for short in [&[0, 0, 0, 9, 0x11][..], &[0, 0, 0, 1, 0x51, 0x11]] {
            assert!(matches!(is(0, short), Error::Box(_)), "{short:?}");
        }
    }
}
