//! A `moof` of an inspected film: how many samples there are, and which keys they need.
//!
//! Deliberately absent: where samples are, and their IVs.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cenc::boxes::{BoxRef, Error};
use crate::cenc::group::{self, LOCAL};
use crate::cenc::inspect::described::Described;
use crate::cenc::inspect::tally::{Groups, Place, REMEMBERED_MAX, Tally, TrackTally, kids_of};
use crate::cenc::moov::is_pssh;
use crate::cenc::signals::PIFF_SENC;

/// Reads the track fragments and `pssh` boxes of a `moof`.
pub(super) fn read_moof(tally: &mut Tally, moof: &BoxRef<'_>) -> Result<(), Error> {
    for this in moof.children(0)? {
        let this = this?;
        match &this.kind.0 {
            b"traf" => read_traf(tally, &this)?,
            _ if is_pssh(&this) => tally.add_pssh(pssh_body(&this), Place::Moof),
            _ => {}
        }
    }
    Ok(())
}

/// What a `pssh` box has behind its header, and PIFF's behind its type.
pub(super) fn pssh_body<'a>(this: &BoxRef<'a>) -> &'a [u8] {
    let skipped = if this.kind.0 == *b"uuid" { 16 } else { 0 };
    this.body.get(skipped..).unwrap_or_default()
}

/// Reads an `sgpd` of type `seig` (ISO/IEC 14496-12:2022, 8.9.3). `None` if it cannot be read.
pub(super) fn read_groups(sgpd: &BoxRef<'_>) -> Option<Groups> {
    let mut fields = sgpd.fields();
    let version = fields.version_and_flags().ok()?.version;
    fields.bytes(4).ok()?;
    let length = if version >= 1 { fields.u32().ok()? } else { 0 };
    let default = if version >= 2 { fields.u32().ok()? } else { 0 };
    let mut all = Vec::new();
    let count = usize::try_from(fields.u32().ok()?).unwrap_or(usize::MAX);
    for _ in 0..count.min(REMEMBERED_MAX) {
        if version == 0 {
            all.push(Described::of_seig(&mut fields).ok()?);
            continue;
        }
        let length = if length == 0 { fields.u32().ok()? } else { length };
        let body = fields.bytes(usize::try_from(length).ok()?).ok()?;
        all.push(Described::of_seig(&mut BoxRef { body, ..*sgpd }.fields()).ok()?);
    }
    Some(Groups { all, default })
}

/// The flags of `tfhd` (8.8.7) and `trun` (8.8.8) that say which fields are there.
const BASE_DATA_OFFSET: u32 = 0x1;
const SAMPLE_DESCRIPTION_INDEX: u32 = 0x2;
const DEFAULT_SAMPLE_DURATION: u32 = 0x8;
const DATA_OFFSET: u32 = 0x1;
const FIRST_SAMPLE_FLAGS: u32 = 0x4;
const SAMPLE_DURATION: u32 = 0x100;
/// Size, flags and composition time offset of a sample.
const OTHER_SAMPLE_FIELDS: [u32; 3] = [0x200, 0x400, 0x800];

fn read_traf(tally: &mut Tally, traf: &BoxRef<'_>) -> Result<(), Error> {
    let Some(tfhd) = traf.children(0)?.find(b"tfhd")? else { return Ok(()) };
    let mut tfhd = tfhd.fields();
    let flags = tfhd.version_and_flags()?.flags;
    let id = tfhd.u32()?;
    let Some(track) = tally.track(id) else { return Ok(()) };
    if flags & BASE_DATA_OFFSET != 0 {
        tfhd.u64()?;
    }
    let has = |flag| flags & flag != 0;
    let entry = if has(SAMPLE_DESCRIPTION_INDEX) { tfhd.u32()? } else { track.default_entry };
    let default = if has(DEFAULT_SAMPLE_DURATION) { tfhd.u32()? } else { track.default_duration };
    let mut counted = Counted::default();
    let mut duration = 0_u64;
    for this in traf.children(0)? {
        let this = this?;
        match &this.kind.0 {
            b"trun" => {
                let run = read_trun(&this, default)?;
                counted.samples = counted.samples.saturating_add(run.samples);
                duration = duration.saturating_add(run.duration);
            }
            b"senc" | b"saiz" => track.facts.has_auxiliary_information = true,
            b"uuid" if this.body.starts_with(&PIFF_SENC) => {
                track.facts.has_auxiliary_information = true;
                counted.instead = override_of(&this);
            }
            b"sgpd" if group::is_seig(&this).unwrap_or(false) => match read_groups(&this) {
                Some(groups) => counted.local = groups,
                None => track.is_uncertain = true,
            },
            b"sbgp" | b"csgp" if group::is_seig(&this).unwrap_or(false) => {
                counted.to_group = Some(this);
            }
            _ => {}
        }
    }
    track.fragments_duration = track.fragments_duration.saturating_add(duration);
    counted.entries = [(counted.samples, entry)].into();
    for described in counted.local.all.iter().chain(&counted.instead) {
        tally.add_group(id, described, Place::Moof);
    }
    counted.add_to(tally, id);
    Ok(())
}

/// PIFF's own parameters, which replace those of the track (PIFF 1.1, 5.3.2).
fn override_of(senc: &BoxRef<'_>) -> Option<Described> {
    let mut fields = senc.fields();
    fields.bytes(PIFF_SENC.len()).ok()?;
    let flags = fields.version_and_flags().ok()?.flags;
    let read = (flags & 1 != 0).then(|| Described::of_piff(&mut fields));
    read?.ok().map(|(_, described)| described)
}

/// Samples in a row, and how long they take together.
struct Run {
    samples: u64,
    duration: u64,
}

fn read_trun(trun: &BoxRef<'_>, default_duration: u32) -> Result<Run, Error> {
    let mut fields = trun.fields();
    let flags = fields.version_and_flags()?.flags;
    let samples = fields.u32()?;
    for flag in [DATA_OFFSET, FIRST_SAMPLE_FLAGS] {
        if flags & flag != 0 {
            fields.u32()?;
        }
    }
    let default = u64::from(samples).saturating_mul(default_duration.into());
    if flags & SAMPLE_DURATION == 0 {
        return Ok(Run { samples: samples.into(), duration: default });
    }
    let rest = OTHER_SAMPLE_FIELDS.into_iter().filter(|flag| flags & flag != 0).count() * 4;
    let mut duration = 0_u64;
    for _ in 0..samples {
        duration = duration.saturating_add(fields.u32()?.into());
        fields.bytes(rest)?;
    }
    Ok(Run { samples: samples.into(), duration })
}

/// Samples of a `traf` or of a sample table that are counted: by sample entry and by group.
#[derive(Default)]
pub(super) struct Counted<'a> {
    pub(super) samples: u64,
    /// How many in a row have which sample entry, whose index counts from 1.
    pub(super) entries: Vec<(u64, u32)>,
    /// `sbgp` or `csgp`.
    pub(super) to_group: Option<BoxRef<'a>>,
    pub(super) local: Groups,
    /// What replaces the defaults of the sample entry.
    pub(super) instead: Option<Described>,
}

impl Counted<'_> {
    /// Adds the samples to those of the track, and to those that need its keys.
    pub(super) fn add_to(&self, tally: &mut Tally, id: u32) {
        let groups = self.group_runs();
        let Some(track) = tally.tracks.get_mut(&id) else { return };
        track.facts.samples = track.facts.samples.saturating_add(self.samples);
        let Some(groups) = groups else {
            // Which sample is in which group is not known: each key that is described may be needed.
            track.is_uncertain = true;
            for kid in self.local.all.iter().flat_map(Described::needed) {
                tally.need(kid, id, 0);
            }
            return;
        };
        let mut by: BTreeMap<Source, u64> = BTreeMap::new();
        let mut groups = groups.into_iter();
        let mut group = groups.next();
        for &(mut left, entry) in &self.entries {
            while left > 0 {
                let (count, index) = group.unwrap_or((left, 0));
                let now = count.min(left);
                let samples = by.entry(self.source(track, entry, index)).or_default();
                *samples = samples.saturating_add(now);
                left -= now;
                group = match count - now {
                    0 => groups.next(),
                    rest => Some((rest, index)),
                };
            }
        }
        for (source, samples) in by {
            self.count(tally, id, source, samples);
        }
    }

    /// How many samples in a row are in which group; index 0: in none. `None` if the box cannot be read.
    fn group_runs(&self) -> Option<Vec<(u64, u32)>> {
        /// So many samples a compact box may group: their number takes no bytes of the box.
        const COMPACT_SAMPLES_MAX: u64 = 1 << 21;
        let Some(to_group) = &self.to_group else { return Some(Vec::new()) };
        let runs = match &to_group.kind.0 {
            b"csgp" => {
                let samples = usize::try_from(self.samples.min(COMPACT_SAMPLES_MAX)).ok()?;
                group::read_compact(to_group, samples)
            }
            _ => group::read_plain(to_group),
        };
        let runs = runs.ok()?.into_iter().filter(|run| run.count > 0);
        Some(runs.map(|run| (run.count.into(), run.index)).collect())
    }

    /// What says how samples of this entry and of this group are protected.
    fn source(&self, track: &TrackTally, entry: u32, index: u32) -> Source {
        let (local, global) = (self.local.default, track.groups.default);
        match index.checked_sub(LOCAL) {
            Some(index) if self.local.find(index).is_some() => Source::Local(index),
            None if track.groups.find(index).is_some() => Source::Global(index),
            _ if self.local.find(local).is_some() => Source::Local(local),
            _ if track.groups.find(global).is_some() => Source::Global(global),
            _ if self.instead.is_some() => Source::Instead,
            _ => Source::Entry(entry),
        }
    }

    fn count(&self, tally: &mut Tally, id: u32, source: Source, samples: u64) {
        let Some(track) = tally.tracks.get(&id) else { return };
        let described = match source {
            Source::Local(index) => self.local.find(index),
            Source::Global(index) => track.groups.find(index),
            Source::Instead => self.instead.as_ref(),
            Source::Entry(_) => None,
        };
        if let Some(described) = described.cloned() {
            tally.count_group(id, &described, samples);
        } else if let Source::Entry(index) = source {
            let kids: Vec<_> = track.entry(index).into_iter().flat_map(kids_of).collect();
            for kid in kids {
                tally.need(kid, id, samples);
            }
        }
    }
}

/// What says how samples are protected. Indices count from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// A group that the fragment describes.
    Local(u32),
    /// A group that the `moov` describes.
    Global(u32),
    /// PIFF's own parameters of the fragment.
    Instead,
    /// The sample entry.
    Entry(u32),
}
