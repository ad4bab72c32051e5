//! Keys that do not fit: the first decrypted samples of each track and key are judged by the rules of their format.
//!
//! Deliberately absent: those rules, which [`judge`](crate::cenc::judge) has.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use crate::cenc::block::BLOCK_BYTES;
use crate::cenc::judge::{Form, LOOKED_AT_BYTES, Tally};
use crate::cenc::notes::{Note, Notes};
use crate::cenc::planned::{Encryption, Fragment};
use crate::cenc::protection::{Pattern, Protection, Scheme};
use crate::key::KeyId;

/// What the samples so far say about each key.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    tallies: BTreeMap<(u32, KeyId), Tally>,
    /// The first bytes of a sample that comes in parts.
    begun: Vec<u8>,
}

impl Suspicions {
    /// Judges `count` decrypted samples from the one with index `first` on, as far as their key needs it. `bytes` begin at
    /// position `from` and have all of the samples.
    pub(super) fn look(
        &mut self,
        fragment: &Fragment,
        by: Option<Protection>,
        samples: Range<usize>,
        bytes: &[u8],
        from: usize,
    ) {
        let Some((by, form)) = by.zip(fragment.form.as_ref()) else { return };
        let tally = self.tally(fragment.track_id, by, form);
        for index in samples {
            if tally.is_full() {
                return;
            }
            let Some(range) = fragment.samples.get(index) else { return };
            let (start, length) = (range.start.saturating_sub(from), range.len());
            let end = start.saturating_add(length.min(LOOKED_AT_BYTES));
            let sample = bytes.get(start..end).unwrap_or_default();
            if let Some(encryption) = fragment.encryption(index) {
                tally.count(form.judge(sample, length, &encrypted(by, encryption, length)));
            }
        }
    }

    /// Takes the next decrypted bytes of a sample that comes in parts.
    pub(super) fn take_part(&mut self, fragment: &Fragment, by: Option<Protection>, part: &[u8]) {
        let Some((by, form)) = by.zip(fragment.form.as_ref()) else { return };
        if !self.tally(fragment.track_id, by, form).is_full() {
            let wanted = LOOKED_AT_BYTES.saturating_sub(self.begun.len()).min(part.len());
            self.begun.extend(part.iter().take(wanted));
        }
    }

    /// Judges the sample with this index, whose parts came.
    pub(super) fn end_parts(&mut self, fragment: &Fragment, by: Option<Protection>, index: usize) {
        let begun = core::mem::take(&mut self.begun);
        let start = fragment.samples.get(index).map_or(0, |range| range.start);
        if !begun.is_empty() {
            self.look(fragment, by, index..index.saturating_add(1), &begun, start);
        }
        self.begun = begun;
        self.begun.clear();
    }

    /// Adds the keys that do not fit to `notes`.
    pub(super) fn add_to(&self, notes: &mut Notes) {
        for ((track, kid), _) in self.tallies.iter().filter(|(_, tally)| tally.is_wrong()) {
            notes.add(Note::WrongKey { track: *track, kid: *kid });
        }
    }

    fn tally(&mut self, track: u32, by: Protection, form: &Form) -> &mut Tally {
        self.tallies.entry((track, by.kid)).or_insert_with(|| Tally::new(form))
    }
}

/// The positions in a sample of `length` bytes that are encrypted, as far as they are looked at.
fn encrypted(by: Protection, encryption: Encryption<'_>, length: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    if encryption.subsamples.is_empty() {
        add_protected(by, 0..length, &mut ranges);
    }
    let mut at = 0_usize;
    for subsample in encryption.subsamples {
        let start = at.saturating_add(subsample.clear.into());
        let end = start.saturating_add(usize::try_from(subsample.protected).unwrap_or(usize::MAX));
        if start > LOOKED_AT_BYTES {
            break;
        }
        add_protected(by, start..end, &mut ranges);
        at = end;
    }
    ranges
}

/// Adds what is encrypted of a protected range: all, or blocks of a pattern.
fn add_protected(by: Protection, range: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    let pattern = match by.scheme {
        Scheme::Cenc(_) => return ranges.push(range),
        Scheme::Cbc1(_) => Pattern { crypt: 1, skip: 0 },
        Scheme::Cens(_, pattern) | Scheme::Cbcs(_, pattern) => pattern,
    };
    // The bytes behind the last whole block are clear.
    let end = range.start.saturating_add(range.len() / BLOCK_BYTES * BLOCK_BYTES);
    if pattern.skip == 0 {
        return ranges.push(range.start..end);
    }
    let [crypt, skip] =
        [pattern.crypt, pattern.skip].map(|blocks| usize::from(blocks) * BLOCK_BYTES);
    let starts = (range.start..end.min(LOOKED_AT_BYTES)).step_by(crypt + skip);
    ranges.extend(starts.map(|start| start..start.saturating_add(crypt).min(end)));
}
