//! Samples in a row: where each is, and how it is protected. Both a `traf` and an `stbl` are read into this.
//!
//! Deliberately absent: reading either box, and the samples' auxiliary information.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::boxes::{self, BoxRef};
use crate::cenc::group::GroupRun;
use crate::cenc::protection::{self, Entry, Protection};
use crate::cenc::signals::Signals;

/// The samples of one `traf`, or of a track that is not fragmented.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    /// The `traf` or `stbl`. It holds the samples' auxiliary information, or `outer` does.
    pub(super) container: BoxRef<'a>,
    /// The `trak` around an `stbl`.
    pub(super) outer: Option<BoxRef<'a>>,
    /// Whether the `moov` has the track.
    pub(super) is_known: bool,
    /// Whether any of them has a protected sample entry.
    pub(super) has_protected_entry: bool,
    /// The track ID.
    pub(super) track_id: u32,
    /// The position from which offsets of auxiliary information count.
    pub(super) base: u64,
    /// The positions of each sample's bytes.
    pub(super) ranges: Vec<Range<usize>>,
    /// The index of the first sample of each `trun` or chunk.
    pub(super) runs: Vec<usize>,
    /// How the samples are protected, in order.
    pub(super) spans: Vec<Span>,
}

/// Samples in a row that are protected alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// How many samples.
    pub(super) count: usize,
    /// How they are protected; `None`: not at all.
    pub(super) by: Option<Protection>,
}

/// Samples in a row that have one sample entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryRun {
    /// How many samples.
    pub(super) count: usize,
    /// The sample entry, if it is a protected one.
    pub(super) entry: Option<Entry>,
}

impl<'a> Samples<'a> {
    /// The boxes that are about their protection.
    pub(super) fn signals(&self) -> Result<Signals<'a>, boxes::Error> {
        let containers = [Some(self.container), self.outer].into_iter().flatten();
        Signals::of(containers, self.has_protected_entry)
    }

    /// Whether they are samples of a fragment that says nothing of encryption, though they need something said: IVs of
    /// their own. An advertisement that was inserted is so.
    pub(super) fn are_inserted(&self, signals: &Signals<'_>) -> bool {
        let has_own_iv = |span: &Span| {
            span.by.is_some_and(|by| matches!(by.scheme.iv(), protection::Iv::PerSample(_)))
        };
        self.outer.is_none() && signals.all().is_empty() && self.spans.iter().any(has_own_iv)
    }

    /// Whether any of them is protected.
    pub(super) fn is_protected(&self) -> bool {
        self.spans.iter().any(|span| span.by.is_some())
    }
}

/// Joins what sample entries and groups say of the same samples. A new span begins where either changes the protection.
pub(super) fn spans(
    entries: &[EntryRun],
    groups: &[GroupRun],
) -> Result<Vec<Span>, protection::Error> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut entries, mut groups) = (entries.iter().copied(), groups.iter().copied());
    let (mut next_entry, mut next_group) = (entries.next(), groups.next());
    while let (Some(of_entry), Some(of_group)) = (next_entry, next_group) {
        let count = of_entry.count.min(of_group.count);
        let by = match of_entry.entry {
            // A sample entry without protection names no scheme, so no group can protect its samples.
            None => None,
            Some(entry) => of_group.description.unwrap_or(entry.default).under(entry.scheme)?,
        };
        if count > 0 {
            match spans.last_mut() {
                Some(last) if last.by == by => last.count = last.count.saturating_add(count),
                _ => spans.push(Span { count, by }),
            }
        }
        next_entry = match of_entry.count - count {
            0 => entries.next(),
            count => Some(EntryRun { count, ..of_entry }),
        };
        next_group = match of_group.count - count {
            0 => groups.next(),
            count => Some(GroupRun { count, ..of_group }),
        };
    }
    Ok(spans)
}

/// The bodies of the `mdat`s, in order: where samples may be.
#[derive(Debug, Default)]
pub(super) struct Media(Vec<Range<usize>>);

impl Media {
    /// Adds the body of an `mdat`.
    pub(super) fn push(&mut self, mdat: &BoxRef<'_>) {
        self.0.push(mdat.body_at..mdat.end());
    }

    /// Adds the bodies of `mdat`s that are not there as bytes: their positions.
    pub(super) fn extend(&mut self, bodies: impl IntoIterator<Item = Range<usize>>) {
        self.0.extend(bodies);
    }

    /// Whether it is not known where they end.
    pub(super) fn is_open(&self) -> bool {
        self.0.last().is_some_and(|media| media.end == usize::MAX)
    }

    /// How many bytes they have in all.
    pub(super) fn bytes(&self) -> u64 {
        let bytes: usize = self.0.iter().map(Range::len).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The positions of `length` bytes from `start` on, if they lie in one `mdat`. No bytes lie anywhere: they are `0..0`.
    pub(super) fn range(&self, start: u64, length: u64) -> Option<Range<usize>> {
        if length == 0 {
            return Some(0..0);
        }
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        let after = self.0.partition_point(|media| media.start <= start);
        let media = self.0.get(after.checked_sub(1)?)?;
        (end <= media.end).then_some(start..end)
    }
}
