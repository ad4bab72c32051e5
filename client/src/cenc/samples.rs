//! Samples in a row: where each is, and how it is protected. A `traf` and an `stbl` both come down to this.

use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::boxes::BoxRef;
use crate::cenc::group::GroupRun;
use crate::cenc::init::Entry;
use crate::cenc::protection::{self, Protection};

/// The samples of one `traf`, or of a track that is not fragmented.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    /// The `traf` or `stbl`. Their auxiliary information stands in it, or in the box around it.
    pub(super) container: BoxRef<'a>,
    pub(super) outer: Option<BoxRef<'a>>,
    /// The track's number.
    pub(super) track: u32,
    /// From where offsets of auxiliary information count.
    pub(super) base: u64,
    /// Where each sample is.
    pub(super) ranges: Vec<Range<usize>>,
    /// The index of the first sample of each `trun` or chunk.
    pub(super) runs: Vec<usize>,
    /// How they are protected, in order.
    pub(super) spans: Vec<Span>,
}

/// So many samples in a row, protected alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) count: usize,
    pub(super) by: Option<Protection>,
}

impl Samples<'_> {
    /// Whether any of them is protected.
    pub(super) fn is_protected(&self) -> bool {
        self.spans.iter().any(|span| span.by.is_some())
    }
}

/// Puts together what sample entries and groups say: as many spans as either changes.
pub(super) fn spans(
    entries: &[(usize, Option<Entry>)],
    groups: &[GroupRun],
) -> Result<Vec<Span>, protection::Error> {
    let mut spans: Vec<Span> = Vec::new();
    let (mut entries, mut groups) = (entries.iter().copied(), groups.iter().copied());
    let (mut entry, mut group) = (entries.next(), groups.next());
    while let (Some((of_entry, by_entry)), Some((of_group, by_group))) = (entry, group) {
        let count = of_entry.min(of_group);
        let by = match by_entry {
            // A sample entry without protection names no scheme, so no group can protect its samples.
            None => None,
            Some(entry) => by_group.unwrap_or(entry.default).under(entry.scheme)?,
        };
        if count > 0 {
            match spans.last_mut() {
                Some(last) if last.by == by => last.count = last.count.saturating_add(count),
                _ => spans.push(Span { count, by }),
            }
        }
        (entry, group) = (Some((of_entry - count, by_entry)), Some((of_group - count, by_group)));
        if of_entry == count {
            entry = entries.next();
        }
        if of_group == count {
            group = groups.next();
        }
    }
    Ok(spans)
}

/// The bodies of the `mdat`s, in order: where samples may be.
#[derive(Debug, Default)]
pub(super) struct Media(Vec<Range<usize>>);

impl Media {
    pub(super) fn push(&mut self, mdat: &BoxRef<'_>) {
        self.0.push(mdat.body_at..mdat.end());
    }

    /// Adds one that is still to come.
    pub(super) fn extend(&mut self, body: Option<Range<usize>>) {
        self.0.extend(body);
    }

    /// How many bytes there are.
    pub(super) fn bytes(&self) -> u64 {
        let bytes: usize = self.0.iter().map(Range::len).sum();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The range of `length` bytes from `start`, if it lies in one `mdat`. An empty one has no bytes to be anywhere.
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
